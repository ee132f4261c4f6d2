//! Containers. They are known here so that tasks that want them can be refused, not misread.

use prost::Message;

use super::{ContainerId, Image, NetworkInfo, Parameter, PortMapping, Volume};

messages! {
    /// The container that a task or executor wants.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ContainerInfo {
        /// Which kind.
        required enum<ContainerType> r#type = 1,
        /// What it finds under which paths.
        repeated message<Volume> volumes = 2,
        /// Its host name.
        optional string hostname = 4,
        /// What Docker is told.
        optional message<DockerInfo> docker = 3,
        /// What the containerizer of Mesos is told.
        optional message<MesosInfo> mesos = 5,
        /// The networks that it joins.
        repeated message<NetworkInfo> network_infos = 7,
        /// What is special to Linux.
        optional message<LinuxInfo> linux_info = 8,
        /// Its resource limits as POSIX has them.
        optional message<RLimitInfo> rlimit_info = 9,
        /// Set if it has a terminal.
        optional message<TtyInfo> tty_info = 10,
    }

    /// What Docker is told.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DockerInfo {
        /// The image.
        required string image = 1,
        /// The kind of network.
        optional enum<DockerNetwork> network = 2 [default "HOST"],
        /// Ports of the host that lead into it.
        repeated message<PortMapping> port_mappings = 3,
        /// Whether it may do what root may.
        optional bool privileged = 4 [default false],
        /// Arguments of the command line.
        repeated message<Parameter> parameters = 5,
        /// Whether the image is fetched anew each time.
        optional bool force_pull_image = 6,
        /// The driver of volumes; no longer used.
        optional string volume_driver = 7,
    }

    /// What the containerizer of Mesos is told.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct MesosInfo {
        /// The image.
        optional message<Image> image = 1,
    }

    /// What is special to containers on Linux.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct LinuxInfo {
        /// The capabilities that it has; the name of old.
        optional message<CapabilityInfo> capability_info = 1,
        /// The capabilities that it may get.
        optional message<CapabilityInfo> bounding_capabilities = 2,
        /// The capabilities that it has.
        optional message<CapabilityInfo> effective_capabilities = 3,
        /// Whether it sees the processes of what it lies in.
        optional bool share_pid_namespace = 4,
        /// The filter of system calls.
        optional message<SeccompInfo> seccomp = 5,
        /// Whose shared memory it sees.
        optional enum<IpcMode> ipc_mode = 6,
        /// The size of its shared memory in MiB.
        optional uint32 shm_size = 7,
        /// Whether it is in the control groups of what it lies in.
        optional bool share_cgroups = 8 [default true],
    }

    /// Capabilities of Linux.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CapabilityInfo {
        /// Which.
        repeated enum<LinuxCapability> capabilities = 1,
    }

    /// A filter of system calls.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct SeccompInfo {
        /// The file of the filter, in the agent's folder of them.
        optional string profile_name = 1,
        /// Whether there is none.
        optional bool unconfined = 2,
    }

    /// Resource limits as POSIX has them.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct RLimitInfo {
        /// The limits.
        repeated message<RLimit> rlimits = 1,
    }

    /// One resource limit; without numbers there is none.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct RLimit {
        /// Of what.
        optional enum<RLimitType> r#type = 1,
        /// What it can be raised to.
        optional uint64 hard = 2,
        /// What it is.
        optional uint64 soft = 3,
    }

    /// A terminal.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct TtyInfo {
        /// Its size.
        optional message<WindowSize> window_size = 1,
    }

    /// The size of a terminal.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct WindowSize {
        /// Lines.
        required uint32 rows = 1,
        /// Characters of a line.
        required uint32 columns = 2,
    }

    /// What is known of the container that a task runs in.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ContainerStatus {
        /// Which.
        optional message<ContainerId> container_id = 4,
        /// Its networks. Without any of its own, the address of the host.
        repeated message<NetworkInfo> network_infos = 1,
        /// Its control groups.
        optional message<CgroupInfo> cgroup_info = 2,
        /// The process of its executor.
        optional uint32 executor_pid = 3,
    }

    /// Control groups of Linux.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct CgroupInfo {
        /// The mark of its packets.
        optional message<NetCls> net_cls = 1,
    }

    /// The mark that a control group gives to packets.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct NetCls {
        /// Major handle in the high 16 bits, minor handle in the low ones.
        optional uint32 classid = 1,
    }
}

