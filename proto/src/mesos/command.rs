//! Commands, and what they find when they start.

use prost::Message;

messages! {
    /// A command to run.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CommandInfo {
        /// What is fetched into the sandbox first.
        repeated message<Uri> uris = 1,
        /// Its environment.
        optional message<Environment> environment = 2,
        /// Whether `value` is a shell line; absent means yes.
        optional bool shell = 6 [default true],
        /// A shell line, or the path of a program.
        optional string value = 3,
        /// The arguments of a program, its own name first.
        repeated string arguments = 7,
        /// The system user that it runs as.
        optional string user = 5,
    }

    /// Something to fetch into a sandbox.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Uri {
        /// Where it is.
        required string value = 1,
        /// Whether it is made executable.
        optional bool executable = 2,
        /// Whether an archive is extracted; absent means yes.
        optional bool extract = 3 [default true],
        /// Whether the agent may keep it for the next executor.
        optional bool cache = 4,
        /// Its name in the sandbox; absent: the last part of the path.
        optional string output_file = 5,
    }

    /// Environment variables.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Environment {
        /// The variables.
        repeated message<Variable> variables = 1,
    }

    /// One environment variable.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Variable {
        /// Name.
        required string name = 1,
        /// Whether it has a value or a secret; absent means a value.
        optional enum<VariableType> r#type = 3 [default "VALUE"],
        /// Value.
        optional string value = 2,
        /// Secret.
        optional boxed<Secret> secret = 4,
    }

    /// A secret, or where one is kept.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Secret {
        /// Which of the two.
        optional enum<SecretType> r#type = 1,
        /// Where it is kept.
        optional message<SecretReference> reference = 2,
        /// The secret itself.
        optional message<SecretValue> value = 3,
    }

    /// Where a secret is kept.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct SecretReference {
        /// Its name.
        required string name = 1,
        /// Which of the values under that name.
        optional string key = 2,
    }

    /// A secret itself.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct SecretValue {
        /// The bytes.
        required bytes data = 1,
    }
}

enumerations! {
    /// What an environment variable holds.
    pub enum VariableType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// A value.
        Value = 1 "VALUE",
        /// A secret.
        Secret = 2 "SECRET",
    }

    /// How a secret is given.
    pub enum SecretType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// By where it is kept.
        Reference = 1 "REFERENCE",
        /// By itself.
        Value = 2 "VALUE",
    }
}
