//! One try to subscribe: the request, and the stream that answers it.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use muster_api::limits;
use muster_proto::{
    recordio::Decoder,
    scheduler::{self, Call, EventType},
};
use muster_session::link::{Answer, Attempt, Event, MasterAddress};
use prost::Message as _;
use tokio::sync::mpsc;

use super::{
    counts::LinkCounts,
    dial::{AGENT, PATH, PROTOBUF, STREAM_ID, dial},
};

/// One try to subscribe.
pub(super) struct Subscription {
    pub(super) attempt: Attempt,
    pub(super) master: MasterAddress,
    pub(super) call: Call,
    pub(super) authorization: Option<HeaderValue>,
    /// Where its events go. While nobody takes them nothing more is read.
    pub(super) events: mpsc::Sender<Event>,
    pub(super) counts: Arc<LinkCounts>,
}

/// An answer, and what it takes to read it.
struct Asked {
    response: Response<Incoming>,
    connection: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Without it there are no more requests, and the connection may close.
    _sender: http1::SendRequest<Full<Bytes>>,
}

/// Nobody listens any more.
struct Deaf;

impl Subscription {
    /// Subscribes, and tells what comes until there is no more.
    pub(super) async fn run(self) {
        let attempt = self.attempt;
        let end = match self.ask().await {
            Ok(Asked { response, connection, _sender }) => {
                // It drives the body, and ends with it.
                let connection = tokio::spawn(connection);
                let end = self.read(response).await;
                connection.abort();
                end
            }
            Err(why) => Ok(why),
        };
        if let Ok(why) = end {
            // Whoever listened may have gone, and then needs no end either.
            let _ = self.events.send(Event::Closed { attempt, why }).await;
        }
    }

    async fn ask(&self) -> Result<Asked, String> {
        let stream = dial(&self.master).await.map_err(|error| format!("no connection: {error}"))?;
        let (mut sender, connection) = http1::Builder::new()
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| format!("no HTTP: {error}"))?;
        let mut connection: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            // Why it ended is said by the request or the body that it breaks off.
            let _ = connection.await;
        });
        let response = {
            let mut exchange = std::pin::pin!(sender.send_request(self.request()?));
            tokio::select! {
                response = &mut exchange => response,
                () = &mut connection => exchange.await,
            }
        };
        let response = response.map_err(|error| format!("no answer: {error}"))?;
        Ok(Asked { response, connection, _sender: sender })
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::post(PATH)
            .header(HOST, self.master.to_string())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, PROTOBUF)
            .header(ACCEPT, PROTOBUF);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let body = Full::new(Bytes::from(self.call.encode_to_vec()));
        request.body(body).map_err(|error| format!("it cannot be asked: {error}"))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<String, Deaf> {
        let attempt = self.attempt;
        if response.status() != StatusCode::OK {
            let answer = answer_of(response).await;
            self.tell(Event::Refused { attempt, answer }).await?;
            return Err(Deaf);
        }
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_none_or(|kind| kind != PROTOBUF) {
            return Ok(format!("its stream is of type {kind:?}, and not {PROTOBUF}"));
        }
        let stream_id = response.headers().get(STREAM_ID);
        let stream_id = stream_id.and_then(|id| id.to_str().ok()).map(ToOwned::to_owned);
        self.tell(Event::Opened { attempt, stream_id }).await?;
        self.stream(response.into_body()).await
    }

    async fn stream(&self, mut body: Incoming) -> Result<String, Deaf> {
        let attempt = self.attempt;
        let mut decoder = Decoder::new(limits::RECORD_BYTES);
        loop {
            match body.frame().await {
                None => return Ok("the master has ended the stream".to_owned()),
                Some(Err(error)) => return Ok(format!("the stream has broken: {error}")),
                Some(Ok(frame)) => decoder.feed(frame.data_ref().map_or(&[][..], |data| data)),
            }
            loop {
                match decoder.next_record() {
                    Ok(None) => break,
                    Err(error) => return Ok(format!("the stream cannot be read: {error}")),
                    Ok(Some(record)) => {
                        // What cannot be read is passed over like an event of no known type.
                        let event = scheduler::Event::decode(record).unwrap_or_default();
                        if event.r#type == Some(EventType::Subscribed as i32) {
                            self.counts.subscribed(attempt);
                        }
                        self.tell(Event::Heard { attempt, event }).await?;
                    }
                }
            }
        }
    }

    async fn tell(&self, event: Event) -> Result<(), Deaf> {
        self.events.send(event).await.map_err(|_| Deaf)
    }
}

/// An answer that is no stream, as far as it is worth reading.
async fn answer_of(response: Response<Incoming>) -> Answer {
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|to| to.to_str().ok()).map(ToOwned::to_owned);
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        text.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if text.len() >= limits::MESOS_ANSWER_BYTES {
            text.truncate(limits::MESOS_ANSWER_BYTES);
            break;
        }
    }
    Answer { status, location, body: String::from_utf8_lossy(&text).into_owned() }
}
