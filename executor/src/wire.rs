//! Between the messages of the executor API and the events and effects of the core.

use muster_proto::{
    CapabilityType, DurationInfo, ExecutorId, FrameworkId, FrameworkInfo, Labels, StatusSource,
    TaskStatus,
    executor::{self, Call, CallMessage, CallType, EventType, Subscribe},
};

use crate::core::{Event, Outgoing, Update};

/// What a message of the agent means.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Something for the core.
    Event(Event),
    /// The agent lives, or says something that is not for us.
    Nothing,
    /// The agent ends the subscription.
    Over(String),
}

/// Reads a message of the agent. One of an unknown kind is passed over.
pub fn hear(message: executor::Event) -> Heard {
    let event = match message.r#type() {
        EventType::Subscribed => {
            let framework = message.subscribed.and_then(|subscribed| subscribed.framework_info);
            let killing_state = framework.is_some_and(|framework| wants_killing_state(&framework));
            Some(Event::Subscribed { killing_state })
        }
        EventType::Launch => {
            let task = message.launch.and_then(|launch| launch.task);
            task.map(|task| Event::Launch(Box::new(task)))
        }
        EventType::Kill => message.kill.and_then(|kill| {
            let policy = kill.kill_policy.and_then(|policy| policy.grace_period);
            let grace = policy.map(DurationInfo::duration);
            kill.task_id.map(|task| Event::Kill { task, grace })
        }),
        EventType::Acknowledged => message.acknowledged.and_then(|acknowledged| {
            let uuid = acknowledged.uuid;
            acknowledged.task_id.map(|task| Event::Acknowledged { task, uuid })
        }),
        EventType::MessageTaken => {
            message.message_taken.map(|taken| Event::Taken { number: taken.number })
        }
        EventType::Shutdown => Some(Event::Shutdown),
        EventType::Error => {
            let error = message.error.map(|error| error.message).unwrap_or_default();
            return Heard::Over(error);
        }
        EventType::Unknown | EventType::LaunchGroup | EventType::Message | EventType::Heartbeat => {
            None
        }
    };
    event.map_or(Heard::Nothing, Heard::Event)
}

fn wants_killing_state(framework: &FrameworkInfo) -> bool {
    let mut capabilities = framework.capabilities.iter();
    capabilities.any(|capability| capability.r#type() == CapabilityType::TaskKillingState)
}

/// Who speaks.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Its framework.
    pub framework: FrameworkId,
    /// Which executor it is.
    pub executor: ExecutorId,
}

impl Sender {
    /// The message that says this.
    pub fn call(&self, outgoing: Outgoing) -> Call {
        let mut call = Call {
            executor_id: Some(self.executor.clone()),
            framework_id: Some(self.framework.clone()),
            ..Call::default()
        };
        match outgoing {
            Outgoing::Subscribe { tasks, updates } => {
                call.set_type(CallType::Subscribe);
                let updates = updates.into_iter().map(|update| self.update(update)).collect();
                call.subscribe = Some(Subscribe {
                    unacknowledged_tasks: tasks,
                    unacknowledged_updates: updates,
                });
            }
            Outgoing::Update(update) => {
                call.set_type(CallType::Update);
                call.update = Some(self.update(update));
            }
            Outgoing::Executions(batch) => {
                call.set_type(CallType::Message);
                let (data, number) = (batch.encode(), Some(batch.number));
                call.message = Some(CallMessage { data, number });
            }
        }
        call
    }

    fn update(&self, update: Update) -> executor::Update {
        let status = TaskStatus {
            task_id: Some(update.task),
            state: update.state.into(),
            data: update.report.map(|report| report.encode()),
            message: update.message,
            timestamp: Some(update.at.as_millis() as f64 / 1000.0),
            executor_id: Some(self.executor.clone()),
            source: Some(StatusSource::Executor.into()),
            uuid: Some(update.uuid.as_bytes().to_vec()),
            labels: update.label.map(|label| Labels::of([label])),
            ..TaskStatus::default()
        };
        executor::Update { status: Some(status) }
    }
}
