//! The suite's side of its executors.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};

use super::wire::{Hello, Order, Report};
use crate::{
    encoding::{Encoding, Side},
    events::{self, End, Events, Feed},
    http::{ANSWER_PATIENCE, Answer, Head, Request},
    outcome::{Failure, Outcome},
};

/// Orders that wait for the connection to an executor.
const QUEUE: usize = 1_000;

/// Where executors of the suite call back.
pub struct Remotes {
    address: SocketAddr,
    expected: Arc<Mutex<BTreeMap<String, oneshot::Sender<Remote>>>>,
    listening: AbortHandle,
}

/// An executor that is to come.
pub struct Expected {
    key: String,
    arrival: oneshot::Receiver<Remote>,
}

/// An executor that is there.
#[derive(Clone)]
pub struct Remote {
    /// What it found.
    pub hello: Arc<Hello>,
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    next: AtomicU64,
    gone: Notify,
}

#[derive(Default)]
struct Waiting {
    answers: BTreeMap<u64, oneshot::Sender<Result<Answer, String>>>,
    openings: BTreeMap<u64, Opening>,
    streams: BTreeMap<u64, Feed>,
    is_gone: bool,
}

struct Opening {
    encoding: Encoding,
    opened: oneshot::Sender<Result<Events, String>>,
}

impl Drop for Remotes {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Remotes {
    /// Begins to listen, on a free port of the loopback interface.
    pub async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let expected = Arc::<Mutex<BTreeMap<String, oneshot::Sender<Remote>>>>::default();
        let arrivals = expected.clone();
        let listening = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(welcome(socket, arrivals.clone()));
            }
        });
        Ok(Self { address, expected, listening: listening.abort_handle() })
    }

    /// Expects one more executor.
    pub fn expect(&self, key: &str) -> Expected {
        let (arrived, arrival) = oneshot::channel();
        lock(&self.expected).insert(key.to_owned(), arrived);
        Expected { key: key.to_owned(), arrival }
    }

    /// The command of the shell that is such an executor.
    pub fn command(&self, program: &Path, key: &str) -> String {
        let program = program.display().to_string().replace('\'', r"'\''");
        format!("exec '{program}' executor {} {key}", self.address)
    }
}

async fn welcome(
    socket: TcpStream,
    expected: Arc<Mutex<BTreeMap<String, oneshot::Sender<Remote>>>>,
) -> anyhow::Result<()> {
    socket.set_nodelay(true)?;
    let (reports, orders_out) = socket.into_split();
    let mut reports = BufReader::new(reports);
    let Some(Report::Hello(hello)) = next_report(&mut reports).await? else {
        return Ok(());
    };
    let Some(arrived) = lock(&expected).remove(&hello.key) else { return Ok(()) };
    let (orders, queue) = mpsc::channel(QUEUE);
    let shared = Arc::<Shared>::default();
    tokio::spawn(write_orders(orders_out, queue));
    let remote = Remote { hello: Arc::new(hello), orders, shared: shared.clone() };
    if arrived.send(remote).is_ok() {
        while let Ok(Some(report)) = next_report(&mut reports).await {
            shared.take(report);
        }
    }
    shared.leave();
    Ok(())
}

