//! Reads the body of a request, within a bound and a time.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::{HeaderMap, StatusCode, body::Incoming, header::CONTENT_LENGTH};
use muster_api::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{answers::Refusal, visits::Visit};

/// How many calls are under way, by their bytes.
#[derive(Debug)]
pub(super) struct Turnstile {
    /// Whoever reads a large body holds one of these.
    large: Arc<Semaphore>,
    /// One for each byte of a call that is whole.
    whole: Arc<Semaphore>,
}

/// All of a body.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) permits: Permits,
}

/// The message in a body may take many times its bytes, so that these are to be held until nothing of
/// it is left, or until the core has it, which keeps of it what it has bounds for.
#[derive(Debug)]
pub(crate) struct Permits {
    _large: Option<OwnedSemaphorePermit>,
    _whole: Option<OwnedSemaphorePermit>,
}

impl Turnstile {
    pub(super) fn new() -> Self {
        let large = Arc::new(Semaphore::new(limits::CALLS_LARGE));
        let whole = Arc::new(Semaphore::new(limits::CALLS_BYTES as usize));
        Self { large, whole }
    }

    /// Reads a body. Its peer has a bounded time for it, a large one again when it has its turn.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Incoming,
        visit: &Arc<Visit>,
    ) -> Result<Body, Refusal> {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > limits::CALL_BYTES) {
            return Err(too_long());
        }
        visit.waits(limits::CALL_BODY);
        let mut bytes = Vec::new();
        let mut large = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::invalid("The body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limits::CALL_BYTES {
                return Err(too_long());
            }
            if bytes.len() + data.len() > limits::CALL_SMALL_BYTES && large.is_none() {
                visit.serve_on();
                large = Arc::clone(&self.large).acquire_owned().await.ok();
                visit.waits(limits::CALL_BODY);
            }
            bytes.extend_from_slice(&data);
        }
        visit.serve_on();
        let weight = u32::try_from(bytes.len()).unwrap_or(limits::CALLS_BYTES);
        let whole = Arc::clone(&self.whole);
        let whole = whole.acquire_many_owned(weight.min(limits::CALLS_BYTES)).await.ok();
        Ok(Body { bytes, permits: Permits { _large: large, _whole: whole } })
    }
}

fn too_long() -> Refusal {
    let message = format!("A call is at most {} bytes", limits::CALL_BYTES);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
