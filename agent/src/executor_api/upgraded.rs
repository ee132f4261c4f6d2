//! The streams of our own executors: one upgraded connection each, calls up and events down, many to
//! a write.

use std::sync::Arc;

use hyper::{
    Request, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONNECTION, HeaderValue, UPGRADE},
    upgrade::Upgraded,
};
use muster_api::limits;
use muster_proto::executor::{self, Call, CallType};
use tokio::time::timeout;

use super::{
    answers::{self, Reply},
    server::ExecutorApi,
    token::owner,
    visits::Visit,
};
use crate::{
    core::{Container, Event, Session},
    outbox::Outbox,
    run::Input,
    stream,
};

impl ExecutorApi {
    /// Switches to a stream, if the token is that of an executor.
    pub(super) fn upgrade(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        visit: Arc<Visit>,
    ) -> Reply {
        let upgrade = request.headers().get(UPGRADE);
        if upgrade.is_none_or(|upgrade| upgrade != executor::STREAM_UPGRADE) {
            let words = "ask for an upgrade to muster-executor/1\n";
            return answers::plain(StatusCode::UPGRADE_REQUIRED, words);
        }
        let authorization = request.headers().get(AUTHORIZATION);
        let token = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(container) = token.and_then(|token| owner(&self.work, token)) else {
            let words = "this is no token of an executor\n";
            return answers::plain(StatusCode::UNAUTHORIZED, words);
        };
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgraded.await {
                self.session(upgraded, container).await;
            }
            // The stream has the place of its connection.
            drop(visit);
        });
        let mut answer = answers::plain(StatusCode::SWITCHING_PROTOCOLS, "");
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(executor::STREAM_UPGRADE));
        answer
    }

    /// Carries calls and events of one executor until one side ends the stream.
    async fn session(self: Arc<Self>, upgraded: Upgraded, container: Container) {
        let (mut messages, mut writer) = stream::split(upgraded);
        let first = timeout(limits::HANDSHAKE, messages.next::<Call>()).await;
        let subscribe = match first {
            Ok(Ok(Call { subscribe, r#type: Some(kind), .. }))
                if kind == CallType::Subscribe as i32 =>
            {
                subscribe.unwrap_or_default()
            }
            _ => {
                tracing::warn!(container = %container, "its stream does not begin with SUBSCRIBE");
                return;
            }
        };
        let session = self.next_session();
        let outbox = Outbox::default();
        let input = Input::Subscribed { session, container, subscribe, outbox: outbox.clone() };
        if self.inputs.send(input).await.is_err() {
            return;
        }
        let reading = async {
            loop {
                let call = match messages.next::<Call>().await {
                    Ok(call) => call,
                    Err(error) => break error,
                };
                let Some(event) = event_of(session, call) else { continue };
                if self.inputs.send(Input::Core(event)).await.is_err() {
                    break stream::StreamError::Closed;
                }
            }
        };
        tokio::select! {
            error = reading => {
                tracing::debug!(error = &error as &dyn std::error::Error, "executor stream ended");
            }
            written = outbox.write_to(&mut writer) => {
                tracing::debug!(ok = written.is_ok(), "executor stream closed");
            }
            () = outbox.cut_off() => tracing::warn!("an executor does not read its stream"),
        }
        outbox.close();
        // The run loop may be gone; then nobody needs to know.
        let _ = self.inputs.send(Input::Core(Event::Left { session })).await;
    }
}

/// What a call means to the core. A heartbeat means nothing, for the stream itself says that its
/// executor lives; and an unknown call is passed over.
fn event_of(session: Session, call: Call) -> Option<Event> {
    match call.r#type() {
        CallType::Update => {
            let status = call.update.and_then(|update| update.status)?;
            Some(Event::Updated { session, status: Box::new(status) })
        }
        CallType::Message => Some(Event::Said { session, message: call.message? }),
        CallType::Unknown | CallType::Subscribe | CallType::Heartbeat => None,
    }
}
