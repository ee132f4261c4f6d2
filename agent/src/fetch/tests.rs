//! Artifacts, from files and over HTTP, good ones and bad ones.

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
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
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
