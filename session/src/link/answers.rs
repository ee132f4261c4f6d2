//! What the answers of a master mean: two tables, one of SUBSCRIBE and one of all other calls.

use super::{Answer, MasterAddress};

/// What is to be done after SUBSCRIBE was not answered with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Subscribe there.
    Elsewhere(MasterAddress),
    /// Nobody leads yet, or the leader does not know yet what there is.
    NotReady,
    /// Somebody has to see to our credentials.
    Unauthorized,
    /// It takes no subscription of ours as it is.
    Refused,
}

/// What the answer to another call says of our subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The call was taken.
    Taken,
    /// This call is at fault, and the next one may be taken.
    AtFault,
    /// There is no such subscription: we have to subscribe anew.
    Over,
    /// Something failed on the way, or in the master: nobody knows whether it was carried out.
    Unclear,
}

pub(super) fn of_subscribe(answer: &Answer) -> Refusal {
    let leader = answer.location.as_deref().and_then(|to| MasterAddress::of_location(to).ok());
    match (answer.status, leader) {
        (301 | 302 | 307 | 308, Some(leader)) => Refusal::Elsewhere(leader),
        // One that names nobody, or what stands before the masters, knows no leader.
        (301 | 302 | 307 | 308 | 429 | 500..=599, _) => Refusal::NotReady,
        (401 | 403, _) => Refusal::Unauthorized,
        _ => Refusal::Refused,
    }
}

pub(super) fn of_call(answer: &Answer) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Taken,
        // The words are those of Mesos; in whatever others a master says so, it is found out when
        // no heartbeat comes.
        400 if ["Framework cannot be found", "stream ID", "Mesos-Stream-Id"]
            .iter()
            .any(|words| answer.body.contains(words)) =>
        {
            Verdict::Over
        }
        // It leads no more, has just begun to, or does not know us any more.
        300..=399 | 401 | 403 | 503 => Verdict::Over,
        // What stands before the masters may have lost the answer of one that did it.
        408 | 500 | 502 | 504..=599 => Verdict::Unclear,
        _ => Verdict::AtFault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, location: &str, body: &str) -> Answer {
        let location = (!location.is_empty()).then(|| location.to_owned());
        Answer { status, location, body: body.to_owned() }
    }

    #[test]
    fn every_answer_to_subscribe() {
        let leader = || Refusal::Elsewhere("leader:5051".parse().unwrap());
        for (status, location, meaning) in [
            (307, "//leader:5051/master/api/v1/scheduler", leader()),
            (307, "leader:5051", leader()),
            (302, "http://leader:5051/x", leader()),
            (307, "", Refusal::NotReady),
            (307, "/nowhere", Refusal::NotReady),
            (503, "", Refusal::NotReady),
            (500, "", Refusal::NotReady),
            (502, "", Refusal::NotReady),
            (429, "", Refusal::NotReady),
            (401, "", Refusal::Unauthorized),
            (403, "", Refusal::Unauthorized),
            (400, "", Refusal::Refused),
            (404, "", Refusal::Refused),
            (406, "", Refusal::Refused),
            (415, "", Refusal::Refused),
            (202, "", Refusal::Refused),
        ] {
            assert_eq!(of_subscribe(&answer(status, location, "")), meaning, "{status} {location}");
        }
    }

    /// The bodies are recorded ones of a real master.
    #[test]
    fn every_answer_to_another_call() {
        let mismatch = "The stream ID 'd98d926e-9496-4e6a-bccc-6894162558ee' included in this \
            request didn't match the stream ID currently associated with framework ID x-0005";
        let no_stream = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
        for (status, body, meaning) in [
            (202, "", Verdict::Taken),
            (200, "", Verdict::Taken),
            (400, "Framework cannot be found", Verdict::Over),
            (400, mismatch, Verdict::Over),
            (400, no_stream, Verdict::Over),
            (400, "Failed to validate call: Expecting 'kill' to be present", Verdict::AtFault),
            (403, "Framework is not subscribed", Verdict::Over),
            (401, "", Verdict::Over),
            (307, "", Verdict::Over),
            (503, "Master has not finished recovery", Verdict::Over),
            (500, "", Verdict::Unclear),
            (502, "Bad Gateway", Verdict::Unclear),
            (504, "Gateway Timeout", Verdict::Unclear),
            (408, "", Verdict::Unclear),
            (409, "", Verdict::AtFault),
            (415, "", Verdict::AtFault),
            (501, "", Verdict::AtFault),
        ] {
            assert_eq!(of_call(&answer(status, "", body)), meaning, "{status} {body}");
        }
    }
}
