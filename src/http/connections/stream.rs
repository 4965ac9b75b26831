//! A connection's bytes under time limits, and its end.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::stage::{Limits, Watch};

/// A connection. `G` is what it holds as long as it is open.
pub struct Stream<G: Send + 'static> {
    /// Taken when it is dropped.
    open: Option<(TcpStream, G)>,
    /// Whether the client has ended it.
    is_over: bool,
    limits: Limits,
    watch: Watch,
    silence: Alarm,
    stall: Alarm,
    /// Bytes taken since the client began to hold us up.
    taken: usize,
}

/// Bytes that a slow client must take before its time begins anew: one that takes a few at a time, to hold an answer for
/// hours, does not take these.
const PROGRESS: usize = 64 << 10;

impl<G: Send + 'static> Stream<G> {
    /// Over a new connection.
    pub fn new(tcp: TcpStream, limits: Limits, watch: Watch, guard: G) -> Self {
        let (silence, stall) = (Alarm::default(), Alarm::default());
        Self { open: Some((tcp, guard)), is_over: false, limits, watch, silence, stall, taken: 0 }
    }

    fn tcp(&mut self) -> Pin<&mut TcpStream> {
        let (tcp, _) = self.open.as_mut().expect("taken by drop only");
        Pin::new(tcp)
    }

    /// What came of a write: bytes taken, or a wait that has its limit.
    fn on_write(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => {
                if self.watch.on_write() {
                    // hyper reads again once it is woken, and only who reads learns that the client is silent.
                    cx.waker().wake_by_ref();
                }
                self.taken += bytes;
                if self.taken >= PROGRESS {
                    self.rest();
                }
            }
            Poll::Ready(Err(_)) => self.is_over = true,
            Poll::Pending => {
                if !self.stall.is_set() {
                    self.taken = 0;
                    self.stall.set(Instant::now() + self.limits.stall);
                }
                ready!(self.stall.poll(cx));
                self.is_over = true;
                return Poll::Ready(Err(late("the client takes nothing of what is sent")));
            }
        }
        written
    }

    /// Nothing waits for the client.
    fn rest(&mut self) {
        self.stall.stop();
        self.taken = 0;
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<G: Send + Unpin + 'static> AsyncRead for Stream<G> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        match this.tcp().poll_read(cx, buf) {
            Poll::Ready(read) => {
                let is_end = buf.filled().len() == before && buf.capacity() > before;
                this.is_over |= read.is_err() || is_end;
                this.watch.on_read();
                Poll::Ready(read)
            }
            Poll::Pending => {
                let Some(deadline) = this.watch.deadline(&this.limits) else { return Poll::Pending };
                this.silence.set(deadline);
                ready!(this.silence.poll(cx));
                Poll::Ready(Err(late("the client sends no request")))
            }
        }
    }
}

impl<G: Send + Unpin + 'static> AsyncWrite for Stream<G> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.tcp().poll_write(cx, bytes);
        self.on_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.tcp().poll_write_vectored(cx, slices);
        self.on_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Callers flush once they have written all they had.
        self.rest();
        self.tcp().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().poll_shutdown(cx)
    }
}

impl<G: Send + 'static> Drop for Stream<G> {
    fn drop(&mut self) {
        let Some((tcp, guard)) = self.open.take() else { return };
        if let (false, Ok(runtime)) = (self.is_over, Handle::try_current()) {
            runtime.spawn(linger(tcp, guard));
        }
    }
}

/// How long, and for how many bytes, a client is heard that goes on sending after our last word.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 16 << 20;

/// Ends a connection so that the client gets to read our last word: the system throws away what it has not read yet
/// where bytes come in after the end. <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>
async fn linger<G>(mut tcp: TcpStream, _guard: G) {
    let last = async {
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, last).await;
}

/// A timer that is made when it is first needed.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    is_set: bool,
}

impl Alarm {
    fn is_set(&self) -> bool {
        self.is_set
    }

    fn set(&mut self, deadline: Instant) {
        self.is_set = true;
        match &mut self.sleep {
            None => self.sleep = Some(Box::pin(sleep_until(deadline))),
            Some(sleep) if sleep.deadline() == deadline => {}
            Some(sleep) => sleep.as_mut().reset(deadline),
        }
    }

    fn stop(&mut self) {
        self.is_set = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.is_set => sleep.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }
}