async fn next_report(reports: &mut BufReader<OwnedReadHalf>) -> anyhow::Result<Option<Report>> {
    let mut line = String::new();
    if reports.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

async fn write_orders(
    mut out: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Order>,
) -> anyhow::Result<()> {
    while let Some(order) = queue.recv().await {
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        out.write_all(&line).await?;
    }
    Ok(())
}

impl Shared {
    fn take(&self, report: Report) {
        let mut waiting = lock(&self.waiting);
        match report {
            Report::Hello(_) => {}
            Report::Answered { id, answer } => {
                if let Some(asked) = waiting.answers.remove(&id) {
                    let _ = asked.send(answer);
                }
            }
            Report::Opened { id, head } => waiting.opened(id, head),
            Report::Piece { id, bytes } => {
                if let Some(feed) = waiting.streams.get_mut(&id) {
                    feed.push(&bytes);
                }
            }
            Report::Ended { id, broken } => {
                if let Some(feed) = waiting.streams.remove(&id) {
                    let end = match broken {
                        Some(why) => End::Cut(why),
                        None if feed.is_between_records() => End::Complete,
                        None => End::Cut("it ends within a record".to_owned()),
                    };
                    feed.end(end);
                }
            }
        }
    }

    fn leave(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.is_gone = true;
        waiting.answers.clear();
        waiting.openings.clear();
        for (_, feed) in std::mem::take(&mut waiting.streams) {
            feed.end(End::Cut("the executor is gone".to_owned()));
        }
        drop(waiting);
        self.gone.notify_waiters();
    }
}

impl Waiting {
    fn opened(&mut self, id: u64, head: Result<Head, String>) {
        let Some(Opening { encoding, opened }) = self.openings.remove(&id) else { return };
        let events = head.map(|head| {
            let (feed, events) = events::stream(head, encoding, Side::Executor);
            self.streams.insert(id, feed);
            events
        });
        let _ = opened.send(events);
    }
}

impl Expected {
    /// The words that the executor is known by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Waits until it is there.
    pub async fn arrive(self, within: Duration) -> Outcome<Remote> {
        let arrived = timeout(within, self.arrival).await.ok().and_then(Result::ok);
        arrived.ok_or_else(|| Failure::Executor(format!("it was not started within {within:?}")))
    }
}

impl Remote {
    /// Makes it send a request, and gives the answer.
    pub async fn request(&self, address: &str, request: &Request) -> Outcome<Answer> {
        let (asked, answer) = oneshot::channel();
        let id = self.register(|waiting, id| {
            waiting.answers.insert(id, asked);
        })?;
        let (address, request) = (address.to_owned(), request.clone());
        self.order(Order::Request { id, address, request }).await?;
        told(answer).await
    }

    /// Makes it send a request whose answer is a stream of events.
    pub async fn open(
        &self,
        address: &str,
        request: &Request,
        encoding: Encoding,
    ) -> Outcome<(u64, Events)> {
        let (opened, events) = oneshot::channel();
        let id = self.register(|waiting, id| {
            waiting.openings.insert(id, Opening { encoding, opened });
        })?;
        let (address, request) = (address.to_owned(), request.clone());
        self.order(Order::Open { id, address, request }).await?;
        Ok((id, told(events).await?))
    }

    /// Makes it close the connection of a stream.
    pub async fn close(&self, stream: u64) -> Outcome {
        self.order(Order::Close { id: stream }).await
    }

    /// Makes it end with this exit code.
    pub async fn exit(&self, code: u8) -> Outcome {
        self.order(Order::Exit { code }).await
    }

    /// Makes it send itself a signal.
    pub async fn signal(&self, signal: i32) -> Outcome {
        self.order(Order::Signal { signal }).await
    }

    /// Waits until its process is gone.
    pub async fn gone(&self, within: Duration) -> Outcome {
        let gone = async {
            loop {
                let gone = self.shared.gone.notified();
                tokio::pin!(gone);
                gone.as_mut().enable();
                if lock(&self.shared.waiting).is_gone {
                    return;
                }
                gone.await;
            }
        };
        let lives = |_| Failure::Executor(format!("it lives on after {within:?}"));
        timeout(within, gone).await.map_err(lives)
    }

    fn register(&self, register: impl FnOnce(&mut Waiting, u64)) -> Outcome<u64> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let mut waiting = lock(&self.shared.waiting);
        if waiting.is_gone {
            return Err(gone());
        }
        register(&mut waiting, id);
        Ok(id)
    }

    async fn order(&self, order: Order) -> Outcome {
        self.orders.send(order).await.map_err(|_| gone())
    }
}

async fn told<T>(answer: oneshot::Receiver<Result<T, String>>) -> Outcome<T> {
    // What it does may take as long as its own patience, and a little more to tell it.
    let answer = timeout(ANSWER_PATIENCE * 2, answer).await;
    let late = |_| Failure::Executor("it does not tell what it was answered".to_owned());
    answer.map_err(late)?.map_err(|_| gone())?.map_err(Failure::Executor)
}

fn gone() -> Failure {
    Failure::Executor("it is gone".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
