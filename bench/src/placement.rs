//! Placement that grows: the rooms alone, then whole steps of the engine, each with as many agents
//! and waiting shards as asked for. Nothing here touches a disk or a network.

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use anyhow::{Context as _, bail};
use muster_api::{
    AgentId, IdStream, Mono, Now, Resources,
    spec::{AppSpec, JobSpec},
    step::Records,
    views::TriggerRequest,
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, LaunchBatch, Step},
    event::{Command, Event, Expect, Offer, RequestId},
    placement::{Class, Kind, Room, Rooms, Shape, Spreading},
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::report::{Figure, Sample, Unit};

/// How much is placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) agents: u32,
    pub(crate) shards: u32,
}

impl Size {
    /// The same, but for so many times less of both.
    pub(crate) fn divided(self, by: u32) -> Self {
        Self { agents: (self.agents / by).max(1), shards: (self.shards / by).max(10) }
    }
}

/// Apps; each run is of one of them.
const APPS: u32 = 100;
/// What shards need, in thousandths of cpus and MiB. No shard fits where none of them does.
const NEEDS: [[u64; 2]; 8] = [
    [500, 64_000],
    [750, 512_000],
    [1_000, 128_000],
    [1_000, 1_024_000],
    [1_250, 256_000],
    [1_500, 96_000],
    [1_750, 768_000],
    [2_000, 200_000],
];
/// What each executor needs, in thousandths.
const OVERHEAD: [u64; 2] = [200, 128_000];
/// The attribute that runs are spread over.
const HOST: u32 = 1;

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mix {
    Cold,
    Warm,
    Spread,
    Avoid,
    AllAtOnce,
}

/// The rooms alone, with different things waiting.
const PURE: [(&str, Mix, u32); 7] = [
    ("place shards: runs of 10,000", Mix::Cold, 10_000),
    ("place shards: runs of 100", Mix::Cold, 100),
    ("place shards: runs of 1", Mix::Cold, 1),
    ("place shards: runs of 100, warm", Mix::Warm, 100),
    ("place shards: runs of 100, spread", Mix::Spread, 100),
    ("place shards: runs of 1, avoiding", Mix::Avoid, 1),
    ("place shards: runs of 100, at once", Mix::AllAtOnce, 100),
];

/// All figures of one size, each beside its floor.
pub(crate) fn measure(size: Size) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (what, mix, run) in PURE {
        let sample = pure(size, mix, run.min(size.shards))?;
        let floor = "sort of the agents, one sum a shard";
        figures.push(Figure { what, floor, unit: Unit::Time, sample });
    }
    figures.extend(steps(size)?);
    Ok(figures)
}

/// The nanoseconds of a processor that something takes, whatever else runs on this machine.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let nanos = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let before = nanos();
    let result = work();
    (result, nanos() - before)
}

/// Numbers that are the same in every round.
fn numbers() -> IdStream {
    IdStream::new(7, 7)
}

/// Agents that differ, with room for all shards and not much more.
fn rooms(size: Size, warm: bool) -> Vec<Room> {
    let mut random = numbers();
    let scale = u64::from(size.shards).div_ceil(u64::from(size.agents)).div_ceil(10).max(1);
    let room = |host: u32| {
        let cpus = scale * (16_000 + random.bits() % 16 * 1_000);
        let mem = scale * (12_288_000 + random.bits() % 8 * 1_024_000);
        let kinds = (0..APPS).filter(|app| warm && (app + host).is_multiple_of(20)).map(kind);
        let attributes = BTreeMap::from([(HOST, host + 1)]);
        Room { free: vec![cpus, mem], attributes, warm: kinds.collect(), ..Room::default() }
    };
    (0..size.agents).map(room).collect()
}

fn kind(app: u32) -> Kind {
    Kind { app: u128::from(app), revision: 1 }
}

fn classes(size: Size, mix: Mix, run: u32) -> Vec<Class> {
    let mut random = numbers();
    let class = |number: u32| {
        let need = NEEDS[(random.bits() % NEEDS.len() as u64) as usize].to_vec();
        let (overhead, kind) = (OVERHEAD.to_vec(), kind(number % APPS));
        let shape = Shape { need, overhead, kind, ..Shape::default() };
        let spread = Spreading { over: HOST, there: BTreeMap::new() };
        Class {
            shape: Arc::new(shape),
            count: run as usize,
            all_at_once: mix == Mix::AllAtOnce,
            spread: (mix == Mix::Spread).then_some(spread),
            avoid: (mix == Mix::Avoid).then_some(number % size.agents),
            since: None,
            through: false,
        }
    };
    (0..size.shards / run).map(class).collect()
}

