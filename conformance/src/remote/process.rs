//! The executor's own side: it makes requests as told, and knows nothing of Mesos.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Context as _;
use http_body_util::BodyExt;
use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::mpsc,
    task::AbortHandle,
};

use super::wire::{Hello, Order, Report};
use crate::{
    http::{self, Connection, Request},
    session::Membership,
};

/// Reports that wait for the connection to the suite.
const QUEUE: usize = 1_000;

/// Connects to the suite and does what it says, until it says to end or goes away.
pub async fn play(address: &str, key: &str) -> anyhow::Result<ExitCode> {
    let socket = TcpStream::connect(address).await.context("cannot reach the suite")?;
    socket.set_nodelay(true)?;
    let (orders, mut reports_out) = socket.into_split();
    let (reports, mut queue) = mpsc::channel::<Report>(QUEUE);
    reports.send(Report::Hello(hello(key)?)).await?;
    let writer = tokio::spawn(async move {
        while let Some(report) = queue.recv().await {
            let mut line = serde_json::to_vec(&report)?;
            line.push(b'\n');
            reports_out.write_all(&line).await?;
        }
        anyhow::Ok(())
    });
    let code = obey(BufReader::new(orders), &reports).await;
    drop(reports);
    writer.abort();
    code
}

async fn obey(
    mut orders: BufReader<impl tokio::io::AsyncRead + Unpin>,
    reports: &mpsc::Sender<Report>,
) -> anyhow::Result<ExitCode> {
    let mut open = BTreeMap::<u64, AbortHandle>::new();
    let mut line = String::new();
    loop {
        line.clear();
        if orders.read_line(&mut line).await? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        match serde_json::from_str(&line)? {
            Order::Request { id, address, request } => {
                let reports = reports.clone();
                tokio::spawn(async move {
                    let answer = http::exchange(&address, &request).await;
                    let answer = answer.map_err(|error| error.to_string());
                    let _ = reports.send(Report::Answered { id, answer }).await;
                });
            }
            Order::Open { id, address, request } => {
                let reading = tokio::spawn(follow(id, address, request, reports.clone()));
                open.insert(id, reading.abort_handle());
            }
            Order::Close { id } => {
                if let Some(reading) = open.remove(&id) {
                    reading.abort();
                }
            }
            Order::Exit { code } => return Ok(ExitCode::from(code)),
            Order::Signal { signal } => {
                let signal = Signal::from_named_raw(signal).context("no such signal")?;
                kill_process(getpid(), signal)?;
            }
        }
    }
}

async fn follow(id: u64, address: String, request: Request, reports: mpsc::Sender<Report>) {
    let opened = async {
        let mut connection = Connection::open(&address).await?;
        let (head, body) = connection.start(&request).await?;
        Ok::<_, http::Broken>((connection, head, body))
    };
    let (connection, mut body) = match opened.await {
        Ok((connection, head, body)) => {
            let _ = reports.send(Report::Opened { id, head: Ok(head) }).await;
            (connection, body)
        }
        Err(error) => {
            let _ = reports.send(Report::Opened { id, head: Err(error.to_string()) }).await;
            return;
        }
    };
    let broken = loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    let _ = reports.send(Report::Piece { id, bytes: bytes.to_vec() }).await;
                }
            }
            Some(Err(error)) => break Some(error.to_string()),
            None => break None,
        }
    };
    drop(connection);
    let _ = reports.send(Report::Ended { id, broken }).await;
}

fn hello(key: &str) -> anyhow::Result<Hello> {
    let folder = std::env::current_dir()?;
    let mut files: Vec<_> = std::fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    files.sort();
    let environment = std::env::vars_os().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    });
    let Membership { session, group } = Membership::ours()?;
    Ok(Hello {
        key: key.to_owned(),
        environment: environment.collect(),
        folder: folder.display().to_string(),
        files,
        pid: Pid::as_raw(Some(getpid())),
        group,
        session,
    })
}
