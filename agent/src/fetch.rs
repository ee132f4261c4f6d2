//! Fills the sandbox of an executor: fetches its artifacts, checks them, extracts archives.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use muster_proto::ExecutorInfo;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use tokio::{net::TcpStream, task::spawn_blocking, time::timeout};

use crate::{
    archive::{self, ArchiveError, create},
    entropy,
    executor_api::hex,
};

/// Bytes of one artifact.
const ARTIFACT_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// How long a server may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Redirections that are followed.
const REDIRECTIONS_MAX: usize = 5;
/// Label on an executor: the SHA-256 of the artifact with this index, in hex.
const LABEL_SHA256: &str = "muster.sha256.";

/// Why an artifact cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("`{uri}` is of no kind that this agent fetches; it fetches file:// and http://")]
    Scheme { uri: String },
    #[error("`{uri}` names no file")]
    NoName { uri: String },
    #[error("`{name}` would lie outside of the sandbox")]
    Outside { name: String },
    #[error("cannot reach `{uri}`: {why}")]
    Network { uri: String, why: String },
    #[error("`{uri}` answered {status}")]
    Status { uri: String, status: StatusCode },
    #[error("`{uri}` is redirected too often")]
    Redirections { uri: String },
    #[error("`{uri}` has over {ARTIFACT_MAX} bytes")]
    TooLarge { uri: String },
    #[error("`{uri}` has the sha256 {found}, and {wanted} was expected")]
    Checksum { uri: String, wanted: String, found: String },
    #[error("cannot read or write `{uri}`: {source}")]
    Io { uri: String, source: io::Error },
    #[error("cannot extract `{uri}`: {source}")]
    Archive { uri: String, source: ArchiveError },
}

/// What is to be done with one artifact.
#[derive(Debug, Clone)]
struct Artifact {
    uri: String,
    sha256: Option<String>,
    name: String,
    extract: bool,
    executable: bool,
    cache: bool,
}

/// Fetches all artifacts of an executor into its sandbox.
pub(crate) async fn fetch_all(
    info: &ExecutorInfo,
    sandbox: &Path,
    cache: &Path,
) -> Result<(), FetchError> {
    for artifact in artifacts(info)? {
        fetch(&artifact, sandbox, cache).await?;
    }
    Ok(())
}

fn artifacts(info: &ExecutorInfo) -> Result<Vec<Artifact>, FetchError> {
    let uris = info.command.iter().flat_map(|command| &command.uris).enumerate();
    let of = |(index, uri): (usize, &muster_proto::Uri)| {
        let label = format!("{LABEL_SHA256}{index}");
        let sha256 = info.labels.as_ref().and_then(|labels| labels.get(&label));
        let name = match &uri.output_file {
            Some(name) => name.clone(),
            None => {
                let path = uri.value.split(['?', '#']).next().unwrap_or_default();
                path.rsplit('/').next().unwrap_or_default().to_owned()
            }
        };
        if name.is_empty() {
            return Err(FetchError::NoName { uri: uri.value.clone() });
        }
        if name.starts_with('/') || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(FetchError::Outside { name });
        }
        Ok(Artifact {
            uri: uri.value.clone(),
            sha256: sha256.map(str::to_ascii_lowercase),
            name,
            // As with Mesos, a program is a program, whatever its name.
            extract: uri.extract.unwrap_or(true) && !uri.executable.unwrap_or(false),
            executable: uri.executable.unwrap_or(false),
            cache: uri.cache.unwrap_or(false),
        })
    };
    uris.map(of).collect()
}

