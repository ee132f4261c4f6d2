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

    /// Where a volume comes from. The part of its type is set; volumes of CSI plugins are not told.
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
