//! `POST /api/v1/executor`: what an executor asks, judged in the order of a Mesos agent until it is
//! whole, then handed to the core, whose answer is the answer.

use std::sync::Arc;

use hyper::{
    Method,
    body::Incoming,
    header::{ACCEPT, CONTENT_TYPE},
    http::request::Parts,
};
use muster_api::limits;
use muster_proto::{Form, executor::Call};
use tokio::sync::oneshot;

use super::{
    answers::{self, Refusal, Reply},
    body::{Body, Permits},
    events::{self, Carried, EventBody, EventFeed},
    server::ExecutorApi,
    token,
    validation::{Wants, Whole, whole},
    visits::{Turn, Visit},
};
use crate::{
    core::{self, Event, Session, What},
    outbox::Outbox,
    run::Input,
};

/// A stream that an executor asks for, before it is known whether it gets it.
struct Wanted {
    session: Session,
    form: Form,
    outbox: Outbox,
    events: EventBody,
}

impl ExecutorApi {
    /// Serves one call.
    pub(super) async fn call(
        self: &Arc<Self>,
        parts: &Parts,
        incoming: Incoming,
        visit: &Arc<Visit>,
        turn: Turn,
    ) -> Result<Reply, Refusal> {
        if parts.method != Method::POST {
            return Err(Refusal::method(&parts.method, "POST"));
        }
        let form = Form::of_body(parts.headers.get(CONTENT_TYPE).map(|value| value.as_bytes()))?;
        let Body { bytes, permits } = self.turnstile.read(&parts.headers, incoming, visit).await?;
        let call: Call = form
            .read(&bytes, limits::CALL_BYTES)
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        drop(bytes);
        let Whole { by, wants } = whole(call).map_err(Refusal::invalid)?;
        let bearer = token::bearer(&self.work, &parts.headers);
        let what = match wants {
            Wants::Nothing => return Ok(answers::accepted()),
            Wants::Other(what) => what,
            Wants::Subscribe(subscribe) => {
                let wanted = self.wanted(parts, visit, turn)?;
                let what = What::Subscribe { session: wanted.session, subscribe };
                let call = core::Call { by, bearer, what };
                let stream = Some((wanted.session, wanted.form, wanted.outbox));
                self.ask(call, stream, permits).await?;
                return Ok(answers::stream(wanted.form, wanted.events));
            }
        };
        self.ask(core::Call { by, bearer, what }, None, permits).await?;
        Ok(answers::accepted())
    }

    /// Makes the stream that is asked for. From here on the core hears of its end whatever becomes of
    /// the request: the body is dropped with it.
    fn wanted(
        self: &Arc<Self>,
        parts: &Parts,
        visit: &Arc<Visit>,
        turn: Turn,
    ) -> Result<Wanted, Refusal> {
        let accept = parts.headers.get_all(ACCEPT).iter();
        let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
        let form = Form::of_answer(&accept)?;
        let session = self.next_session();
        let outbox = Outbox::bounded(limits::STREAM_BYTES);
        let (feed, events) = events::channel();
        let api = Arc::clone(self);
        let (carried_to, visit) = (outbox.clone(), Arc::downgrade(visit));
        tokio::spawn(async move {
            if api.follow(session, feed, carried_to, form).await == Carried::NotRead {
                tracing::warn!("an executor does not read its stream");
            }
            // What is on its way is to be taken in time. Then there may be a next request.
            if let Some(visit) = visit.upgrade() {
                visit.waits_after(turn, limits::HANDSHAKE);
            }
        });
        Ok(Wanted { session, form, outbox, events })
    }

    /// Hands a call to the core and waits until it is carried out, which may take a while.
    async fn ask(
        &self,
        call: core::Call,
        stream: Option<(Session, Form, Outbox)>,
        permits: Permits,
    ) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        let input = Input::Called { call, stream, permits, answer };
        self.inputs.send(input).await.map_err(|_| Refusal::stopping())?;
        let answer = answered.await.map_err(|_| Refusal::stopping())?;
        Refusal::of(answer).map_or(Ok(()), Err)
    }

    /// Carries the events of an executor until its stream ends.
    async fn follow(
        self: Arc<Self>,
        session: Session,
        feed: EventFeed,
        outbox: Outbox,
        form: Form,
    ) -> Carried {
        let carried = feed.carry(&outbox, form).await;
        outbox.close();
        // The run loop may be gone; then nobody needs to know.
        let _ = self.inputs.send(Input::Core(Event::Left { session })).await;
        carried
    }
}