async fn fetch(artifact: &Artifact, sandbox: &Path, cache: &Path) -> Result<(), FetchError> {
    let target = sandbox.join(&artifact.name);
    let failed = |source| FetchError::Io { uri: artifact.uri.clone(), source };
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
        // A former artifact may have left a link in its way.
        let (folder, top) = (folder.canonicalize(), sandbox.canonicalize());
        if !folder.map_err(failed)?.starts_with(top.map_err(failed)?) {
            return Err(FetchError::Outside { name: artifact.name.clone() });
        }
    }
    // Without a checksum nothing says that what was kept is still what is there.
    let kept = artifact.sha256.as_ref().filter(|_| artifact.cache).map(|sha256| {
        let name = Sha256::digest(format!("{}\n{sha256}", artifact.uri));
        cache.join(hex(&name))
    });
    match kept {
        Some(kept) if kept.is_file() => copy(&artifact.uri, &kept, &target).await?,
        Some(kept) => {
            download(artifact, &target).await?;
            let target = target.clone();
            let copied = spawn_blocking(move || keep(&target, &kept)).await;
            copied.map_err(io::Error::other).and_then(|outcome| outcome).map_err(failed)?;
        }
        None => download(artifact, &target).await?,
    }
    let (artifact, sandbox) = (artifact.clone(), sandbox.to_owned());
    let uri = artifact.uri.clone();
    let finished = spawn_blocking(move || finish(&artifact, &target, &sandbox)).await;
    finished.map_err(|error| FetchError::Io { uri, source: io::Error::other(error) })?
}

/// Extracts an archive, and makes a program executable.
fn finish(artifact: &Artifact, target: &Path, sandbox: &Path) -> Result<(), FetchError> {
    let uri = || artifact.uri.clone();
    if artifact.extract {
        let extracted = archive::extract(target, sandbox);
        extracted.map_err(|source| FetchError::Archive { uri: uri(), source })?;
    }
    if artifact.executable {
        let mode = fs::Permissions::from_mode(0o755);
        let set = fs::set_permissions(target, mode);
        set.map_err(|source| FetchError::Io { uri: uri(), source })?;
    }
    Ok(())
}

/// Keeps a copy for the next executor.
fn keep(target: &Path, kept: &Path) -> io::Result<()> {
    if let Some(folder) = kept.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = kept.with_extension(hex(&entropy::bytes::<8>()?));
    fs::copy(target, &new)?;
    fs::rename(new, kept)
}

/// Removes the copies that a former agent has begun for the cache and not finished.
pub(crate) fn remove_unfinished(cache: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(cache) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

async fn copy(uri: &str, from: &Path, to: &Path) -> Result<(), FetchError> {
    let (from, to) = (from.to_owned(), to.to_owned());
    let copied = spawn_blocking(move || copy_at_most(ARTIFACT_MAX, &from, &to)).await;
    match copied.map_err(io::Error::other).and_then(|outcome| outcome) {
        Ok(true) => Ok(()),
        Ok(false) => Err(FetchError::TooLarge { uri: uri.to_owned() }),
        Err(source) => Err(FetchError::Io { uri: uri.to_owned(), source }),
    }
}

/// Copies a file, unless it has more than so many bytes; says whether it has not. A pipe or a device
/// could go on for ever.
fn copy_at_most(bytes: u64, from: &Path, to: &Path) -> io::Result<bool> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let source = File::options().read(true).custom_flags(flags).open(from)?;
    let facts = source.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if facts.len() > bytes {
        return Ok(false);
    }
    // Permissions are not taken over: what is executable is said, not found.
    let mut file = create(to)?;
    // It may grow meanwhile.
    Ok(io::copy(&mut source.take(bytes + 1), &mut file)? <= bytes)
}

