//! The file of defaults for flags.

use std::{fmt::Display, path::Path, str::FromStr};

use anyhow::Context as _;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    client_flags::ClientFlags,
    server::{AgentFlags, DevFlags, SchedulerFlags},
};

/// What the file says: a section for each command that has flags worth keeping. A flag or its
/// environment variable goes before the file.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConfigFile {
    pub(crate) client: ClientFlags,
    pub(crate) dev: DevFlags,
    pub(crate) scheduler: SchedulerFlags,
    pub(crate) agent: AgentFlags,
}

impl ConfigFile {
    /// Reads the file, if there is one.
    pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration `{name}`"))?;
        Self::parse(&text).with_context(|| format!("the configuration `{name}` is not valid"))
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// Reads a value that is written as a text.
pub(crate) fn text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Format;

    const SERVERS: &str = r#"
        [dev]
        agents = 2
        history_age = "7d"
        [scheduler]
        http = "127.0.0.1:0"
        notify_on = "failed"
        [agent]
        resources = "cpus:4;mem:64"
        attributes = "rack:r1"
        plaintext = true
    "#;

    #[test]
    fn sections_are_read_strictly() {
        let text = "[client]\nserver = \"http://h:1\"\noutput = \"json\"\n";
        let file = ConfigFile::parse(text).unwrap();
        assert_eq!(file.client.server, Some("http://h:1".parse().unwrap()));
        assert_eq!(file.client.output, Some(Format::Json));
        let file = ConfigFile::parse(SERVERS).unwrap();
        assert_eq!((file.dev.agents, file.agent.plaintext), (Some(2), Some(true)));
        assert_eq!(file.dev.installation.history_age, Some("7d".parse().unwrap()));
        let scheduler = &file.scheduler.installation;
        assert_eq!(scheduler.http, Some("127.0.0.1:0".parse().unwrap()));
        assert_eq!(scheduler.notify_on, Some("failed".parse().unwrap()));
        assert_eq!(file.agent.resources, Some("cpus:4;mem:64".parse().unwrap()));
        assert_eq!(file.agent.attributes, Some("rack:r1".parse().unwrap()));
        for text in [
            "[clients]",
            "[client]\nservers = \"x\"",
            "[client]\nserver = \"https://h\"",
            "[dev]\nplaintext = true",
            "[scheduler]\nagents = 1",
            "[scheduler]\nhttp = \"here\"",
        ] {
            assert!(ConfigFile::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_go_before_the_file() {
        let flag = ClientFlags { output: Some(Format::Table), ..ClientFlags::default() };
        let file = ConfigFile::parse("[client]\noutput = \"json\"\ntoken_file = \"/t\"\n").unwrap();
        let both = flag.or(file.client);
        assert_eq!(both.output, Some(Format::Table));
        assert_eq!(both.token_file, Some("/t".into()));
    }
}