/// Places all shards, and beside it does the least that anybody could who places them well: sorts
/// the agents by how many shards fit, and takes each shard's need from one of them.
fn pure(size: Size, mix: Mix, run: u32) -> anyhow::Result<Sample> {
    let (all, classes) = (rooms(size, mix == Mix::Warm), classes(size, mix, run));
    let ((), before) = timed(|| least(&all, &classes));
    let mut rooms = Rooms::default();
    for room in all.clone() {
        rooms.add(room);
    }
    let (placed, muster) = timed(|| {
        let placed = classes.iter().map(|class| rooms.place(class, usize::MAX).rooms.len());
        placed.sum::<usize>()
    });
    let wanted: usize = classes.iter().map(|class| class.count).sum();
    if placed < wanted {
        bail!("{placed} of {wanted} shards have room; the mix {mix:?} is made wrong");
    }
    let ((), after) = timed(|| least(&all, &classes));
    Ok(Sample { muster, floor: f64::midpoint(before, after) })
}

fn least(rooms: &[Room], classes: &[Class]) {
    let fits = |room: &Room| (room.free[0] / NEEDS[0][0]).min(room.free[1] / NEEDS[0][1]);
    let mut sorted: Vec<(u64, [u64; 2])> =
        rooms.iter().map(|room| (fits(room), [room.free[0], room.free[1]])).collect();
    sorted.sort_unstable();
    let mut next = (0..sorted.len()).cycle();
    for class in classes {
        for at in next.by_ref().take(class.count) {
            for (free, need) in sorted[at].1.iter_mut().zip(&class.shape.need) {
                *free = free.saturating_sub(*need);
            }
        }
    }
    black_box(sorted);
}

/// An engine with agents and waiting shards, and what its agents have free.
struct Cluster {
    engine: Engine,
    now: Now,
    free: BTreeMap<AgentId, Resources>,
    offers: u64,
}

const CONFIG: EngineConfig =
    EngineConfig::new(|id, app| format!("{id} of {}", app.name).into_bytes());

/// Shards of a run that is launched, and of one that waits in vain.
const LAUNCHED_RUN: u32 = 100;
const WAITING_RUN: u32 = 10;

/// From the first offer until all shards are launched; then one task ends on a full cluster on
/// which as many shards wait in vain.
fn steps(size: Size) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::new(size)?;
    cluster.add_runs("fit", size.shards, LAUNCHED_RUN, &|run| {
        [500 + run % 7 * 250, 64_000 + run % 5 * 64_000]
    })?;
    let offers = cluster.offer_all();
    let (launched, muster) = timed(|| cluster.launch_all(offers));
    let launched = launched?;
    if launched.tasks < size.shards {
        bail!("{} of {} shards were launched", launched.tasks, size.shards);
    }
    let ((), floor) = timed(|| black_box(&launched.payloads).iter().for_each(decode));
    let launch = Figure {
        what: "engine: launch all shards",
        floor: "decode of their payloads",
        unit: Unit::Time,
        sample: Sample { muster, floor },
    };
    let longest = Figure {
        what: "engine: its longest step",
        floor: "decode of 400 payloads",
        unit: Unit::Time,
        sample: Sample { muster: launched.longest, floor: floor * 400.0 / f64::from(size.shards) },
    };

    // Each run needs something else, and more memory than any agent has.
    let most = cluster.free.values().map(|free| free.get("mem").thousandths()).max();
    let most = most.context("there are no agents")?;
    cluster.add_runs("wait", size.shards, WAITING_RUN, &|run| [100, most + 1_000 + run])?;
    cluster.rest()?;
    let events = 100;
    let offers = cluster.small_offers(events);
    let (woken, small) =
        timed(|| offers.into_iter().map(|offer| cluster.step(Event::Offers(vec![offer]))).count());
    let event = Figure {
        what: "engine: a small offer, all wait",
        floor: "decode of one payload",
        unit: Unit::Time,
        sample: Sample { muster: small / woken as f64, floor: floor / f64::from(size.shards) },
    };
    Ok(vec![launch, longest, event])
}

#[allow(clippy::ptr_arg, reason = "called for each element of a list of lists")]
fn decode(payload: &Vec<u8>) {
    black_box(muster_api::task::TaskPayload::decode(payload).is_ok());
}

/// What was launched.
#[derive(Default)]
struct Launched {
    tasks: u32,
    payloads: Vec<Vec<u8>>,
    /// The nanoseconds of the longest step.
    longest: f64,
}

