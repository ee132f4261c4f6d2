//! What the rows are measured with, each made when the first row needs it.

use std::path::Path;

use anyhow::Context as _;

use crate::{
    cluster::Cluster,
    floor::Appends,
    history::History,
    many_jobs,
    placement::{self, Size},
    programs::Programs,
    report::Figure,
    rows::{Kind, Live, Sizes},
    stores::Stores,
};

/// What is placed when nothing says less.
const PLACEMENT: Size = Size { agents: 10_000, shards: 100_000 };

/// All that is measured.
pub(crate) struct Bench<'a> {
    programs: &'a Programs,
    folder: &'a Path,
    sizes: Sizes,
    cluster: Option<Cluster>,
    live: Option<Live>,
    stores: Option<(Stores, Appends)>,
    history: Option<History>,
}

impl<'a> Bench<'a> {
    /// Nothing yet; all that is stored will be in `folder`.
    pub(crate) fn new(programs: &'a Programs, folder: &'a Path, sizes: Sizes) -> Self {
        let (cluster, live, stores, history) = (None, None, None, None);
        Self { programs, folder, sizes, cluster, live, stores, history }
    }

    /// Measures one row, or some that belong together, once.
    pub(crate) async fn measure(&mut self, kind: Kind) -> anyhow::Result<Vec<Figure>> {
        match kind {
            Kind::Shards | Kind::Trigger | Kind::Scripts => self.live().await?.measure(kind).await,
            Kind::Commits => {
                if self.stores.is_none() {
                    let appends = Appends::new(self.folder, "appends-beside-commits")?;
                    self.stores = Some((Stores::new(self.folder)?, appends));
                }
                let (stores, appends) = self.stores.as_mut().context("they were just made")?;
                stores.measure(appends, self.sizes.disk)
            }
            Kind::History => {
                if self.history.is_none() {
                    let Sizes { past_runs, requests, .. } = self.sizes;
                    let history =
                        History::prepare(self.programs, self.folder, past_runs, requests).await?;
                    self.history = Some(history);
                }
                self.history.as_mut().context("it was just made")?.measure().await
            }
            Kind::Jobs => {
                let Sizes { jobs, idle, .. } = self.sizes;
                many_jobs::measure(self.programs, self.folder, jobs, idle).await
            }
            Kind::Placement => placement::measure(PLACEMENT.divided(self.sizes.placement_divided)),
        }
    }

    async fn live(&mut self) -> anyhow::Result<&mut Live> {
        if self.live.is_none() {
            let cluster = self.cluster.insert(Cluster::start(self.programs, self.folder)?);
            let client = cluster.ready().await?;
            let live = Live::prepare(client, self.programs, self.folder, self.sizes).await?;
            self.live = Some(live);
        }
        self.live.as_mut().context("it was just made")
    }

    /// Ends all that was started; gives what was logged last, for when something went wrong.
    pub(crate) async fn end(self) -> anyhow::Result<String> {
        let mut log = String::new();
        if let Some(cluster) = self.cluster {
            log = cluster.end().await?;
        }
        if let Some(history) = self.history {
            log.push_str(&history.end().await?);
        }
        Ok(log)
    }
}
