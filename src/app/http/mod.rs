//! The daemon's own pages: state, counters, health and a live view, over HTTP/1.1; and the door of a receiver.
//!
//! One thread serves all of it and only reads snapshots, so that no visitor can hold up a line.
//! Pages are local unless a token is set.

mod access;
mod body;
mod connections;
mod routes;
mod socket;

pub(in crate::app) use self::access::{Access, Named};
pub(in crate::app) use self::body::Body;
pub(in crate::app) use self::connections::Answers;
pub(in crate::app) use self::routes::{closing, of_kind, text, turned_away, verdict};

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::routes::Site;
use crate::error::{Error, Result};

/// How long [`Server::stop`] waits for the thread.
const STOP_WITHIN: Duration = Duration::from_millis(900);

/// What the pages show: snapshots that are at hand, never work that takes its time.
pub trait Pages: Send + Sync {
    /// Whether the process is well, and in words.
    fn health(&self) -> (bool, String);
    /// Whether every stream that must deliver does, and in words.
    fn ready(&self) -> (bool, String);
    /// Everything the page shows.
    fn status(&self) -> serde_json::Value;
    /// Counters in Prometheus' text format 0.0.4.
    fn metrics(&self) -> String;
    /// The newest picture of a stream as PNG, if there is one.
    fn preview(&self, stream: &str) -> Option<Vec<u8>>;
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Dropped, it tells the thread to end.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `pages` at an address from a thread of its own; port 0 is any that is free.
    ///
    /// # Errors
    /// `Config` if others than this machine could read the pages without a token, or the token is none;
    /// `Io` if the address cannot be had.
    pub fn start(listen: SocketAddr, token: Option<String>, pages: Arc<dyn Pages>) -> Result<Self> {
        let named = Named { listen: "http.listen", token: "http.token_file" };
        let access = Access::new(listen, token.as_deref(), named)?;
        Self::serve(listen, named, Arc::new(Site::new(access, pages)))
    }

    /// Lets somebody answer at an address.
    pub(in crate::app) fn serve(
        listen: SocketAddr,
        named: Named,
        site: Arc<impl Answers>,
    ) -> Result<Self> {
        let failed = |e| Error::io(format!("{} {listen}", named.listen), e);
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        let (running, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
            runtime.spawn(connections::accept(listener, site));
            // It never says anything: it is dropped. The runtime goes next, and all connections with it.
            let _ = runtime.block_on(ended);
        });
        Ok(Self { address, running: Some(running), thread: Some(thread.map_err(failed)?) })
    }

    /// The address it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and ends the thread, within a second; so does dropping it.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running = None;
        let Some(thread) = self.thread.take() else { return };
        // Were a page stuck in a snapshot, whoever stops the daemon must not be.
        let asked = Instant::now();
        while !thread.is_finished() && asked.elapsed() < STOP_WITHIN {
            std::thread::sleep(Duration::from_millis(2));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}
