//! Thousands of connections that are opened and not used.

use std::{fs, net::SocketAddr, time::Duration};

use muster_master::{core::Answer, server::Bounds};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    http::{Http, SUBSCRIBE, subscribed},
    world::{Served, within},
};

/// How many connections to open where the system allows.
const MANY: u64 = 10_000;
/// Both ends of each connection are in this process, and a few files beside.
const FILES: u64 = 2 * MANY + 500;
/// Bytes by which memory may grow: those of the connections that are kept at one time, and of the
/// flood's own end.
const GROWTH: u64 = 128 * 1024 * 1024;

/// How many connections may be opened.
fn possible() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let maximum = now.maximum.unwrap_or(FILES);
    let current = now.current.unwrap_or(FILES).max(FILES.min(maximum));
    let raised = Rlimit { current: Some(current), maximum: now.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
    let current = getrlimit(Resource::Nofile).current.unwrap_or(FILES);
    MANY.min(current.saturating_sub(500) / 2)
}

/// Bytes of memory that this process holds.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}

/// A connection that is open and never gets further; each kind of it.
async fn slow(address: SocketAddr, number: u64) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let part = match number % 4 {
        0 => "",
        1 => "POST /api/v1/sched",
        2 => {
            "POST /api/v1/scheduler HTTP/1.1\r\nContent-Type: application/json\r\n\
              Content-Length: 100000\r\n\r\n{"
        }
        _ => "POST /muster/v1/agent HTTP/1.1\r\n",
    };
    // It may be closed already: others came after it.
    drop(stream.write_all(part.as_bytes()).await);
    stream
}

#[test]
fn thousands_of_slow_connections_take_bounded_memory_and_keep_nobody_out() {
    within(async {
        let many = possible();
        assert!(many >= 200, "too few files are allowed to show anything: {many}");
        let unproved = 128;
        let handshake = Duration::from_secs(60);
        let bounds = Bounds { unproved, handshake, ..Bounds::default() };
        let mut served = Served::within(bounds).await;
        let (mut agent, _) = served.welcomed("before").await;
        let before = resident();
        let mut flood = Vec::new();
        for number in 0..many {
            flood.push(slow(served.address, number).await);
            if number % (many / 4) == 0 {
                served.welcomed("during").await;
                assert!(served.events.recv().await.is_some(), "it has gone");
                let mut framework = Http::dial(served.address).await;
                framework.call(None, SUBSCRIBE).await;
                let stream = served.let_in().await;
                served.streams.send(stream, subscribed("f"));
                assert_eq!(framework.reply().await.status, 200);
                drop(framework);
                assert!(served.calls.recv().await.is_some(), "it has gone");
            }
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < GROWTH, "{many} connections took {grown} bytes");
        // Those that had to go are closed; as many as the bounds are still there: newcomers, and those
        // whose body is due.
        let mut open = 0;
        for stream in &flood {
            let mut byte = [0];
            match stream.try_read(&mut byte) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => open += 1,
                Err(_) => {}
            }
        }
        assert!(open <= 2 * unproved, "{open} are still open");
        agent.send(crate::world::TERM, crate::world::beat(1)).await;
        assert!(served.events.recv().await.is_some(), "who was here before still is");
        let mut call = Http::dial(served.address).await;
        call.call(None, r#"{"type":"REVIVE","framework_id":{"value":"f"}}"#).await;
        served.answer(Answer::Accepted).await;
        assert_eq!(call.reply().await.status, 202);
    });
}