enumerations! {
    /// Kinds of containers.
    pub enum ContainerType {
        /// Of Docker.
        Docker = 1 "DOCKER",
        /// Of Mesos itself.
        Mesos = 2 "MESOS",
    }

    /// Kinds of networks of Docker.
    pub enum DockerNetwork {
        /// That of the host.
        Host = 1 "HOST",
        /// One of the host alone.
        Bridge = 2 "BRIDGE",
        /// None.
        None = 3 "NONE",
        /// One that has a name.
        User = 4 "USER",
    }

    /// Whose shared memory a container sees.
    pub enum IpcMode {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// Its own.
        Private = 1 "PRIVATE",
        /// That of what it lies in.
        ShareParent = 2 "SHARE_PARENT",
    }

    /// What POSIX limits, by the names of `getrlimit`.
    #[allow(missing_docs, reason = "the names are those of getrlimit(2), which explains them")]
    pub enum RLimitType {
        Unknown = 0 "UNKNOWN",
        As = 1 "RLMT_AS",
        Core = 2 "RLMT_CORE",
        Cpu = 3 "RLMT_CPU",
        Data = 4 "RLMT_DATA",
        Fsize = 5 "RLMT_FSIZE",
        Locks = 6 "RLMT_LOCKS",
        Memlock = 7 "RLMT_MEMLOCK",
        Msgqueue = 8 "RLMT_MSGQUEUE",
        Nice = 9 "RLMT_NICE",
        Nofile = 10 "RLMT_NOFILE",
        Nproc = 11 "RLMT_NPROC",
        Rss = 12 "RLMT_RSS",
        Rtprio = 13 "RLMT_RTPRIO",
        Rttime = 14 "RLMT_RTTIME",
        Sigpending = 15 "RLMT_SIGPENDING",
        Stack = 16 "RLMT_STACK",
    }

    /// Capabilities of Linux, by the names of capabilities(7); 1000 more than their numbers there.
    #[allow(missing_docs, reason = "the names are those of capabilities(7), which explains them")]
    pub enum LinuxCapability {
        Unknown = 0 "UNKNOWN",
        Chown = 1000 "CHOWN",
        DacOverride = 1001 "DAC_OVERRIDE",
        DacReadSearch = 1002 "DAC_READ_SEARCH",
        Fowner = 1003 "FOWNER",
        Fsetid = 1004 "FSETID",
        Kill = 1005 "KILL",
        Setgid = 1006 "SETGID",
        Setuid = 1007 "SETUID",
        Setpcap = 1008 "SETPCAP",
        LinuxImmutable = 1009 "LINUX_IMMUTABLE",
        NetBindService = 1010 "NET_BIND_SERVICE",
        NetBroadcast = 1011 "NET_BROADCAST",
        NetAdmin = 1012 "NET_ADMIN",
        NetRaw = 1013 "NET_RAW",
        IpcLock = 1014 "IPC_LOCK",
        IpcOwner = 1015 "IPC_OWNER",
        SysModule = 1016 "SYS_MODULE",
        SysRawio = 1017 "SYS_RAWIO",
        SysChroot = 1018 "SYS_CHROOT",
        SysPtrace = 1019 "SYS_PTRACE",
        SysPacct = 1020 "SYS_PACCT",
        SysAdmin = 1021 "SYS_ADMIN",
        SysBoot = 1022 "SYS_BOOT",
        SysNice = 1023 "SYS_NICE",
        SysResource = 1024 "SYS_RESOURCE",
        SysTime = 1025 "SYS_TIME",
        SysTtyConfig = 1026 "SYS_TTY_CONFIG",
        Mknod = 1027 "MKNOD",
        Lease = 1028 "LEASE",
        AuditWrite = 1029 "AUDIT_WRITE",
        AuditControl = 1030 "AUDIT_CONTROL",
        Setfcap = 1031 "SETFCAP",
        MacOverride = 1032 "MAC_OVERRIDE",
        MacAdmin = 1033 "MAC_ADMIN",
        Syslog = 1034 "SYSLOG",
        WakeAlarm = 1035 "WAKE_ALARM",
        BlockSuspend = 1036 "BLOCK_SUSPEND",
        AuditRead = 1037 "AUDIT_READ",
        Perfmon = 1038 "PERFMON",
        Bpf = 1039 "BPF",
        CheckpointRestore = 1040 "CHECKPOINT_RESTORE",
    }
}
