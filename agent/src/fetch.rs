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
mod tests;
