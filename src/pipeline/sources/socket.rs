//! Bytes that another program sends: over TCP or a UNIX socket.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::feed::Feed;
use super::{NAP, Reading};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// A sender that says nothing for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(20);
/// Waiting between attempts to connect: at first, at most.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];
/// How long an attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Who is talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Whoever connects to this address.
    Listen(String),
    /// Whoever listens at this address.
    Connect(String),
    /// Whoever connects to this UNIX socket.
    Unix(PathBuf),
}

/// Reads one sender after the other. What comes in is stamped with the time of its arrival; numbers go on from one
/// sender to the next.
pub struct Socket {
    name: String,
    peer: Peer,
    how: Reading,
    stop: Arc<AtomicBool>,
    door: Door,
    feed: Option<Feed>,
    clock: Clock,
    index: u64,
    /// Bytes that came from the sender that is read.
    came: Arc<AtomicU64>,
    /// How long is waited before the next attempt to connect.
    pause: Duration,
}

enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
    Out,
}

impl Socket {
    /// Opens the door; nobody is waited for.
    ///
    /// # Errors
    /// `Io` if the address or path cannot be listened at.
    pub fn new(name: &str, peer: Peer, how: Reading, stop: Arc<AtomicBool>) -> Result<Self> {
        let door = match &peer {
            Peer::Listen(at) => {
                let door = TcpListener::bind(at).and_then(|d| d.set_nonblocking(true).map(|()| d));
                Door::Tcp(door.map_err(|e| Error::io(at, e))?)
            }
            Peer::Unix(path) => {
                // One that a process left behind when it was killed; never another file.
                if std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket())
                    && UnixStream::connect(path).is_err()
                {
                    std::fs::remove_file(path).map_err(|e| Error::io(path, e))?;
                }
                let door = UnixListener::bind(path);
                let door = door.and_then(|d| d.set_nonblocking(true).map(|()| d));
                Door::Unix(door.map_err(|e| Error::io(path, e))?)
            }
            Peer::Connect(_) => Door::Out,
        };
        let (name, feed, clock) = (name.to_owned(), None, Clock::new());
        let (came, pause) = (Arc::default(), BACK_OFF[0]);
        Ok(Self { name, peer, how, stop, door, feed, clock, index: 0, came, pause })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The next sender; `None` when the line is stopped.
    fn sender(&mut self) -> Option<Box<dyn Read + Send>> {
        while !self.stopped() {
            let found: io::Result<Box<dyn Timed>> = match (&self.door, &self.peer) {
                (Door::Tcp(door), _) => door.accept().map(|(s, _)| Box::new(s) as _),
                (Door::Unix(door), _) => door.accept().map(|(s, _)| Box::new(s) as _),
                (Door::Out, Peer::Connect(to)) => connect(to).map(|s| Box::new(s) as _),
                (Door::Out, _) => return None,
            };
            if let Ok(stream) = found
                && stream.patient().is_ok()
            {
                self.came.store(0, Ordering::Relaxed);
                let (stop, came) = (self.stop.clone(), self.came.clone());
                return Some(Box::new(Patient { stream, stop, came }));
            }
            match self.door {
                Door::Out => self.rest(),
                _ => std::thread::sleep(NAP),
            }
        }
        None
    }

    /// Waits, longer each time, until something came.
    fn rest(&mut self) {
        let begin = Instant::now();
        while begin.elapsed() < self.pause && !self.stopped() {
            std::thread::sleep(NAP);
        }
        self.pause = (2 * self.pause).min(BACK_OFF[1]);
    }

    fn lost(&self, why: &Error) -> Item {
        let mut item = Item { name: self.name.clone(), ..Item::default() };
        item.lose("unreadable", why);
        item
    }

    fn place(&mut self, mut item: Item) -> Item {
        // What is to be said of the end comes without a picture.
        if item.frame.is_none() && item.gone.is_none() {
            let why: Vec<String> = item.warnings.drain(..).map(|w| w.to_string()).collect();
            item.lose("cut_short", why.join("; "));
        }
        item.stamp.stream = 0;
        item.stamp.index = self.index;
        if item.frame.is_some() {
            self.index += 1;
            self.pause = BACK_OFF[0];
        }
        self.clock.stamp(&mut item.stamp);
        item
    }
}

impl Source for Socket {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> Result<Option<Item>> {
        loop {
            let Some(feed) = &mut self.feed else {
                let Some(sender) = self.sender() else { return Ok(None) };
                match Feed::read(sender, &self.name, &self.how) {
                    Ok(feed) if feed.is_packets() => {
                        let why = Error::input(&self.name, "sends packets; a line codes frames");
                        return Ok(Some(self.lost(&why)));
                    }
                    Ok(feed) => self.feed = Some(feed),
                    Err(_) if self.stopped() => return Ok(None),
                    // Whoever connects and goes has sent nothing that could be lost.
                    Err(_) if self.came.load(Ordering::Relaxed) == 0 => {
                        if matches!(self.door, Door::Out) {
                            self.rest();
                        }
                        continue;
                    }
                    Err(e) => return Ok(Some(self.lost(&e))),
                }
                continue;
            };
            match feed.next_item() {
                Ok(Some(item)) => return Ok(Some(self.place(item))),
                Ok(None) => self.feed = None,
                Err(e) => {
                    self.feed = None;
                    return Ok(Some(self.lost(&e)));
                }
            }
        }
    }

    fn close(&mut self) -> Vec<Item> {
        let last = self.feed.take().and_then(|mut feed| feed.close());
        last.map(|item| self.place(item)).into_iter().collect()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let (Door::Unix(_), Peer::Unix(path)) = (&self.door, &self.peer) {
            // If it stays, the next to listen takes it away.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn connect(to: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for address in to.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// A stream whose reads come back after a while.
trait Timed: Read + Send {
    fn patient(&self) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn patient(&self) -> io::Result<()> {
        self.set_nonblocking(false)?;
        self.set_read_timeout(Some(NAP))
    }
}

impl Timed for UnixStream {
    fn patient(&self) -> io::Result<()> {
        self.set_nonblocking(false)?;
        self.set_read_timeout(Some(NAP))
    }
}

/// Waits for bytes until the line is stopped or the sender is taken for dead: then it has ended.
struct Patient {
    stream: Box<dyn Timed>,
    stop: Arc<AtomicBool>,
    came: Arc<AtomicU64>,
}

impl Read for Patient {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let begin = Instant::now();
        loop {
            match self.stream.read(to) {
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    if self.stop.load(Ordering::Relaxed) || begin.elapsed() > SILENCE {
                        return Ok(0);
                    }
                }
                // A sender that breaks off has ended, as one that closes.
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                read => {
                    let count = read.as_ref().map_or(0, |&n| n as u64);
                    self.came.fetch_add(count, Ordering::Relaxed);
                    return read;
                }
            }
        }
    }
}
