//! A connection that waits for its reader with patience, and not for ever.
//!
//! Without this, whoever asks for more than the system takes for him and reads none of it would hold
//! a connection, and what waits to be written to it, for as long as he likes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use muster_api::limits;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// A connection whose writes fail when the other side takes too little for too long.
#[derive(Debug)]
pub(super) struct Patient {
    stream: TcpStream,
    behind: Option<Behind>,
}

/// The other side has not taken all that it was given.
#[derive(Debug)]
struct Behind {
    /// When it must have taken some of it.
    until: Pin<Box<Sleep>>,
    /// How much it has.
    taken: usize,
}

impl Patient {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Without this the system would take megabytes at once, and then nothing until about a third
        // of them is sent: a slow reader would look like one that reads nothing.
        let _ = SockRef::from(&stream).set_tcp_notsent_lowat(limits::HTTP_UNSENT_BYTES);
        Self { stream, behind: None }
    }

    /// Takes in how a write of so many bytes went.
    fn look(
        &mut self,
        cx: &mut Context<'_>,
        given: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(taken)) if *taken == given => self.behind = None,
            Poll::Ready(Ok(taken)) => {
                if let Some(behind) = &mut self.behind {
                    behind.taken += taken;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return self.wait(cx),
        }
        written
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let behind = self.behind.get_or_insert_with(|| {
            let until = Box::pin(sleep(limits::HTTP_STALL));
            Behind { until, taken: 0 }
        });
        loop {
            ready!(behind.until.as_mut().poll(cx));
            if behind.taken < limits::HTTP_STALL_BYTES {
                let why = "the other side does not read";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            behind.taken = 0;
            behind.until.as_mut().reset(Instant::now() + limits::HTTP_STALL);
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.look(cx, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let given = parts.iter().map(|part| part.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.look(cx, given, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::timeout,
    };

    use super::*;

    /// More than the system takes for somebody who reads nothing.
    const MUCH: usize = 64 * 1024 * 1024;

    /// Until what this gives is dropped the clock of the test stands still: it goes on whenever
    /// nothing else does, and so also while the system has something on its way.
    fn hold_the_clock() -> std::sync::mpsc::Sender<()> {
        let (held, until_dropped) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || until_dropped.recv());
        held
    }

    /// Time for the system, and none on the clock of the test. There is nothing to wait for: what is
    /// on its way cannot be asked about.
    #[allow(clippy::disallowed_methods)]
    async fn let_the_system_work() {
        let a_while = || std::thread::sleep(std::time::Duration::from_millis(50));
        tokio::task::spawn_blocking(a_while).await.unwrap();
    }

    async fn pair() -> (Patient, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Patient::new(listener.accept().await.unwrap().0), connected)
    }

    /// The clock of these tests goes on whenever nothing else does.
    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_waited_for_so_long_and_no_longer() {
        let (mut to, _from) = pair().await;
        let begun = Instant::now();
        let written = timeout(limits::HTTP_STALL * 2, to.write_all(&vec![0; MUCH])).await;
        let error = written.expect("it is not waited for any more").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= limits::HTTP_STALL, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_gets_all_of_it() {
        let (mut to, mut from) = pair().await;
        let reading = tokio::spawn(async move {
            let (mut part, mut read) = (vec![0; MUCH / 8], 0);
            while read < MUCH {
                sleep(limits::HTTP_STALL / 2).await;
                let _held = hold_the_clock();
                let most = part.len().min(MUCH - read);
                read += from.read_exact(&mut part[..most]).await.unwrap();
                let_the_system_work().await;
            }
        });
        let begun = Instant::now();
        to.write_all(&vec![0; MUCH]).await.unwrap();
        reading.await.unwrap();
        assert!(begun.elapsed() > limits::HTTP_STALL, "it took longer than nothing may");
    }

    /// Less in all the time that nobody may take nothing in than what the system would take at once.
    #[tokio::test(start_paused = true)]
    async fn who_takes_little_at_a_time_is_seen_to_take_it() {
        let (mut to, mut from) = pair().await;
        let reading = tokio::spawn(async move {
            let mut part = vec![0; 256 * 1024];
            for _ in 0..8 {
                sleep(limits::HTTP_STALL / 2).await;
                let _held = hold_the_clock();
                from.read_exact(&mut part).await.unwrap();
                let_the_system_work().await;
            }
            let _held = hold_the_clock();
            tokio::io::copy(&mut from, &mut tokio::io::sink()).await.unwrap()
        });
        to.write_all(&vec![0; MUCH]).await.unwrap();
        drop(to);
        assert_eq!(reading.await.unwrap() + 8 * 256 * 1024, MUCH as u64);
    }
}
