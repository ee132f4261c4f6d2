//! The client commands.

mod apply;
mod credentials;
mod drain;
mod events;
mod explain;
mod fires;
mod follow;
mod frameworks;
mod gone;
mod hold;
mod hosts;
mod logs;
mod next;
mod notices;
mod runs;
mod subjects;
mod trigger;
mod wait;
mod why;

use std::process::ExitCode;

use crate::{
    args::{AgentsOrder, ClientCommand},
    client::{Client, Pointer},
    client_flags::ClientFlags,
    screen::Screen,
};

/// What a client command works with.
#[derive(Debug, Clone)]
struct Session {
    client: Client,
    screen: Screen,
}

/// Does what a client command says.
pub(crate) async fn run(command: ClientCommand, flags: ClientFlags) -> anyhow::Result<ExitCode> {
    let screen = Screen::new(flags.output.unwrap_or_default());
    if let ClientCommand::Next(args) = &command
        && let Some(cron) = &args.cron
    {
        // No scheduler is asked, so none need be there.
        next::try_out(screen, cron, args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let pointer = Pointer::path().and_then(|path| Pointer::read(&path));
    let (address, token_file) = Pointer::resolve(pointer, flags.server, flags.token_file);
    let client = Client::new(address, token_file.as_deref())?;
    let session = Session { client, screen };
    match command {
        ClientCommand::Apply(args) => return apply::apply(&session, &args).await,
        ClientCommand::Run(args) => return trigger::trigger(&session, args).await,
        ClientCommand::Rerun(args) => return trigger::rerun(&session, args).await,
        ClientCommand::Apps => subjects::apps(&session).await?,
        ClientCommand::Jobs => {
            subjects::jobs(&session).await?;
            hold::note(&session).await?;
        }
        ClientCommand::Enable { subject } => subjects::enable(&session, &subject).await?,
        ClientCommand::Disable { subject, kill } => {
            subjects::disable(&session, &subject, kill).await?;
        }
        ClientCommand::Delete { subject } => subjects::delete(&session, &subject).await?,
        ClientCommand::Runs(args) => {
            runs::runs(&session, &args).await?;
            hold::note(&session).await?;
        }
        ClientCommand::Cancel { run } => runs::cancel(&session, run).await?,
        ClientCommand::Kill { run, item } => runs::kill(&session, run, item).await?,
        ClientCommand::Logs(args) => logs::logs(&session, &args).await?,
        ClientCommand::Next(args) => {
            next::next(&session, &args).await?;
            hold::note(&session).await?;
        }
        ClientCommand::Fires(args) => {
            fires::fires(&session, &args).await?;
            hold::note(&session).await?;
        }
        ClientCommand::Agents { order: None } => hosts::agents(&session).await?,
        ClientCommand::Agents { order: Some(AgentsOrder::Gone { host }) } => {
            gone::gone(&session, &host).await?;
        }
        ClientCommand::Agents { order: Some(AgentsOrder::Drain { host, deadline, wait }) } => {
            drain::drain(&session, &host, deadline, wait).await?;
        }
        ClientCommand::Agents { order: Some(AgentsOrder::Activate { host }) } => {
            drain::activate(&session, &host).await?;
        }
        ClientCommand::Frameworks { order } => frameworks::frameworks(&session, order).await?,
        ClientCommand::Roles { order } => frameworks::roles(&session, order).await?,
        ClientCommand::Credentials { order } => credentials::run(&session, order).await?,
        ClientCommand::Reconcile => gone::reconcile(&session).await?,
        ClientCommand::Explain { what } => explain::explain(&session, &what).await?,
        ClientCommand::Notices => notices::notices(&session).await?,
        ClientCommand::Events(args) => events::events(&session, &args).await?,
        ClientCommand::Offers => hosts::offers(&session).await?,
        ClientCommand::Queue => {
            hosts::queue(&session).await?;
            hold::note(&session).await?;
        }
        ClientCommand::Resume { replay } => hold::resume(&session, replay).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The rows of a page as what they are.
fn rows<T: serde::de::DeserializeOwned>(
    items: &[serde_json::Value],
) -> Result<Vec<T>, serde_json::Error> {
    items.iter().map(T::deserialize).collect()
}
