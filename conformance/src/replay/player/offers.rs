//! Which offer of now stands for one of then.

use std::time::Duration;

use muster_api::clock;
use serde_json::{Value, json};

use super::{super::offers::cpus, PATIENCE, Player};
use crate::{
    context::SCHEDULER,
    encoding::{Encoding, Side},
    events::Events,
    http::{self, Request},
    outcome::{Failure, Outcome},
    replay::subjects::is_about_offers,
    tasks,
};

/// Where offers are withdrawn in time, one that is held for longer may go any moment, before the call
/// that uses it is there.
const FRESH: Duration = Duration::from_secs(1);
/// An offer with less is what a task has held that just ended: no call of then meant one of those.
const ENOUGH_CPUS: f64 = 1.0;

impl Player<'_> {
    /// Each offer that a call names gets one of now.
    pub(super) async fn find_offers(&mut self, call: &Value) -> Outcome {
        let named =
            ["accept", "decline"].iter().filter_map(|kind| call[kind]["offer_ids"].as_array());
        let ids: Vec<_> =
            named.flatten().filter_map(|id| id["value"].as_str()).map(str::to_owned).collect();
        for id in ids {
            let Some(then) = self.offers.get(&id).cloned() else { continue };
            if self.names.knows(&id) {
                continue;
            }
            let (then, now) = (self.as_read_now(&then)?, self.next_offer().await?);
            self.names.learn(&id, now["id"]["value"].as_str().unwrap_or_default());
            // Which executors live is a matter of when the offer was made.
            let [then, now] = [then, now].map(|offer| tasks::without(offer, "executor_ids"));
            self.compare("event OFFERS", &then, &now);
        }
        Ok(())
    }

    /// An offer of then as the stream of now would have it.
    fn as_read_now(&self, offer: &Value) -> Outcome<Value> {
        let event = json!({"type": "OFFERS", "offers": {"offers": [offer]}});
        let event = match &self.current {
            Some(events) => events.as_read_here(&event)?,
            None => event,
        };
        Ok(event["offers"]["offers"][0].clone())
    }

    async fn next_offer(&mut self) -> Outcome<Value> {
        let events = self.current.clone();
        let events =
            events.ok_or_else(|| Failure::Executor("no framework is subscribed".to_owned()))?;
        loop {
            self.hold(&events);
            match self.held.best() {
                Some((offer, since)) => {
                    let lasts = clock::mono().since(since) < FRESH;
                    let lasts = lasts || !self.recording.withdraws_offers();
                    if lasts && cpus(&offer) >= ENOUGH_CPUS {
                        return Ok(offer);
                    }
                    self.give_back(&offer, &events).await?;
                }
                None => {
                    let next = events.take("OFFERS", PATIENCE, is_about_offers).await?;
                    self.held.take(&next);
                }
            }
        }
    }

    /// Declines an offer, so that the same is offered anew, together with what else is free by then.
    async fn give_back(&self, offer: &Value, events: &Events) -> Outcome {
        let call = json!({
            "type": "DECLINE",
            "framework_id": offer["framework_id"],
            "decline": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0.1}},
        });
        let stream = events.head().header("mesos-stream-id");
        let body = Encoding::Json.encode_call(Side::Scheduler, &call)?;
        let request = Request::post(SCHEDULER, body)
            .with("Content-Type", Encoding::Json.content_type())
            .with("Mesos-Stream-Id", stream.as_str().unwrap_or_default());
        http::exchange(&self.setting.target.master, &request).await?.accepted()
    }

    /// Takes in what came of offers so far, in its order.
    fn hold(&mut self, events: &Events) {
        for arrived in events.drain_matching(is_about_offers) {
            self.held.take(&arrived);
        }
    }

    /// Waits until an offer is rescinded, whichever: which ones are held is a matter of time.
    pub(super) async fn rescinded(&mut self, events: &Events) -> Outcome {
        loop {
            self.hold(events);
            if self.held.was_rescinded() {
                return Ok(());
            }
            let next = events.take("RESCIND", PATIENCE, is_about_offers).await?;
            self.held.take(&next);
        }
    }
}
