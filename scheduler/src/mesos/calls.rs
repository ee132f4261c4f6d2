//! The calls of one subscription: in order, on one connection that is kept, several on their way at
//! one time. Of each it is said once what became of it, and never more than is known: a call of
//! which a byte may have arrived is not sent again, for twice is worse than not at all.

use std::{collections::VecDeque, io, sync::Arc};

use bytes::{BufMut as _, BytesMut};
use hyper::header::HeaderValue;
use muster_proto::scheduler::Call;
use muster_session::link::{Attempt, CallNumber, Event, MasterAddress, Outcome};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
};

use super::{
    answer::parse,
    counts::LinkCounts,
    dial::{AGENT, PATH, PROTOBUF, STREAM_ID, dial},
};

/// Calls that are on their way at one time: enough for a distant master, and few enough that their
/// answers fit into what a connection holds.
const ON_THEIR_WAY: usize = 64;
/// Bytes of calls that are written down while a master takes none: with more no further call is begun.
const WRITTEN_DOWN: usize = 1024 * 1024;

/// A call to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) number: CallNumber,
    pub(super) stream_id: Option<String>,
    pub(super) call: Call,
}

/// The calls of one subscription.
pub(super) struct Calls {
    pub(super) attempt: Attempt,
    pub(super) master: MasterAddress,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) queue: mpsc::UnboundedReceiver<Outgoing>,
    /// Says that the subscription is given up.
    pub(super) left: oneshot::Receiver<()>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) counts: Arc<LinkCounts>,
}

/// A connection, and what is on its way.
struct Connection {
    stream: TcpStream,
    /// Calls that were begun and are not answered.
    sent: VecDeque<Outgoing>,
    /// What is still to be written of them.
    unwritten: BytesMut,
    /// What has come and is no whole answer yet.
    bytes: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (sent, unwritten, bytes) = Default::default();
        Self { stream, sent, unwritten, bytes }
    }

    /// Whether a further call may be begun.
    fn has_room(&self) -> bool {
        self.sent.len() < ON_THEIR_WAY && self.unwritten.len() < WRITTEN_DOWN
    }
}

/// What comes next on a connection.
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
enum Next {
    Left,
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Call(Option<Outgoing>),
}

/// How a connection has ended.
enum End {
    /// The master has closed it in its own time; a call can go by another one.
    Closed,
    /// The subscription is given up.
    Left,
    /// It broke.
    Broken(String),
}

impl Calls {
    /// Sends calls until the subscription is given up.
    pub(super) async fn run(mut self) {
        // Those that a connection has certainly not taken any more.
        let mut again = VecDeque::new();
        loop {
            if again.is_empty() {
                let next = tokio::select! {
                    biased;
                    _ = &mut self.left => None,
                    next = self.queue.recv() => next,
                };
                let Some(next) = next else { break };
                again.push_back(next);
            }
            let dialled = tokio::select! {
                biased;
                _ = &mut self.left => break,
                dialled = dial(&self.master) => dialled,
            };
            let why = match dialled {
                Err(error) => format!("no connection: {error}"),
                Ok(stream) => match self.serve(stream, &mut again).await {
                    End::Closed => continue,
                    End::Left => break,
                    End::Broken(why) => why,
                },
            };
            self.not_sent(&mut again, &why).await;
        }
        self.not_sent(&mut again, "the subscription is over").await;
        while let Ok(call) = self.queue.try_recv() {
            again.push_back(call);
        }
        self.not_sent(&mut again, "the subscription is over").await;
    }

    /// Sends calls by one connection, those of `first` before others. What was not taken is there
    /// again afterwards.
    async fn serve(&mut self, stream: TcpStream, first: &mut VecDeque<Outgoing>) -> End {
        let mut connection = Connection::new(stream);
        let end = self.exchange(&mut connection, first).await;
        let why = match &end {
            End::Closed => "the master has closed the connection",
            End::Left => "the subscription is over",
            End::Broken(why) => why,
        };
        for call in connection.sent {
            let outcome = Outcome::Unknown { why: why.to_owned() };
            self.tell(&call, outcome).await;
        }
        end
    }

    async fn exchange(&mut self, at: &mut Connection, first: &mut VecDeque<Outgoing>) -> End {
        loop {
            self.begin(at, first);
            match self.next(at).await {
                Next::Left | Next::Call(None) => return End::Left,
                Next::Call(Some(call)) => first.push_back(call),
                // A master that takes nothing is left by the link, for it does not answer either.
                Next::Written(Ok(1..)) => {}
                Next::Written(Ok(0)) => return End::Broken("it takes no more".to_owned()),
                Next::Written(Err(error)) => {
                    return End::Broken(format!("it cannot be sent to: {error}"));
                }
                Next::Read(Ok(0)) if at.sent.is_empty() => return End::Closed,
                Next::Read(Ok(0)) => return End::Broken("it has closed the connection".to_owned()),
                Next::Read(Err(error)) => {
                    return End::Broken(format!("it cannot be read: {error}"));
                }
                Next::Read(Ok(1..)) => match self.answers(at).await {
                    Ok(false) => {}
                    Ok(true) => {
                        // It has looked at no call behind that one.
                        first.extend(at.sent.drain(..));
                        return End::Closed;
                    }
                    Err(why) => return End::Broken(why),
                },
            }
        }
    }