impl Cluster {
    fn new(size: Size) -> anyhow::Result<Self> {
        let now = Now { wall: "2026-01-01T00:00:00Z".parse()?, mono: Mono::from_millis(1_000_000) };
        let (engine, _) = Engine::restore(CONFIG, 1, &Records::new(), now)?;
        let mut free = BTreeMap::new();
        for (number, room) in rooms(size, false).into_iter().enumerate() {
            let text = format!("cpus:{};mem:{}", room.free[0] / 1000, room.free[1] / 1000);
            free.insert(format!("agent-{number:05}").parse()?, text.parse()?);
        }
        let mut cluster = Self { engine, now, free, offers: 0 };
        for app in 0..APPS {
            let app = json!({"name": format!("app-{app}"), "resources": {"cpus": 0.2, "mem": 16}});
            let spec = AppSpec::parse(app).ok().context("the app is made wrong")?.spec;
            cluster.command(Command::PutApp { spec, expect: Expect::Anything });
        }
        Ok(cluster)
    }

    fn step(&mut self, event: Event) -> Step {
        let mut step = self.engine.advance(self.now, event);
        step.writes.extend(self.engine.take_writes(self.now));
        step
    }

    fn command(&mut self, command: Command) -> Step {
        self.step(Event::Command { request: RequestId(0), command })
    }

    /// Makes runs that wait, each of a job of its own whose shards need so many thousandths.
    fn add_runs(
        &mut self,
        name: &str,
        shards: u32,
        of_run: u32,
        need: &dyn Fn(u64) -> [u64; 2],
    ) -> anyhow::Result<()> {
        let of_run = of_run.min(shards);
        for run in 0..shards / of_run {
            let (job, app) = (format!("{name}-{run}"), format!("app-{}", run % APPS));
            let [cpus, mem] = need(u64::from(run)).map(|thousandths| thousandths as f64 / 1000.0);
            let job = json!({"name": job, "app": app, "type": "script",
                "script": {"command": "true"}, "resources": {"cpus": cpus, "mem": mem},
                "sharding": {"count": of_run}});
            let spec = JobSpec::parse(job).ok().context("the job is made wrong")?.spec;
            let name = spec.name.clone();
            self.command(Command::PutJob { spec, expect: Expect::Anything });
            let request = TriggerRequest::default();
            self.command(Command::Trigger { job: name, request, idempotency_key: None });
        }
        Ok(())
    }

    fn offer(&mut self, agent: &AgentId, resources: Resources) -> anyhow::Result<Offer> {
        self.offers += 1;
        let (id, hostname) = (format!("offer-{}", self.offers).parse()?, agent.to_string());
        let (agent, attributes) = (agent.clone(), BTreeMap::new());
        let executors = Vec::new();
        Ok(Offer { id, agent, hostname, attributes, resources, executors })
    }

    fn offer_all(&mut self) -> Vec<Offer> {
        let free: Vec<_> = self.free.clone().into_iter().collect();
        free.into_iter().flat_map(|(agent, free)| self.offer(&agent, free)).collect()
    }

    /// Lets the engine launch, and offers what is left as the master does, until nothing is due.
    fn launch_all(&mut self, offers: Vec<Offer>) -> anyhow::Result<Launched> {
        let mut launched = Launched::default();
        let mut event = Event::Offers(offers);
        loop {
            let (step, nanos) = timed(|| self.step(event));
            launched.longest = launched.longest.max(nanos);
            let mut offers = Vec::new();
            for effect in step.effects {
                if let Effect::Launch(batch) = effect {
                    offers.push(self.launched(batch, &mut launched)?);
                }
            }
            if offers.is_empty() && self.engine.next_wakeup().mono != Some(Mono::default()) {
                return Ok(launched);
            }
            event = Event::Offers(offers);
        }
    }

    /// Takes what was launched from its agent, and offers the rest.
    fn launched(&mut self, batch: LaunchBatch, launched: &mut Launched) -> anyhow::Result<Offer> {
        let free = self.free.get_mut(&batch.agent).context("there is no such agent")?;
        let executor: Resources = "cpus:0.2;mem:16".parse()?;
        for task in batch.tasks {
            let rest = free.checked_sub(&task.resources).context("more was used than offered")?;
            let overhead = if task.executor_is_new { &executor } else { &Resources::none() };
            *free = rest.checked_sub(overhead).context("more was used than offered")?;
            launched.tasks += 1;
            launched.payloads.push(task.payload);
        }
        let free = free.clone();
        self.offer(&batch.agent, free)
    }

    /// Lets the engine try all that waits, until nothing is due.
    fn rest(&mut self) -> anyhow::Result<()> {
        let launched = self.launch_all(Vec::new())?;
        if launched.tasks != 0 {
            bail!("{} shards were launched that should have no room", launched.tasks);
        }
        Ok(())
    }

    /// Offers of the room of one small task, each of another agent.
    fn small_offers(&mut self, count: usize) -> Vec<Offer> {
        let small: Resources = "cpus:0.5;mem:64".parse().expect("these are resources");
        let agents: Vec<_> = self.free.keys().take(count).cloned().collect();
        agents.iter().flat_map(|agent| self.offer(agent, small.clone())).collect()
    }
}
