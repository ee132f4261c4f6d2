//! Random events in random order: no ledger goes wrong, and the same events give the same steps.

use std::{collections::BTreeSet, time::Duration};

use muster_api::{AgentId, Span};
use muster_master::core::{Connection, Event, Step};
use muster_proto::{
    FrameworkId, Offer, TaskState,
    agent::{AgentBody, ExecutorExited, Heartbeat, MasterBody, Status},
    scheduler::{Accept, Acknowledge, Call, CallType, Decline, Kill, Reconcile, ReconcileTask},
};
use proptest::prelude::*;

use crate::world::*;

const STATES: [TaskState; 6] = [
    TaskState::Starting,
    TaskState::Running,
    TaskState::Finished,
    TaskState::Failed,
    TaskState::Dropped,
    TaskState::Killed,
];

#[derive(Debug, Clone)]
enum Move {
    /// An agent registers, bringing the tasks whose bit is set.
    Hello {
        agent: usize,
        tasks: u8,
        executors: u8,
        state: usize,
        boot: u8,
    },
    Beat {
        connection: usize,
    },
    Report {
        connection: usize,
        framework: usize,
        task: usize,
        state: usize,
        latest: usize,
    },
    Exit {
        connection: usize,
        framework: usize,
        executor: usize,
    },
    Lose {
        connection: usize,
    },
    /// A framework subscribes; one over HTTP in these roles, by bits, or without any.
    Subscribe {
        framework: usize,
        roles: u8,
        lasting: bool,
    },
    /// One over HTTP changes its roles.
    Update {
        framework: usize,
        roles: u8,
    },
    /// An operator sets the weight of a role.
    Weight {
        role: usize,
        weight: u32,
    },
    /// Uses offers that were seen, the newest first.
    Accept {
        offers: Vec<usize>,
        tasks: Vec<usize>,
        cpus: u8,
        refuse: u8,
        kind: usize,
    },
    Decline {
        framework: usize,
        offer: usize,
        refuse: u8,
    },
    Call {
        framework: usize,
        kind: usize,
    },
    Ask {
        framework: usize,
        task: usize,
        kill: bool,
    },
    Acknowledge {
        framework: usize,
        agent: usize,
        task: usize,
    },
    Wait {
        seconds: u8,
    },
    /// An operator declares an agent gone, if that may be.
    Gone {
        agent: usize,
    },
    /// An operator has an agent drained for so many seconds, or without end, or used again.
    Drain {
        agent: usize,
        seconds: Option<u8>,
    },
    Activate {
        agent: usize,
    },
    /// The stream of a framework ends.
    Leave {
        framework: usize,
    },
    /// An operator removes a framework, if that may be.
    Remove {
        framework: usize,
    },
    Restart,
}

/// Most often the newest offer alone.
fn accepted_offers() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![3 => Just(vec![0]), 1 => prop::collection::vec(0..4usize, 0..3)]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..4usize, any::<u8>(), any::<u8>(), 0..6usize, 0..2u8).prop_map(
            |(agent, tasks, executors, state, boot)| {
                Move::Hello { agent, tasks: tasks & 7, executors: executors & 3, state, boot }
            }
        ),
        6 => (0..6usize).prop_map(|connection| Move::Beat { connection }),
        8 => (0..6usize, 0..3usize, 0..16usize, 0..6usize, 0..6usize).prop_map(
            |(connection, framework, task, state, latest)| {
                Move::Report { connection, framework, task, state, latest }
            }
        ),
        2 => (0..6usize, 0..3usize, 0..3usize).prop_map(|(connection, framework, executor)| {
            Move::Exit { connection, framework, executor }
        }),
        1 => (0..6usize).prop_map(|connection| Move::Lose { connection }),
        5 => (0..3usize, 0..8u8, any::<bool>()).prop_map(|(framework, roles, lasting)| {
            Move::Subscribe { framework, roles, lasting }
        }),
        1 => (1..3usize, 0..8u8).prop_map(|(framework, roles)| Move::Update { framework, roles }),
        1 => (0..3usize, 1..5_000u32).prop_map(|(role, weight)| Move::Weight { role, weight }),
        16 => (
            accepted_offers(),
            prop::collection::vec(0..16usize, 0..4),
            0..4usize,
            0..3u8,
            0..4usize,
        )
            .prop_map(|(offers, tasks, cpus, refuse, kind)| {
                Move::Accept { offers, tasks, cpus: [0, 1, 1, 2][cpus], refuse, kind }
            }),
        3 => (0..3usize, 0..4usize, 0..3u8).prop_map(|(framework, offer, refuse)| {
            Move::Decline { framework, offer, refuse }
        }),
        2 => (0..3usize, 0..16usize).prop_map(|(framework, kind)| Move::Call { framework, kind }),
        2 => (0..3usize, 0..16usize, any::<bool>()).prop_map(|(framework, task, kill)| {
            Move::Ask { framework, task, kill }
        }),
        4 => (0..3usize, 0..4usize, 0..16usize).prop_map(|(framework, agent, task)| {
            Move::Acknowledge { framework, agent, task }
        }),
        2 => (0..15u8).prop_map(|seconds| Move::Wait { seconds }),
        1 => (60..200u8).prop_map(|seconds| Move::Wait { seconds }),
        1 => (0..4usize).prop_map(|agent| Move::Gone { agent }),
        2 => (0..4usize, prop::option::of(0..20u8))
            .prop_map(|(agent, seconds)| Move::Drain { agent, seconds }),
        1 => (0..4usize).prop_map(|agent| Move::Activate { agent }),
        1 => (0..3usize).prop_map(|framework| Move::Leave { framework }),
        1 => (0..9usize).prop_map(|framework| Move::Remove { framework }),
        1 => Just(Move::Restart),
    ];
    prop::collection::vec(one, 1..120)
}

