//! What agents write to a supervisor's socket: it is read the same however it is cut, and whatever
//! it says, an executor is ended by its lease, once, and reported once.

use std::time::Duration;

use muster_agent::supervise::{Effect, Event, Orders, Overlong, Supervisor};
use muster_api::{Mono, limits};

/// The end of the first lease, in milliseconds.
const LEASE: u64 = 30_000;

/// The clock does not go beyond this.
const NEVER: Mono = Mono::from_millis(u64::MAX);

/// The first byte says in what pieces the others come; between two pieces a second goes by.
pub fn check(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    let size = usize::from(size).max(1);
    assert_eq!(read(bytes, size), read(bytes, bytes.len().max(1)));

    let deadline = (size % 2 == 0).then(|| Mono::from_millis(LEASE));
    let mut one = Watched::new(deadline);
    let mut orders = Orders::default();
    for piece in bytes.chunks(size) {
        let mut events = Vec::new();
        let overlong = orders.feed(piece, &mut events).is_err();
        for event in events {
            one.step(&event);
        }
        one.pass(Duration::from_secs(1));
        if overlong {
            break;
        }
    }
    one.finish();
}

fn read(bytes: &[u8], size: usize) -> (Vec<Event>, Result<(), Overlong>) {
    let (mut orders, mut events) = (Orders::default(), Vec::new());
    let end = bytes.chunks(size).try_for_each(|piece| orders.feed(piece, &mut events));
    (events, end)
}

/// A supervisor with its clock, and what it has done so far.
struct Watched {
    core: Supervisor,
    now: Mono,
    /// The end of its lease, reckoned beside it.
    deadline: Option<Mono>,
    done: Vec<&'static str>,
}

impl Watched {
    fn new(deadline: Option<Mono>) -> Self {
        let now = Mono::from_millis(1_000);
        Self { core: Supervisor::new(deadline), now, deadline, done: Vec::new() }
    }

    fn step(&mut self, event: &Event) {
        if let (Event::Deadline { at, said }, Some(deadline)) = (event, &mut self.deadline)
            && *said < *deadline
        {
            *deadline = (*deadline).max(*at);
        }
        let effect = self.core.step(self.now, event);
        let is_over = self.core.is_over();
        match effect {
            None => {}
            Some(Effect::Terminate) => self.note("terminate"),
            Some(Effect::KillAll) => {
                self.note("kill");
                self.step(&Event::Ended { status: 9 });
                self.step(&Event::AllGone);
            }
            Some(Effect::Report(exit)) => {
                assert!(is_over && exit.status == 9);
                self.note("report");
            }
        }
    }

    /// Each thing is done once, in this order.
    fn note(&mut self, what: &'static str) {
        self.done.push(what);
        let orders = ["terminate kill report", "kill report"];
        let done = self.done.join(" ");
        assert!(orders.iter().any(|order| order.starts_with(&done)), "{done}");
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.step(&Event::Tick);
        assert!(self.core.next_wakeup().is_none_or(|at| at > self.now), "it is never late");
        if let Some(deadline) = self.deadline {
            let done = !self.done.is_empty();
            assert!(self.now < deadline || done, "the lease is over and it was not told to end");
            let killed = self.core.is_over();
            let last = deadline + limits::LEASE_KILL;
            assert!(self.now < last || killed, "the lease is long over and it lives");
        }
    }

    /// Lets time go by until the lease has ended it, whatever was said.
    fn finish(mut self) {
        while let Some(at) = self.core.next_wakeup() {
            if at == NEVER {
                return;
            }
            self.pass(at.since(self.now));
        }
        let over = self.core.is_over();
        assert!(over || (self.deadline.is_none() && self.done.is_empty()));
        assert_eq!(over, self.done.contains(&"report"));
    }
}

/// Orders, and what is none.
pub fn seeds() -> Vec<Vec<u8>> {
    let most = u64::MAX;
    [
        r#"{"deadline":{"at_ms":60000,"said_ms":1500}} {"end":{"grace_ms":3000}} "#.to_owned(),
        format!(r#"{{"deadline":{{"at_ms":{most}}}}} {{"end":{{"grace_ms":{most}}}}} "#),
        r#"{"end":{"grace_ms":0}} {"end":{"grace_ms":1}} "#.to_owned(),
        r#"{"deadline":{"at_ms":-1}} {"deadline":5} {"polish":{}}  {"end":{"grace_ms":1e3}} "#
            .into(),
        r#"{"running":{"pid":1}} [[[[[[ "end" null"#.to_owned(),
    ]
    .iter()
    .map(|text| text.replace(' ', "\n"))
    .flat_map(|text| [1u8, 8, 100].map(|size| [&[size], text.as_bytes()].concat()))
    .collect()
}
