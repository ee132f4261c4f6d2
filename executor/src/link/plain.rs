//! The executor API of Mesos v1 as any agent speaks it: a subscription whose answer is the stream of
//! events, and each other call a request of its own, in order, on another connection.
//!
//! Mesos says of no message that its framework has it. So one counts as taken when the agent has
//! accepted it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode, body::Incoming, client::conn::http1::SendRequest, header,
};
use hyper_util::rt::TokioIo;
use muster_api::limits;
use muster_proto::executor::Call;
use prost::Message as _;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    Line, LinkEvent,
    dial::{Ended, REDIAL_FIRST, longer},
    error::{LinkError, Words},
    heard::Ear,
};
use crate::{Environment, core::Event};

/// Where agents take calls.
const PATH: &str = "/api/v1/executor";
/// How calls and events are written.
const PROTOBUF: &str = "application/x-protobuf";
/// Bytes of an answer that are read for its words.
const WORDS: usize = 1_024;

/// Subscribes, and moves messages both ways until the stream of events ends.
pub(super) async fn converse(environment: &Environment, events: &mpsc::Sender<LinkEvent>) -> Ended {
    let unsubscribed = |error| Ended { error, subscribed: false };
    let connection = match in_time(Connection::dial(environment)).await {
        Ok(connection) => connection,
        Err(error) => return unsubscribed(error),
    };
    // One batch is being sent, one may wait; meanwhile updates gather for the next one.
    let (calls, batches) = mpsc::channel(1);
    if events.send(LinkEvent::Up(Line { calls, supervised: false })).await.is_err() {
        return unsubscribed(LinkError::Closed);
    }
    let ended = subscribe(connection, batches, environment, events).await;
    // When nobody listens there is nobody to tell.
    let _ = events.send(LinkEvent::Down).await;
    ended
}

async fn subscribe(
    mut connection: Connection,
    mut batches: mpsc::Receiver<Vec<Call>>,
    environment: &Environment,
    events: &mpsc::Sender<LinkEvent>,
) -> Ended {
    let subscribed = async {
        let first = batches.recv().await.ok_or(LinkError::Closed)?;
        let subscribe = first.first().ok_or(LinkError::Closed)?;
        let answer = in_time(connection.post(environment, subscribe)).await?;
        expect(answer, StatusCode::OK).await
    };
    let answer = match subscribed.await {
        Ok(answer) => answer,
        Err(error) => return Ended { error, subscribed: false },
    };
    let mut caller = Caller { environment, connection: None };
    let error = tokio::select! {
        error = read(answer.into_body(), events) => error,
        error = caller.call_all(&mut batches, events) => error,
    };
    Ended { error, subscribed: true }
}

async fn read(mut body: Incoming, events: &mpsc::Sender<LinkEvent>) -> LinkError {
    let mut ear = Ear::new(events);
    loop {
        let frame = match body.frame().await {
            None => return LinkError::Closed,
            Some(Err(error)) => return LinkError::BodyBroke(error),
            Some(Ok(frame)) => frame,
        };
        if let Some(bytes) = frame.data_ref()
            && let Err(error) = ear.hear(bytes).await
        {
            return error;
        }
    }
}

/// Sends the calls that are no subscription.
struct Caller<'a> {
    environment: &'a Environment,
    /// The connection of the call before. It is another than that of the stream, and when it breaks,
    /// that is no reason to end anything.
    connection: Option<Connection>,
}

impl Caller<'_> {
    async fn call_all(
        &mut self,
        batches: &mut mpsc::Receiver<Vec<Call>>,
        events: &mpsc::Sender<LinkEvent>,
    ) -> LinkError {
        while let Some(batch) = batches.recv().await {
            for mut call in batch {
                // The number is between ours; the agent's acceptance is all the answer there is.
                let number = call.message.as_mut().and_then(|message| message.number.take());
                if let Err(error) = self.call(&call).await {
                    return error;
                }
                if let Some(number) = number
                    && events.send(LinkEvent::Heard(Event::Taken { number })).await.is_err()
                {
                    return LinkError::Closed;
                }
            }
        }
        LinkError::Closed
    }

    /// Sends a call until the agent has it. It may come there twice, which agents know by its uuid.
    async fn call(&mut self, call: &Call) -> Result<(), LinkError> {
        let mut pause = REDIAL_FIRST;
        loop {
            let error = match in_time(self.try_call(call)).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.connection = None;
            if !may_pass(&error) {
                return Err(error);
            }
            tracing::warn!(
                agent = self.environment.agent,
                error = &error as &dyn std::error::Error,
                "a call did not reach the agent, and is sent again"
            );
            sleep(pause).await;
            pause = longer(pause, self.environment);
        }
    }

    async fn try_call(&mut self, call: &Call) -> Result<(), LinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::dial(self.environment).await?,
        };
        let answer = connection.post(self.environment, call).await?;
        let answer = expect(answer, StatusCode::ACCEPTED).await?;
        // The connection is good for the next call once this answer is read to its end.
        let read = Limited::new(answer.into_body(), WORDS).collect().await;
        self.connection = read.is_ok().then_some(connection);
        Ok(())
    }
}

/// Whether the same call may be taken a little later.
fn may_pass(error: &LinkError) -> bool {
    match error {
        LinkError::Dial(_) | LinkError::Slow | LinkError::Ask(_) => true,
        LinkError::Status { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
        _ => false,
    }
}

async fn in_time<T>(future: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
    timeout(limits::HANDSHAKE, future).await.unwrap_or(Err(LinkError::Slow))
}

/// An answer of this status; of another one its words are the error.
async fn expect(
    answer: Response<Incoming>,
    wanted: StatusCode,
) -> Result<Response<Incoming>, LinkError> {
    let status = answer.status();
    if status == wanted {
        return Ok(answer);
    }
    let body = in_time(async {
        Ok(Limited::new(answer.into_body(), WORDS).collect().await.map(|body| body.to_bytes()))
    });
    // Without its words the status says enough.
    let words = body.await.ok().and_then(Result::ok).unwrap_or_default();
    let words = Words(String::from_utf8_lossy(&words).into_owned());
    Err(LinkError::Status { status, words })
}

/// A connection that is kept for further requests.
struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    async fn dial(environment: &Environment) -> Result<Self, LinkError> {
        let stream = TcpStream::connect(&environment.agent).await.map_err(LinkError::Dial)?;
        stream.set_nodelay(true).map_err(LinkError::Dial)?;
        let (requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(LinkError::Ask)?;
        tokio::spawn(async move {
            // Its errors come out at the requests, or at the body of an answer.
            let _ = connection.await;
        });
        Ok(Self(requests))
    }

    async fn post(
        &mut self,
        environment: &Environment,
        call: &Call,
    ) -> Result<Response<Incoming>, LinkError> {
        let mut request = Request::post(PATH)
            .header(header::HOST, &environment.agent)
            .header(header::CONTENT_TYPE, PROTOBUF)
            .header(header::ACCEPT, PROTOBUF);
        if let Some(token) = &environment.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = Full::new(Bytes::from(call.encode_to_vec()));
        let request = request.body(body).map_err(LinkError::Token)?;
        self.0.ready().await.map_err(LinkError::Ask)?;
        self.0.send_request(request).await.map_err(LinkError::Ask)
    }
}
