//! Calls of frameworks over HTTP: whether they may be made at all, and how they are answered.

use muster_api::Now;
use muster_proto::{
    FrameworkId,
    scheduler::{Call, CallType},
};

use super::{
    call_form::{OtherPrincipal, validate_call},
    calls::kind_of,
    event::{Answer, Effect, Foreign, Principal, Request, Step, Stream, StreamName},
    framework::Door,
    master::Master,
    subscribe::Newcomer,
    wire,
};

impl Master {
    /// A framework subscribes. What is wrong with its description is told on the stream, which ends.
    pub(super) fn foreign_subscribe(
        &mut self,
        now: Now,
        by: Foreign,
        stream: Stream,
        step: &mut Step,
    ) {
        let Foreign { request, principal, call } = by;
        if !self.still_counts(principal.as_ref()) {
            return answer(request, Answer::Unauthorized, step);
        }
        let principal = principal.map(|proved| proved.name);
        if let Err(error) = validate_call(&call, principal.as_deref()) {
            return answer(request, Answer::Invalid(error.to_string()), step);
        }
        let id = call.framework_id.clone().unwrap_or_default();
        answer(request, Answer::Streaming, step);
        let who = Newcomer { door: Door::Stream(stream), principal };
        if let Err(refusal) = self.subscribe(now, who, call, step) {
            step.ignore_call(&id, refusal.to_string());
            let event = wire::error(refusal.to_string());
            step.effects.push(Effect::ToStream { stream, event });
            step.end_stream(stream);
        }
    }

    /// Any other call.
    pub(super) fn foreign_call(
        &mut self,
        now: Now,
        by: Foreign,
        named: StreamName,
        step: &mut Step,
    ) {
        let Foreign { request, principal, call } = by;
        if let Err(refused) = self.check_call(&call, principal.as_ref(), named) {
            return answer(request, refused, step);
        }
        let id = call.framework_id.clone().unwrap_or_default();
        if kind_of(&call) != CallType::UpdateFramework {
            answer(request, Answer::Accepted, step);
            return self.carry_out(now, &id, call, step);
        }
        let update = call.update_framework.map(|body| *body).unwrap_or_default();
        let done = match self.update_framework(&id, update, step) {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Invalid(error.to_string()),
        };
        answer(request, done, step);
    }

    /// The checks of a call, in the order of Mesos.
    fn check_call(
        &self,
        call: &Call,
        principal: Option<&Principal>,
        named: StreamName,
    ) -> Result<(), Answer> {
        if !self.still_counts(principal) {
            return Err(Answer::Unauthorized);
        }
        let principal = principal.map(|proved| &*proved.name);
        validate_call(call, principal).map_err(|error| Answer::Invalid(error.to_string()))?;
        if kind_of(call) == CallType::Unknown {
            return Err(Answer::Unknown("Received 'UNKNOWN' call".to_owned()));
        }
        let id = call.framework_id.clone().unwrap_or_default();
        let framework = self.frameworks.get(&id).filter(|framework| !framework.is_removed());
        let framework =
            framework.ok_or_else(|| Answer::Invalid("Framework cannot be found".to_owned()))?;
        let said = framework.info.principal.as_deref().unwrap_or_default();
        if let Some(proved) = principal.filter(|proved| *proved != said) {
            let (proved, said) = (proved.to_owned(), said.to_owned());
            return Err(Answer::Invalid(OtherPrincipal { proved, said }.to_string()));
        }
        check_stream(&id, framework.door(), named)
    }
}

fn check_stream(id: &FrameworkId, door: Option<Door>, named: StreamName) -> Result<(), Answer> {
    let door = door.ok_or_else(|| Answer::Forbidden("Framework is not subscribed".to_owned()))?;
    match (door, named) {
        (Door::Stream(current), StreamName::Open(stream)) if current == stream => Ok(()),
        (_, StreamName::Missing) => {
            let words = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
            Err(Answer::Invalid(words.to_owned()))
        }
        (_, StreamName::Open(_) | StreamName::Unknown) => Err(Answer::OtherStream(id.clone())),
    }
}

fn answer(request: Request, answer: Answer, step: &mut Step) {
    step.effects.push(Effect::Answer { request, answer });
}