/// A world that remembers what it has seen, so that moves can hit something.
struct Game {
    world: World,
    seen_offers: Vec<Offer>,
    connections: Vec<Connection>,
    beats: u64,
}

impl Game {
    /// Begins with a subscribed framework and two agents.
    fn new() -> Self {
        let mut game =
            Self { world: World::new(), seen_offers: vec![], connections: vec![], beats: 0 };
        game.world.master.offer_timeout(Some(Duration::from_secs(9)));
        game.play(&Move::Subscribe { framework: 0, roles: 0, lasting: true });
        for agent in 0..2 {
            game.play(&Move::Hello { agent, tasks: 0, executors: 0, state: 0, boot: 0 });
            game.play(&Move::Beat { connection: 0 });
        }
        game
    }

    /// Plays a move and checks every invariant of the master.
    fn play(&mut self, what: &Move) -> Vec<Step> {
        let drained = self.drained();
        let steps = self.perform(what);
        let still = &drained & &self.drained();
        for step in &steps {
            for launched in launched_on(step) {
                assert!(!still.contains(&launched), "a launch on {launched}, which is drained");
            }
            self.seen_offers.extend(offers(step));
        }
        let many = self.seen_offers.len().saturating_sub(8);
        self.seen_offers.drain(..many);
        self.world.master.check();
        steps
    }

    /// The agents that are drained.
    fn drained(&self) -> BTreeSet<AgentId> {
        let agents = self.world.agents().into_iter();
        agents.filter(|agent| agent.drain.is_some()).map(|agent| agent.id).collect()
    }

    fn perform(&mut self, what: &Move) -> Vec<Step> {
        let connection = |at: &usize| Connection(self.connections.len().saturating_sub(*at) as u64);
        let event = match what {
            Move::Hello { agent, tasks, executors, state, boot } => {
                let (connection, step) =
                    self.world.hello(arrival(*agent, *tasks, *executors, *state, *boot));
                self.connections.push(connection);
                return vec![step];
            }
            Move::Restart => {
                let world = std::mem::replace(&mut self.world, World::new());
                self.world = world.restart();
                self.world.master.offer_timeout(Some(Duration::from_secs(9)));
                self.connections.clear();
                return vec![];
            }
            Move::Weight { role, weight } => {
                let step = self.world.master.set_weight(self.world.now, ROLES[*role], *weight);
                step.iter().for_each(|step| self.world.store(step));
                return step.into_iter().collect();
            }
            Move::Gone { agent } => {
                return self.world.mark_gone(&agent_id(*agent)).into_iter().collect();
            }
            Move::Drain { agent, seconds } => {
                let deadline = seconds.map(|seconds| Span::from_secs(u64::from(seconds)));
                return self.world.drain(&agent_id(*agent), deadline).into_iter().collect();
            }
            Move::Activate { agent } => {
                return self.world.activate(&agent_id(*agent)).into_iter().collect();
            }
            Move::Leave { framework } => {
                return vec![self.world.leave(&self::framework(*framework))];
            }
            Move::Remove { framework } => {
                let id = self::framework(*framework).value;
                return self.world.remove(&id).into_iter().collect();
            }
            Move::Wait { seconds } => {
                return vec![self.world.wait(Duration::from_secs(u64::from(*seconds)))];
            }
            Move::Beat { connection: at } => {
                self.beats += 1;
                let body = AgentBody::Heartbeat(Heartbeat { number: self.beats });
                Event::FromAgent { connection: connection(at), body }
            }
            Move::Report { connection: at, framework, task, state, latest } => {
                let framework_id = Some(self::framework(*framework));
                let status = Some(status(&format!("t{task}"), STATES[*state]));
                let latest_state = STATES[*latest] as i32;
                let body = AgentBody::Status(Status { framework_id, status, latest_state });
                Event::FromAgent { connection: connection(at), body }
            }
            Move::Exit { connection: at, framework, executor } => {
                let body = AgentBody::ExecutorExited(ExecutorExited {
                    framework_id: Some(self::framework(*framework)),
                    executor_id: Some(muster_proto::ExecutorId::new(format!("e{executor}"))),
                    status: -1,
                });
                Event::FromAgent { connection: connection(at), body }
            }
            Move::Lose { connection: at } => Event::Disconnected { connection: connection(at) },
            other => return vec![self.world.call(self.call(other))],
        };
        vec![self.world.step(event)]
    }

