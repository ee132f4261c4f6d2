//! Showing the output of a run's tasks as it is written.

use std::{ops::ControlFlow, sync::Arc};

use muster_api::{RunId, views::RunView};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{
    Session,
    logs::{self, Lines},
    wait::{self, Over, Patience},
};
use crate::{args::Stream, client::ClientError};

/// Streams that are open at once: each costs a connection and the agent a reader. Those of further
/// shards are shown when others have ended.
const FOLLOWED_AT_ONCE: usize = 64;

/// What the followers of single shards know of the run; nothing at first.
type Told = watch::Receiver<Option<Arc<RunView>>>;

/// Shows what the shards of a run write, or one of them, until the run is over.
pub(super) async fn follow(
    session: &Session,
    run: RunId,
    item: Option<u32>,
    streams: &[Stream],
) -> anyhow::Result<Over> {
    let (tell, mut told) = watch::channel(None);
    let watching = async {
        // Moved here, so that the followers are told when there will be no more news.
        let tell = tell;
        wait::until_over(session, run, |view, why| {
            if let Some(why) = why {
                session.screen.note(format_args!("waiting: {why}"))?;
            }
            tell.send_replace(Some(Arc::new(view.clone())));
            Ok(())
        })
        .await
    };
    let following = async {
        let items = match item {
            Some(item) => vec![item],
            None => items_of_run(session, &mut told).await?,
        };
        follow_items(session, run, &items, item.is_none(), streams, &told).await
    };
    let (over, ()) = tokio::try_join!(watching, following)?;
    Ok(over)
}

/// The shards that the run lists.
async fn items_of_run(session: &Session, told: &mut Told) -> anyhow::Result<Vec<u32>> {
    let Ok(view) = told.wait_for(Option::is_some).await.map(|view| view.clone()) else {
        return Ok(Vec::new());
    };
    let view = view.expect("it was waited for");
    let shards = view.shards.as_deref().unwrap_or_default();
    let total = view.counts.total();
    if shards.len() < total as usize {
        let shown = shards.len();
        session.screen.note(format_args!("showing the first {shown} of {total} shards"))?;
    }
    Ok(shards.iter().map(|shard| shard.item).collect())
}

async fn follow_items(
    session: &Session,
    run: RunId,
    items: &[u32],
    with_item: bool,
    streams: &[Stream],
    told: &Told,
) -> anyhow::Result<()> {
    let permits = Arc::new(Semaphore::new(FOLLOWED_AT_ONCE));
    let mut followers = JoinSet::new();
    for (item, stream) in items.iter().flat_map(|item| streams.iter().map(|s| (*item, *s))) {
        let follower = Follower {
            session: session.clone(),
            run,
            item,
            stream,
            lines: Lines::new(stream, with_item.then_some(item)),
            told: told.clone(),
            permits: permits.clone(),
        };
        followers.spawn(follower.follow());
    }
    while let Some(ended) = followers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Shows one stream of one shard, attempt after attempt.
struct Follower {
    session: Session,
    run: RunId,
    item: u32,
    stream: Stream,
    lines: Lines,
    told: Told,
    permits: Arc<Semaphore>,
}

impl Follower {
    async fn follow(mut self) -> anyhow::Result<()> {
        let mut shown = 0;
        while let Some(newest) = self.newest_attempt(shown).await {
            for attempt in shown + 1..=newest {
                self.show(attempt).await?;
            }
            shown = newest;
        }
        Ok(())
    }

    /// Waits for an attempt after `shown`; `None` when there will be none.
    async fn newest_attempt(&mut self, shown: u32) -> Option<u32> {
        let item = self.item;
        let look = |view: &Option<Arc<RunView>>| match view {
            None => ControlFlow::Continue(()),
            Some(run) => {
                let shards = run.shards.as_deref().unwrap_or_default();
                match shards.iter().find(|shard| shard.item == item) {
                    Some(shard) if shard.attempt > shown => ControlFlow::Break(Some(shard.attempt)),
                    Some(shard) if shard.state.is_over() => ControlFlow::Break(None),
                    None if run.shards.is_some() => ControlFlow::Break(None),
                    _ if run.state.is_over() => ControlFlow::Break(None),
                    _ => ControlFlow::Continue(()),
                }
            }
        };
        let view = self.told.wait_for(|view| look(view).is_break()).await.ok()?;
        look(&view).break_value().flatten()
    }

    /// Shows the output of one attempt until it ends. A stream that breaks is opened again, and
    /// what it said before is passed over.
    async fn show(&mut self, attempt: u32) -> anyhow::Result<()> {
        let permits = self.permits.clone();
        let _permit = permits.acquire().await?;
        let mut patience = Patience::silent();
        let mut shown = 0;
        loop {
            match self.show_from(attempt, &mut shown).await {
                Ok(()) => break,
                Err(Failure::Call(error)) if error.is_not_found() => break,
                Err(Failure::Call(error @ ClientError::Refused(_))) if !error.may_pass() => {
                    let item = self.item;
                    self.session.screen.note(format_args!("no output of shard {item}: {error}"))?;
                    break;
                }
                Err(Failure::Call(error)) => patience.after(error).await?,
                Err(Failure::Screen(error)) => return Err(error.into()),
            }
        }
        Ok(self.lines.end()?)
    }

    async fn show_from(&mut self, attempt: u32, shown: &mut usize) -> Result<(), Failure> {
        let call = logs::call(self.run, self.item, self.stream)
            .query("attempt", attempt)
            .query("follow", true);
        let mut output = self.session.client.stream(call).await?;
        let mut skip = *shown;
        while let Some(bytes) = output.next().await? {
            let old = skip.min(bytes.len());
            skip -= old;
            self.lines.write(&bytes[old..])?;
            *shown += bytes.len() - old;
        }
        Ok(())
    }
}

/// Why output cannot be shown.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Call(#[from] ClientError),
    #[error(transparent)]
    Screen(#[from] std::io::Error),
}