    async fn next(&mut self, at: &mut Connection) -> Next {
        let (has_room, has_more) = (at.has_room(), !at.unwritten.is_empty());
        let (mut from, mut to) = at.stream.split();
        tokio::select! {
            biased;
            _ = &mut self.left => Next::Left,
            read = from.read_buf(&mut at.bytes) => Next::Read(read),
            written = to.write_buf(&mut at.unwritten), if has_more => Next::Written(written),
            next = self.queue.recv(), if has_room => Next::Call(next),
        }
    }

    /// Begins as many calls as may be on their way; those of `first` go before others.
    fn begin(&mut self, at: &mut Connection, first: &mut VecDeque<Outgoing>) {
        while at.has_room()
            && let Some(call) = first.pop_front().or_else(|| self.queue.try_recv().ok())
        {
            self.write(&call, &mut at.unwritten);
            at.sent.push_back(call);
        }
    }

    fn write(&self, outgoing: &Outgoing, to: &mut BytesMut) {
        let body = outgoing.call.encode_to_vec();
        let (master, length) = (&self.master, body.len());
        let stream_id = outgoing.stream_id.iter();
        let stream_id: String = stream_id.map(|id| format!("{STREAM_ID}: {id}\r\n")).collect();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {master}\r\nuser-agent: {AGENT}\r\n\
             content-type: {PROTOBUF}\r\naccept: {PROTOBUF}\r\ncontent-length: {length}\r\n\
             {stream_id}"
        );
        to.put_slice(head.as_bytes());
        if let Some(authorization) = &self.authorization {
            to.put_slice(b"authorization: ");
            to.put_slice(authorization.as_bytes());
            to.put_slice(b"\r\n");
        }
        to.put_slice(b"\r\n");
        to.put_slice(&body);
    }

    /// Takes in the answers that have come; whether the connection ends with the last of them.
    async fn answers(&self, at: &mut Connection) -> Result<bool, String> {
        let mut taken = 0;
        let mut last = false;
        while !last
            && let Some(parsed) = parse(&at.bytes[taken..]).map_err(|error| error.to_string())?
        {
            taken += parsed.bytes;
            if matches!(parsed.answer.status, 100..=199) {
                continue;
            }
            let call = at.sent.pop_front().ok_or("it answers what was not asked")?;
            last = parsed.last;
            self.tell(&call, Outcome::Answered(parsed.answer)).await;
        }
        at.bytes.drain(..taken);
        Ok(last)
    }

    async fn not_sent(&self, calls: &mut VecDeque<Outgoing>, why: &str) {
        for call in calls.drain(..) {
            self.tell(&call, Outcome::NotSent { why: why.to_owned() }).await;
        }
    }

    async fn tell(&self, call: &Outgoing, outcome: Outcome) {
        self.counts.called(&call.call, &outcome);
        let (attempt, number) = (self.attempt, call.number);
        // A driver that has stopped wants to know nothing any more.
        let _ = self.events.send(Event::Called { attempt, number, outcome }).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use muster_proto::scheduler::{self, CallType};
    use tokio::{net::TcpListener, time::timeout};

    use super::{super::Became, *};

    /// No step of these tests takes longer.
    const DEADLINE: Duration = Duration::from_secs(30);

    /// A master that takes nothing is no reason to wait for it once it is left: what became of each
    /// call is said at once.
    #[tokio::test]
    async fn calls_to_a_master_that_takes_nothing_are_over_when_it_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let master = format!("http://{}", listener.local_addr().unwrap());
        let (queue, events) = (mpsc::unbounded_channel(), mpsc::channel(8));
        let (leave, left) = oneshot::channel::<()>();
        let counts = Arc::<LinkCounts>::default();
        let calls = Calls {
            attempt: Attempt(1),
            master: master.parse::<muster_session::link::Masters>().unwrap().all()[0].clone(),
            authorization: None,
            queue: queue.1,
            left,
            events: events.0,
            counts: Arc::clone(&counts),
        };
        // Far more than the system takes for somebody who reads nothing.
        let data = vec![0; 16 * 1024 * 1024];
        let message = scheduler::MessageBody { data, ..Default::default() };
        let kind = Some(CallType::Message as i32);
        let call = Call { r#type: kind, message: Some(message), ..Call::default() };
        for number in 0..4 {
            let number = CallNumber(number);
            let outgoing = Outgoing { number, stream_id: None, call: call.clone() };
            queue.0.send(outgoing).unwrap_or_else(|_| panic!("it listens"));
        }
        let running = tokio::spawn(calls.run());
        let (stream, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
        timeout(DEADLINE, stream.peek(&mut [0])).await.unwrap().unwrap();
        drop(leave);
        timeout(DEADLINE, running).await.expect("it ends").unwrap();
        let mut told = events.1;
        let mut outcomes = Vec::new();
        while let Some(event) = told.recv().await {
            let Event::Called { number, outcome, .. } = event else { panic!("{event:?}") };
            outcomes.push((number.0, matches!(outcome, Outcome::Unknown { .. })));
        }
        // Of the first a part has left; of the others not a byte.
        assert_eq!(outcomes, [(0, true), (1, false), (2, false), (3, false)]);
        let calls = counts.counted().calls;
        let counted: Vec<_> =
            calls.into_iter().map(|((_, became), count)| (became, count)).collect();
        assert_eq!(counted, [(Became::NotSent, 3), (Became::Unknown, 1)]);
    }
}