    fn call(&self, what: &Move) -> Call {
        let call = |framework: usize, kind: CallType| Call {
            framework_id: Some(self::framework(framework)),
            r#type: Some(kind as i32),
            ..Call::default()
        };
        match what {
            Move::Accept { offers, tasks, cpus, refuse, kind } => {
                let call = call(0, CallType::Accept);
                self.accept(call, offers, tasks, (*cpus, *refuse, *kind))
            }
            Move::Update { framework, roles } => {
                let subscribe = subscription(*framework, *roles, true).subscribe.unwrap();
                let update = muster_proto::scheduler::UpdateFramework {
                    framework_info: subscribe.framework_info,
                    suppressed_roles: subscribe.suppressed_roles,
                    ..Default::default()
                };
                Call {
                    update_framework: Some(Box::new(update)),
                    ..call(*framework, CallType::UpdateFramework)
                }
            }
            Move::Decline { framework, offer, refuse } => {
                let offer_ids = self.seen_offers.get(*offer).and_then(|offer| offer.id.clone());
                let decline = Decline {
                    offer_ids: offer_ids.into_iter().collect(),
                    filters: filters(*refuse),
                };
                Call { decline: Some(decline), ..call(*framework, CallType::Decline) }
            }
            Move::Call { framework, kind } => {
                let kind = match kind {
                    0 => CallType::Teardown,
                    1..4 => CallType::Suppress,
                    4 => CallType::Message,
                    _ => CallType::Revive,
                };
                call(*framework, kind)
            }
            Move::Ask { framework, task, kill: true } => {
                let task_id = Some(muster_proto::TaskId::new(format!("t{task}")));
                let kill = Kill { task_id, ..Kill::default() };
                Call { kill: Some(kill), ..call(*framework, CallType::Kill) }
            }
            Move::Ask { framework, task, .. } => {
                let asked = |task| ReconcileTask {
                    task_id: Some(muster_proto::TaskId::new(format!("t{task}"))),
                    agent_id: None,
                };
                // About all tasks, or about some.
                let reconcile = Reconcile { tasks: (0..task % 4).map(asked).collect() };
                Call { reconcile: Some(reconcile), ..call(*framework, CallType::Reconcile) }
            }
            Move::Acknowledge { framework, agent, task } => {
                let acknowledge = Acknowledge {
                    agent_id: Some(wire(&agent_id(*agent))),
                    task_id: Some(muster_proto::TaskId::new(format!("t{task}"))),
                    uuid: uuid(&format!("t{task}")),
                };
                Call { acknowledge: Some(acknowledge), ..call(*framework, CallType::Acknowledge) }
            }
            Move::Subscribe { framework, roles, lasting } => {
                subscription(*framework, *roles, *lasting)
            }
            _ => unreachable!("the other moves are no calls"),
        }
    }

