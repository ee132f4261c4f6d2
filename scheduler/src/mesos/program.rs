//! Our program, as agents of others fetch it.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use http_body_util::channel::{Channel, Sender};
use muster_api::limits;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The program of this process, whatever is at its place by now.
const SELF: &str = "/proc/self/exe";
/// Bytes that are read and sent at a time.
const PART: usize = 256 * 1024;
/// What those are told who come when there are too many, and where else they can go.
const BUSY: &str = "too many fetch this program now; try again, or have it fetched from elsewhere by \
    --executor-uri";

/// Our program, under a path that names its content: what was fetched once is right for ever.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    file: Arc<File>,
    size: u64,
    sha256: Arc<str>,
    fetches: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

/// That somebody may read it now.
struct Place {
    _fetch: OwnedSemaphorePermit,
    _reader: OwnedSemaphorePermit,
}

impl Program {
    /// Reads the program of this process once, for its checksum.
    pub(crate) fn open() -> anyhow::Result<Self> {
        Self::of(File::open(SELF)).context("cannot read the program of this process")
    }

    fn of(file: io::Result<File>) -> io::Result<Self> {
        let mut file = file?;
        let (mut hash, mut part, mut size) = (Sha256::new(), vec![0; PART], 0);
        loop {
            let read = file.read(&mut part)?;
            if read == 0 {
                break;
            }
            hash.update(&part[..read]);
            size += read as u64;
        }
        let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let fetches = Arc::new(Semaphore::new(limits::PROGRAM_FETCHES));
        let readers = Arc::new(Semaphore::new(limits::PROGRAM_READERS));
        Ok(Self { file: Arc::new(file), size, sha256: sha256.into(), fetches, readers })
    }

    /// Where it is served.
    pub(crate) fn path(&self) -> String {
        format!("/executor/{}/muster", self.sha256)
    }

    /// Serves it to whoever asks: it is no secret, and agents of others have no token.
    pub(crate) fn routes(self) -> Router {
        Router::new().route(&self.path(), get(serve)).with_state(self)
    }

    /// Waits for a place among those who read it; there may be none.
    async fn place(&self) -> Option<Place> {
        let fetch = Arc::clone(&self.fetches).try_acquire_owned().ok()?;
        let reader = timeout(limits::PROGRAM_TURN, Arc::clone(&self.readers).acquire_owned());
        Some(Place { _fetch: fetch, _reader: reader.await.ok()?.ok()? })
    }

    /// Sends it to somebody, who has his place for so long. One that takes too long is left.
    async fn send_in_time(self, mut to: Sender<Bytes, io::Error>, place: Place) {
        let sent = timeout(limits::PROGRAM_FETCH, self.send(&mut to)).await;
        let too_slow = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "it is read too slowly"));
        if let Err(error) = sent.unwrap_or_else(too_slow) {
            to.abort(error);
        }
        drop(place);
    }

    async fn send(&self, to: &mut Sender<Bytes, io::Error>) -> io::Result<()> {
        let mut offset = 0;
        while offset < self.size {
            let file = Arc::clone(&self.file);
            let length = usize::try_from(self.size - offset).unwrap_or(PART).min(PART);
            let read = tokio::task::spawn_blocking(move || {
                let mut part = vec![0; length];
                file.read_exact_at(&mut part, offset).map(|()| part)
            });
            let part = read.await.map_err(io::Error::other)??;
            offset += length as u64;
            if to.send_data(part.into()).await.is_err() {
                // The reader has gone, which is its own affair.
                break;
            }
        }
        Ok(())
    }
}

async fn serve(State(program): State<Program>) -> Response {
    let Some(place) = program.place().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, BUSY).into_response();
    };
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, program.size.to_string()),
        (header::ETAG, format!("\"{}\"", program.sha256)),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
    ];
    let (sender, body) = Channel::new(1);
    tokio::spawn(program.send_in_time(sender, place));
    (head, Body::new(body)).into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    /// A program of some parts, whose file is there no more: an upgrade has put another in its place.
    fn program() -> (Program, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let content: Vec<u8> = (0..PART * 5 + 7).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        (Program::of(File::open(&path)).unwrap(), content)
    }

    async fn fetch(program: &Program) -> Response {
        serve(State(program.clone())).await
    }

    /// The clock of this test goes on whenever nothing else does.
    #[tokio::test(start_paused = true)]
    async fn slow_readers_are_few_and_left_in_time_and_others_wait_for_their_turn() {
        let (program, content) = program();
        let mut slow = Vec::new();
        for _ in 0..limits::PROGRAM_READERS {
            slow.push(fetch(&program).await);
        }
        // They read nothing, so there is no place until somebody is left.
        let late = fetch(&program).await;
        assert_eq!(late.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(slow.pop());
        let next = fetch(&program).await;
        assert_eq!(next.status(), StatusCode::OK);
        let body = next.into_body().collect().await.unwrap().to_bytes();
        assert!(body == content, "byte by byte");
        tokio::time::sleep(limits::PROGRAM_FETCH).await;
        assert_eq!(program.readers.available_permits(), limits::PROGRAM_READERS);
        for response in slow {
            let error = response.into_body().collect().await.unwrap_err();
            assert!(format!("{error:?}").contains("too slowly"), "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_its_bound_nobody_waits() {
        let (program, _) = program();
        let most = u32::try_from(limits::PROGRAM_FETCHES).unwrap();
        let all = Arc::clone(&program.fetches).try_acquire_many_owned(most).unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(fetch(&program).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(begun.elapsed(), std::time::Duration::ZERO);
        drop(all);
        assert_eq!(fetch(&program).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn it_is_served_whole_under_the_name_of_its_content() {
        let (program, content) = program();
        let sum: String =
            Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(program.path(), format!("/executor/{sum}/muster"));
        let response = fetch(&program).await;
        assert_eq!(response.headers()[header::CONTENT_LENGTH], content.len().to_string());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body == content, "byte by byte");
    }
}
