//! The flags that all client commands have. They may stand before or after the command's name, and
//! after the name of what it is to do, as in `agents drain`.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use serde::Deserialize;

use crate::{client::Address, config::text, screen::Format};

/// Under which the help of `muster` itself lists them.
const HEADING: &str = "Options of client commands";

/// Flags of every client command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientFlags {
    /// The scheduler to call [default: that of `muster dev`, else http://127.0.0.1:8899]
    #[arg(long, env = "MUSTER_SERVER", value_name = "URL", help_heading = HEADING)]
    #[serde(deserialize_with = "text")]
    pub(crate) server: Option<Address>,
    /// File with the token to show it
    #[arg(long, env = "MUSTER_TOKEN_FILE", value_name = "FILE", help_heading = HEADING)]
    pub(crate) token_file: Option<PathBuf>,
    /// How to show answers [default: table]
    #[arg(long, short, env = "MUSTER_OUTPUT", value_name = "FORMAT", help_heading = HEADING)]
    pub(crate) output: Option<Format>,
}

impl ClientFlags {
    /// These, and where they are silent the others.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            server: self.server.or(others.server),
            token_file: self.token_file.or(others.token_file),
            output: self.output.or(others.output),
        }
    }
}

/// Client commands, each with the flags that stand after its name and after its order's.
#[derive(Debug)]
pub(crate) struct WithFlags<C> {
    pub(crate) flags: ClientFlags,
    pub(crate) command: C,
}

/// The flags as a command has them: without a look at the environment, which counts less than what
/// stands before the command's name and is read there. The orders of a command have them as well.
fn add_flags(command: Command) -> Command {
    let all = ClientFlags::augment_args(Command::default());
    let flags = all.get_arguments().cloned().map(|flag| {
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        let variable = flag.get_env().unwrap_or_default().to_string_lossy().into_owned();
        flag.env(None).help(format!("{help} [env: {variable}]")).help_heading(None)
    });
    let orders = names(&command);
    orders.into_iter().fold(command.args(flags), |all, name| all.mut_subcommand(name, add_flags))
}

/// What stands after the names of the command and of its order; the last one counts the most.
fn given(matches: &ArgMatches) -> Result<ClientFlags, clap::Error> {
    match matches.subcommand() {
        Some((_, own)) => Ok(given(own)?.or(ClientFlags::from_arg_matches(own)?)),
        None => Ok(ClientFlags::default()),
    }
}

/// The commands below one. That which clap makes itself, `help`, is not among them yet.
fn names(command: &Command) -> Vec<String> {
    command.get_subcommands().map(|own| own.get_name().to_owned()).collect()
}

impl<C: Subcommand> FromArgMatches for WithFlags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { flags: given(matches)?, command: C::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<C: Subcommand> Subcommand for WithFlags<C> {
    fn augment_subcommands(command: Command) -> Command {
        let own = C::augment_subcommands(Command::default());
        let command = C::augment_subcommands(command);
        names(&own).into_iter().fold(command, |all, name| all.mut_subcommand(name, add_flags))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        C::has_subcommand(name)
    }
}