    fn accept(
        &self,
        call: Call,
        offers: &[usize],
        tasks: &[usize],
        (cpus, refuse, kind): (u8, u8, usize),
    ) -> Call {
        let offers: Vec<_> =
            offers.iter().filter_map(|at| self.seen_offers.iter().rev().nth(*at)).collect();
        let framework_id = offers.first().and_then(|offer| offer.framework_id.clone());
        let agent = offers.first().and_then(|offer| offer.agent_id.clone());
        let agent: AgentId =
            agent.map_or_else(|| agent_id(0), |agent| agent.value.parse().unwrap());
        let new_task = |at: &usize| {
            let mut task = task(&format!("t{at}"), &agent, &format!("e{}", at % 3));
            task.resources = resources(&format!("cpus:{cpus};mem:64"));
            if kind == 1 {
                task.executor = None;
                task.command = Some(muster_proto::CommandInfo::default());
            }
            task
        };
        let tasks: Vec<_> = tasks.iter().map(new_task).collect();
        let operation = match kind {
            2 => group(tasks),
            _ => launch(tasks),
        };
        let accept = Accept {
            offer_ids: offers.iter().filter_map(|offer| offer.id.clone()).collect(),
            operations: vec![operation],
            filters: filters(refuse),
        };
        Call {
            framework_id: framework_id.or(call.framework_id.clone()),
            accept: Some(accept),
            ..call
        }
    }
}

const ROLES: [&str; 3] = ["a", "b", "b/c"];

/// The SUBSCRIBE of a framework.
fn subscription(framework: usize, roles: u8, lasting: bool) -> Call {
    let id = self::framework(framework);
    let mut call = subscribe_as(&id.value, |info| {
        let mine = (0..3).filter(|bit| roles & (1 << bit) != 0).map(|bit: usize| ROLES[bit]);
        if framework > 0 {
            in_roles(info, &mine.collect::<Vec<_>>());
            info.checkpoint = Some(roles.is_multiple_of(2));
            info.failover_timeout = Some(if lasting { 100.0 } else { 3.0 });
        }
    });
    if framework > 0 && roles == 7 {
        call.subscribe.as_mut().unwrap().suppressed_roles = vec!["b".to_owned()];
    }
    call
}

/// All of these tasks in one executor, or none.
fn group(mut tasks: Vec<muster_proto::TaskInfo>) -> muster_proto::Operation {
    use muster_proto::{ExecutorInfo, ExecutorType, LaunchGroup, Operation, OperationType};
    tasks.iter_mut().for_each(|task| task.executor = None);
    let executor = ExecutorInfo { r#type: Some(ExecutorType::Custom as i32), ..executor("e1") };
    let task_group = Some(muster_proto::TaskGroupInfo { tasks });
    let group = LaunchGroup { executor: Some(executor), task_group };
    Operation {
        r#type: Some(OperationType::LaunchGroup as i32),
        launch_group: Some(Box::new(group)),
        ..Operation::default()
    }
}

/// The agents that something is launched on.
fn launched_on(step: &Step) -> Vec<AgentId> {
    let pick = |(_, body)| match body {
        MasterBody::Launch(launch) => launch.task?.agent_id?.value.parse().ok(),
        MasterBody::LaunchGroup(group) => group.tasks.first()?.agent_id.clone()?.value.parse().ok(),
        _ => None,
    };
    to_agent(step).into_iter().filter_map(pick).collect()
}

fn filters(refuse: u8) -> Option<muster_proto::Filters> {
    Some(muster_proto::Filters { refuse_seconds: Some(f64::from(refuse) * 7.0) })
}

fn framework(at: usize) -> FrameworkId {
    FrameworkId::new(format!("f{at}"))
}

fn agent_id(at: usize) -> AgentId {
    format!("a{at}").parse().unwrap()
}

fn arrival(
    agent: usize,
    tasks: u8,
    executors: u8,
    state: usize,
    boot: u8,
) -> muster_proto::agent::Hello {
    use muster_proto::{FrameworkInfo, agent::*};
    let id = agent_id(agent);
    let mut hello = hello("h", "cpus:4;mem:512");
    hello.boot_id = boot.to_string();
    hello.info.as_mut().unwrap().id = Some(wire(&id));
    let bits = |set: u8| (0..8usize).filter(move |bit| set & (1 << bit) != 0);
    hello.tasks = bits(tasks)
        .map(|bit| TaskHere {
            framework_id: Some(framework(bit % 2)),
            task: Some(task(&format!("t{bit}"), &id, &format!("e{}", bit % 3))),
            state: STATES[state] as i32,
        })
        .collect();
    hello.executors = bits(executors)
        .map(|bit| ExecutorHere {
            framework: Some(FrameworkInfo { id: Some(framework(bit % 2)), ..Default::default() }),
            executor: Some(executor(&format!("e{bit}"))),
            ..ExecutorHere::default()
        })
        .collect();
    hello
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_order_of_events_breaks_the_ledger(moves in moves()) {
        let (mut one, mut two) = (Game::new(), Game::new());
        for what in &moves {
            prop_assert_eq!(one.play(what), two.play(what));
        }
    }
}