/// Brings an artifact into the sandbox and checks it.
async fn download(artifact: &Artifact, target: &Path) -> Result<(), FetchError> {
    let uri = &artifact.uri;
    // Mesos takes the path of a file as it is, too.
    let path = uri.strip_prefix("file://").or_else(|| uri.starts_with('/').then_some(uri.as_str()));
    if let Some(path) = path {
        copy(uri, &PathBuf::from(path), target).await?;
    } else if uri.starts_with("http://") {
        get(uri, target).await?;
    } else {
        return Err(FetchError::Scheme { uri: uri.clone() });
    }
    let Some(wanted) = artifact.sha256.clone() else { return Ok(()) };
    let path = target.to_owned();
    let found = spawn_blocking(move || digest(&path)).await;
    let found = found.map_err(io::Error::other).and_then(|outcome| outcome);
    let found = found.map_err(|source| FetchError::Io { uri: uri.clone(), source })?;
    if found == wanted {
        return Ok(());
    }
    Err(FetchError::Checksum { uri: uri.clone(), wanted, found })
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// Gets a file by HTTP.
async fn get(uri: &str, target: &Path) -> Result<(), FetchError> {
    let mut place = uri.to_owned();
    for _ in 0..=REDIRECTIONS_MAX {
        match get_once(&place, target).await? {
            Some(next) => place = next,
            None => return Ok(()),
        }
    }
    Err(FetchError::Redirections { uri: uri.to_owned() })
}

/// One request; gives the place that it is redirected to, if it is.
async fn get_once(uri: &str, target: &Path) -> Result<Option<String>, FetchError> {
    let network = |why: &dyn std::fmt::Display| FetchError::Network {
        uri: uri.to_owned(),
        why: why.to_string(),
    };
    let parsed: Uri = uri.parse().map_err(|error| network(&error))?;
    let host = parsed.host().ok_or_else(|| network(&"it names no host"))?;
    let port = parsed.port_u16().unwrap_or(80);
    let dial = timeout(SILENCE_MAX, TcpStream::connect((host.trim_matches(['[', ']']), port)));
    let socket = dial.await.map_err(|_| network(&"it does not answer"))?;
    let socket = socket.map_err(|error| network(&error))?;
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .map_err(|error| network(&error))?;
    let driver = tokio::spawn(driver);
    let path = parsed.path_and_query().map_or("/", |path| path.as_str());
    let authority = parsed.authority().map_or(host, |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, "muster-agent")
        .body(Empty::<Bytes>::new())
        .map_err(|error| network(&error))?;
    let answer = timeout(SILENCE_MAX, sender.send_request(request)).await;
    let answer = answer.map_err(|_| network(&"it does not answer"))?;
    let mut answer = answer.map_err(|error| network(&error))?;
    if answer.status().is_redirection() {
        driver.abort();
        let place = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let place = place.ok_or_else(|| network(&"it is redirected to nowhere"))?;
        return redirected(uri, authority, place).map(Some);
    }
    if answer.status() != StatusCode::OK {
        let status = answer.status();
        return Err(FetchError::Status { uri: uri.to_owned(), status });
    }
    let mut file =
        create(target).map_err(|source| FetchError::Io { uri: uri.to_owned(), source })?;
    let mut length = 0;
    loop {
        let frame = timeout(SILENCE_MAX, answer.frame()).await;
        let Some(frame) = frame.map_err(|_| network(&"it fell silent"))? else { return Ok(None) };
        let Ok(data) = frame.map_err(|error| network(&error))?.into_data() else { continue };
        length += data.len() as u64;
        if length > ARTIFACT_MAX {
            return Err(FetchError::TooLarge { uri: uri.to_owned() });
        }
        let written = file.write_all(&data);
        written.map_err(|source| FetchError::Io { uri: uri.to_owned(), source })?;
    }
}

fn redirected(uri: &str, authority: &str, place: &str) -> Result<String, FetchError> {
    if place.starts_with("http://") {
        Ok(place.to_owned())
    } else if place.starts_with('/') && !place.starts_with("//") {
        Ok(format!("http://{authority}{place}"))
    } else {
        let why = format!("it is redirected to `{place}`, which this agent does not fetch");
        Err(FetchError::Network { uri: uri.to_owned(), why })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use flate2::{Compression, write::GzEncoder};
    use muster_proto::{CommandInfo, Labels};

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("sandbox")).unwrap();
            Self { dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn uri(&self, name: &str) -> String {
            format!("file://{}", self.path(name).display())
        }

        fn fetch(&self, uri: muster_proto::Uri, sha256: Option<&str>) -> Result<(), String> {
            let command = CommandInfo { uris: vec![uri], ..CommandInfo::default() };
            let labels = sha256.map(|sha256| Labels::of([("muster.sha256.0", sha256)]));
            let info = ExecutorInfo { command: Some(command), labels, ..ExecutorInfo::default() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let (sandbox, cache) = (self.path("sandbox"), self.path("cache"));
            let fetched = runtime.unwrap().block_on(fetch_all(&info, &sandbox, &cache));
            fetched.map_err(|error| error.to_string())
        }
    }

    fn uri(value: String) -> muster_proto::Uri {
        muster_proto::Uri { value, ..Default::default() }
    }

    fn tar_gz(entries: &[(&str, &[u8])], links: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let header = |name: &str, kind| {
            let mut header = tar::Header::new_gnu();
            // Written as it is: the crate itself refuses to make archives that climb out.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(0o755);
            header
        };
        for (name, target) in links {
            let mut header = header(name, tar::EntryType::Symlink);
            header.as_gnu_mut().unwrap().linkname[..target.len()]
                .copy_from_slice(target.as_bytes());
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
        }
        for (name, data) in entries {
            let mut header = header(name, tar::EntryType::Regular);
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, *data).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn archives_are_extracted_and_programs_made_executable() {
        let place = Place::new();
        let archive = tar_gz(&[("bin/start", b"#!/bin/sh\n")], &[("current", "bin/start")]);
        fs::write(place.path("app.tar.gz"), archive).unwrap();
        place.fetch(uri(place.uri("app.tar.gz")), None).unwrap();
        assert_eq!(fs::read(place.path("sandbox/current")).unwrap(), b"#!/bin/sh\n");
        fs::write(place.path("tool"), "x").unwrap();
        let tool = muster_proto::Uri { executable: Some(true), ..uri(place.uri("tool")) };
        place.fetch(tool, None).unwrap();
        let mode = fs::metadata(place.path("sandbox/tool")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn archives_that_climb_out_are_refused() {
        for (entries, links) in [
            (&[("../evil", &b"x"[..])][..], &[][..]),
            (&[("/tmp/evil", b"x")], &[]),
            (&[("a/../../evil", b"x")], &[]),
            (&[], &[("link", "/etc")]),
            (&[], &[("a/link", "../../x")]),
            (&[("link/evil", b"x")], &[("link", "..")]),
        ] {
            let place = Place::new();
            fs::write(place.path("app.tgz"), tar_gz(entries, links)).unwrap();
            let error = place.fetch(uri(place.uri("app.tgz")), None).unwrap_err();
            assert!(error.contains("leads out of the folder"), "{entries:?} {links:?}: {error}");
            assert!(!place.path("evil").exists() && !place.path("sandbox/evil").exists());
        }
    }

    /// Each link stays inside by itself, and what one leads to depends on another one.
    #[test]
    fn archives_that_climb_out_by_two_links_are_refused() {
        for links in [
            &[("a/b/u", "../.."), ("v", "a/b/u/..")][..],
            // The same before the link is there that makes it climb.
            &[("v", "a/b/u/.."), ("a/b/u", "../..")],
            // Its folder is less deep than its name says.
            &[("d", "."), ("d/e/v", "../..")],
        ] {
            let place = Place::new();
            let archive = tar_gz(&[("v/evil", b"x"), ("e/v/evil", b"x")], links);
            fs::write(place.path("app.tgz"), archive).unwrap();
            let error = place.fetch(uri(place.uri("app.tgz")), None).unwrap_err();
            assert!(error.contains("may lead out of the folder"), "{links:?}: {error}");
            assert!(!place.path("evil").exists());
        }
        // What links are good for goes on.
        let place = Place::new();
        let links = [("lib/current", "v1"), ("bin/start", "../lib/current/start")];
        let archive = tar_gz(&[("lib/v1/start", b"x")], &links);
        fs::write(place.path("app.tgz"), archive).unwrap();
        place.fetch(uri(place.uri("app.tgz")), None).unwrap();
        assert_eq!(fs::read(place.path("sandbox/bin/start")).unwrap(), b"x");
    }

    #[test]
    fn what_is_no_file_or_has_too_many_bytes_is_not_copied() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let place = Place::new();
        mknodat(CWD, place.path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for value in [place.uri("pipe"), "file:///dev/zero".to_owned()] {
            let error = place.fetch(uri(value.clone()), None).unwrap_err();
            assert!(error.contains("it is not a file"), "{value}: {error}");
        }
        // It has no byte on the disk.
        let large = File::create(place.path("large")).unwrap();
        large.set_len(ARTIFACT_MAX + 1).unwrap();
        let error = place.fetch(uri(place.uri("large")), None).unwrap_err();
        assert!(error.ends_with(&format!("has over {ARTIFACT_MAX} bytes")), "{error}");
        let copied = copy_at_most(7, Path::new("/proc/self/status"), &place.path("grown"));
        assert!(!copied.unwrap(), "its length is said to be none");
    }

    #[test]
    fn checksums_are_checked_and_the_cache_keeps_what_matched() {
        let place = Place::new();
        fs::write(place.path("data"), "one").unwrap();
        let right = hex(&Sha256::digest("one"));
        let cached = muster_proto::Uri { cache: Some(true), ..uri(place.uri("data")) };
        let error = place.fetch(cached.clone(), Some(&"0".repeat(64))).unwrap_err();
        assert!(error.contains(&right), "{error}");
        place.fetch(cached.clone(), Some(&right)).unwrap();
        fs::remove_file(place.path("data")).unwrap();
        place.fetch(cached.clone(), Some(&right)).unwrap();
        assert!(place.fetch(cached, None).is_err(), "without a checksum nothing is kept");
    }

    #[test]
    fn copies_that_were_not_finished_do_not_stay_in_the_cache() {
        let place = Place::new();
        remove_unfinished(&place.path("cache")).unwrap();
        fs::create_dir(place.path("cache")).unwrap();
        fs::write(place.path("cache/aa"), "whole").unwrap();
        fs::write(place.path("cache/bb.00"), "half").unwrap();
        remove_unfinished(&place.path("cache")).unwrap();
        assert!(place.path("cache/aa").exists() && !place.path("cache/bb.00").exists());
    }

    #[test]
    fn what_cannot_be_fetched_is_said() {
        let place = Place::new();
        fs::write(place.path("app.zip"), "x").unwrap();
        for (value, words) in [
            ("https://host/a".to_owned(), "is of no kind that this agent fetches"),
            (place.uri("absent"), "No such file"),
            (place.uri("app.zip"), "invalid Zip archive"),
            ("http://127.0.0.1:1/a".to_owned(), "cannot reach"),
            ("file:///".to_owned(), "names no file"),
        ] {
            let error = place.fetch(uri(value.clone()), None).unwrap_err();
            assert!(error.contains(words), "{value}: {error}");
        }
        let out = Some("../evil".to_owned());
        let out = muster_proto::Uri { output_file: out, ..uri(place.uri("app.zip")) };
        assert!(place.fetch(out, None).unwrap_err().contains("outside of the sandbox"));
    }

    #[test]
    fn http_is_spoken_and_redirections_are_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for answer in [
                "HTTP/1.1 302 Found\r\nlocation: /b?x=1\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndata",
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            ] {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                assert!(socket.read(&mut request).unwrap() > 0);
                socket.write_all(answer.as_bytes()).unwrap();
            }
        });
        let place = Place::new();
        place.fetch(uri(format!("http://{address}/a")), None).unwrap();
        assert_eq!(fs::read(place.path("sandbox/a")).unwrap(), b"data");
        let error = place.fetch(uri(format!("http://{address}/c")), None).unwrap_err();
        assert!(error.contains("404"), "{error}");
        server.join().unwrap();
    }
}
