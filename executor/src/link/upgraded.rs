//! Our stream: one connection that is upgraded, and records of calls and events on it, many to a
//! write.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, header, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use muster_proto::{
    TaskInfo,
    executor::{Call, STREAM_PATH, STREAM_UPGRADE},
    recordio,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::mpsc,
};

use super::{Line, LinkEvent, error::LinkError, heard::Ear};
use crate::Environment;

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// Connects and asks for the stream.
pub(super) async fn dial(environment: &Environment) -> Result<Upgraded, LinkError> {
    let stream = TcpStream::connect(&environment.agent).await.map_err(LinkError::Dial)?;
    stream.set_nodelay(true).map_err(LinkError::Dial)?;
    let (mut requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(LinkError::Ask)?;
    tokio::spawn(async move {
        // Its errors come out at the request, or at the stream.
        let _ = connection.with_upgrades().await;
    });
    let mut request = Request::post(STREAM_PATH)
        .header(header::HOST, &environment.agent)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, STREAM_UPGRADE);
    if let Some(token) = &environment.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(LinkError::Token)?;
    let answer = requests.send_request(request).await.map_err(LinkError::Ask)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(LinkError::status(answer.status()));
    }
    hyper::upgrade::on(answer).await.map_err(LinkError::Ask)
}

/// Moves messages both ways until the stream breaks, and says when it began and ended. Gives why it
/// ended, and whether the agent holds a lease, if it has said so.
pub(super) async fn converse(
    stream: Upgraded,
    events: &mpsc::Sender<LinkEvent>,
) -> (LinkError, Option<bool>) {
    let (reader, writer) = tokio::io::split(TokioIo::new(stream));
    // One batch is being written, one may wait; meanwhile updates gather for the next one.
    let (calls, to_write) = mpsc::channel(1);
    if events.send(LinkEvent::Up(Line { calls, supervised: true })).await.is_err() {
        return (LinkError::Closed, None);
    }
    let mut ear = Ear::new(events);
    let error = tokio::select! {
        error = read(reader, &mut ear) => error,
        error = write(writer, to_write) => error,
    };
    // When nobody listens there is nobody to tell.
    let _ = events.send(LinkEvent::Down).await;
    (error, ear.leased())
}

async fn read(mut reader: ReadHalf<TokioIo<Upgraded>>, ear: &mut Ear<'_>) -> LinkError {
    let mut buffer = vec![0; READ];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => return LinkError::Closed,
            Ok(length) => {
                if let Err(error) = ear.hear(&buffer[..length]).await {
                    return error;
                }
            }
            Err(error) => return LinkError::Broke(error),
        }
    }
}

async fn write(
    mut writer: WriteHalf<TokioIo<Upgraded>>,
    mut batches: mpsc::Receiver<Vec<Call>>,
) -> LinkError {
    let mut bytes = Vec::new();
    while let Some(batch) = batches.recv().await {
        bytes.clear();
        for mut call in batch {
            if let Some(subscribe) = &mut call.subscribe {
                keep_ids(&mut subscribe.unacknowledged_tasks);
            }
            recordio::encode_message(&call, &mut bytes);
        }
        if let Err(error) = writer.write_all(&bytes).await {
            return LinkError::Broke(error);
        }
    }
    LinkError::Closed
}

/// Leaves nothing of tasks but their ids. An agent of ours knows the rest, and all that many tasks are
/// would not fit into one record.
fn keep_ids(tasks: &mut [TaskInfo]) {
    for task in tasks {
        *task = TaskInfo { task_id: task.task_id.take(), ..TaskInfo::default() };
    }
}
