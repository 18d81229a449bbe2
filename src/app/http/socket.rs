//! A connection and a clock as hyper wants them, with a bound on how long a reader may keep us waiting.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection that fails if what is to be written is not taken in time.
pub struct Socket {
    stream: TcpStream,
    patience: Duration,
    /// Runs from when the reader first made us wait until all is written: one that takes a byte now and then is
    /// as slow as one that takes none.
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Socket {
    /// Wraps a connection.
    pub fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, deadline: None }
    }

    fn in_time(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        if written.is_ready() {
            return written;
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        deadline.as_mut().poll(cx).map(|()| Err(Error::from(ErrorKind::TimedOut)))
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        // hyper's buffer is not initialised, and only unsafe code may lend it on. Requests are small.
        let mut bytes = [0; 2048];
        let room = buffer.remaining().min(bytes.len());
        let mut read = ReadBuf::new(&mut bytes[..room]);
        ready!(Pin::new(&mut self.get_mut().stream).poll_read(cx, &mut read))?;
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let me = self.get_mut();
        let written = Pin::new(&mut me.stream).poll_write(cx, bytes);
        me.in_time(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let me = self.get_mut();
        let written = Pin::new(&mut me.stream).poll_write_vectored(cx, slices);
        me.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        // hyper comes here when nothing of its own is left to write; TCP has nothing to flush.
        self.get_mut().deadline = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Time for hyper's own limits.
#[derive(Debug)]
pub struct Clock;

struct Nap(Pin<Box<tokio::time::Sleep>>);

impl Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(Box::pin(tokio::time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(Box::pin(tokio::time::sleep_until(deadline.into()))))
    }
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for Nap {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::poll_fn;
    use std::io::Read as _;

    use super::*;

    /// Writes until it fails to a reader who takes some bytes now and then, and says why it failed.
    fn fails_with(patience: Duration, taken: usize) -> (Error, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let began = Instant::now();
        let dawdler = std::thread::spawn(move || {
            while began.elapsed() < Duration::from_secs(2) {
                let _ = reader.read(&mut vec![0; taken]);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let error = runtime.block_on(async {
            let mut socket = Socket::new(TcpStream::from_std(stream).unwrap(), patience);
            loop {
                let write = |cx: &mut Context<'_>| Pin::new(&mut socket).poll_write(cx, &[0; 4096]);
                if let Err(error) = poll_fn(write).await {
                    break error;
                }
            }
        });
        let took = began.elapsed();
        dawdler.join().unwrap();
        (error, took)
    }

    #[test]
    fn a_reader_who_takes_little_by_little_is_given_up() {
        let (error, took) = fails_with(Duration::from_millis(300), 1000);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(took < Duration::from_millis(1900), "{took:?}");
    }
}
