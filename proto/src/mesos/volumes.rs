//! Images and volumes of containers.

use prost::Message;

use super::{Labels, Parameters, Secret};

messages! {
    /// A volume: something that a container finds under a path.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Volume {
        /// Whether it may be written.
        required enum<VolumeMode> mode = 3,
        /// The path in the container.
        required string container_path = 1,
        /// The path on the host.
        optional string host_path = 2,
        /// The image that it is made of.
        optional message<Image> image = 4,
        /// Where it comes from otherwise.
        optional boxed<VolumeSource> source = 5,
    }

    /// Where a volume comes from. The part of its type is set.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct VolumeSource {
        /// Which kind.
        optional enum<VolumeSourceType> r#type = 1,
        /// A volume of a Docker driver.
        optional message<DockerVolume> docker_volume = 2,
        /// A path of the host.
        optional message<HostPath> host_path = 5,
        /// A path in a sandbox.
        optional message<SandboxPath> sandbox_path = 3,
        /// A secret, as a file.
        optional message<Secret> secret = 4,
        /// A volume of a CSI plugin.
        optional boxed<CsiVolume> csi_volume = 6,
    }

    /// A volume of a CSI plugin.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CsiVolume {
        /// The plugin, by the type of its configuration.
        required string plugin_name = 1,
        /// How a volume that is there already is brought to a host.
        optional message<CsiProvisioning> static_provisioning = 2,
    }

    /// How a volume of a CSI plugin is brought to a host and into a container.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CsiProvisioning {
        /// Its id at the plugin.
        required string volume_id = 1,
        /// How it is to be used.
        required message<CsiCapability> volume_capability = 2,
        /// Whether it may only be read.
        optional bool readonly = 3,
        /// What the plugin needs to know to bring it to the host.
        map message<Secret> node_stage_secrets = 4,
        /// What the plugin needs to know to bring it into a container.
        map message<Secret> node_publish_secrets = 5,
        /// What the plugin said of it.
        map string volume_context = 6,
    }

    /// How a volume of a CSI plugin is to be used: as a block device, or mounted.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CsiCapability {
        /// Set if it is to be a block device.
        optional message<CsiBlock> block = 1,
        /// Set if it is to be mounted.
        optional message<CsiMount> mount = 2,
        /// By how many.
        required message<CsiAccess> access_mode = 3,
    }

    /// Says that a volume is to be a block device.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct CsiBlock {}

    /// How a volume is to be mounted.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CsiMount {
        /// The kind of file system.
        optional string fs_type = 1,
        /// Options of the mount.
        repeated string mount_flags = 2,
    }

    /// By how many hosts a volume is to be used at once.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct CsiAccess {
        /// By how many.
        required enum<CsiAccessMode> mode = 1,
    }

    /// A volume of a Docker driver.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DockerVolume {
        /// The driver.
        optional string driver = 1,
        /// The volume's name there.
        required string name = 2,
        /// What the driver is told.
        optional message<Parameters> driver_options = 3,
    }

    /// A path of the host.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct HostPath {
        /// The path.
        required string path = 1,
        /// Which mounts the other side sees.
        optional message<MountPropagation> mount_propagation = 2,
    }

    /// Which mounts pass between a container and its host.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct MountPropagation {
        /// Which.
        optional enum<MountPropagationMode> mode = 1,
    }

    /// A path in a sandbox.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct SandboxPath {
        /// Whose sandbox.
        optional enum<SandboxPathType> r#type = 1,
        /// The path, relative to it.
        required string path = 2,
    }

    /// An image of a container.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Image {
        /// Which kind.
        required enum<ImageType> r#type = 1,
        /// An Appc image.
        optional message<AppcImage> appc = 2,
        /// A Docker image.
        optional message<DockerImage> docker = 3,
        /// Whether one that the agent has already may be used.
        optional bool cached = 4 [default true],
    }

    /// An Appc image.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct AppcImage {
        /// Its name.
        required string name = 1,
        /// Its id: `sha512-` and the digest.
        optional string id = 2,
        /// Labels.
        optional message<Labels> labels = 3,
    }

    /// A Docker image.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DockerImage {
        /// Its name, with registry, repository and tag.
        required string name = 1,
        /// Who is to fetch it; no longer used.
        optional message<Credential> credential = 2,
        /// A Docker configuration with the credentials of the registry.
        optional message<Secret> config = 3,
    }

    /// A name and a password.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Credential {
        /// The name.
        required string principal = 1,
        /// The password.
        optional string secret = 2,
    }
}

enumerations! {
    /// Whether a volume may be written.
    pub enum VolumeMode {
        /// Read and written.
        ReadWrite = 1 "RW",
        /// Read only.
        ReadOnly = 2 "RO",
    }

    /// Kinds of volumes.
    pub enum VolumeSourceType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// Of a Docker driver.
        DockerVolume = 1 "DOCKER_VOLUME",
        /// A path of the host.
        HostPath = 4 "HOST_PATH",
        /// A path in a sandbox.
        SandboxPath = 2 "SANDBOX_PATH",
        /// A secret.
        Secret = 3 "SECRET",
        /// Of a CSI plugin.
        CsiVolume = 5 "CSI_VOLUME",
    }

    /// By how many hosts a volume may be used at once, and how.
    pub enum CsiAccessMode {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// One, which writes.
        SingleNodeWriter = 1 "SINGLE_NODE_WRITER",
        /// One, which reads.
        SingleNodeReaderOnly = 2 "SINGLE_NODE_READER_ONLY",
        /// Many, which read.
        MultiNodeReaderOnly = 3 "MULTI_NODE_READER_ONLY",
        /// Many, one of which writes.
        MultiNodeSingleWriter = 4 "MULTI_NODE_SINGLE_WRITER",
        /// Many, which write.
        MultiNodeMultiWriter = 5 "MULTI_NODE_MULTI_WRITER",
    }

    /// Which mounts pass between a container and its host.
    pub enum MountPropagationMode {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// Those of the host are seen in the container.
        HostToContainer = 1 "HOST_TO_CONTAINER",
        /// Each sees those of the other.
        Bidirectional = 2 "BIDIRECTIONAL",
    }

    /// Whose sandbox.
    pub enum SandboxPathType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// The container's own.
        Own = 1 "SELF",
        /// That of the container it lies in.
        Parent = 2 "PARENT",
    }

    /// Kinds of images.
    pub enum ImageType {
        /// Appc.
        Appc = 1 "APPC",
        /// Docker.
        Docker = 2 "DOCKER",
    }
}
