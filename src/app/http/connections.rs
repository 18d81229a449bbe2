//! Connections: taken as they come, at most so many, the one that was silent longest goes first.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::body::Body;
use super::socket::{Clock, Socket};

/// Open connections at most. A process has 1024 files unless told otherwise, and the streams need theirs.
const MOST: usize = 256;
/// For a request's headers to arrive, from the last answer on.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// Of a request's headers.
const HEADER_BYTES: usize = 16 << 10;
/// For an answer to be taken.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);
/// Until the next try when no connection can be taken.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Who answers requests.
pub trait Answers: Send + Sync + 'static {
    /// Answers a request. What is not read of its body is not waited for.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// All that are open, by number.
#[derive(Default)]
struct Connections {
    next: u64,
    /// Counts what happened, to know what came last.
    turn: u64,
    open: BTreeMap<u64, Open>,
}

struct Open {
    task: AbortHandle,
    /// The turn of its last request.
    last: u64,
    /// Listens to events: never silent, and there are only so many.
    listens: bool,
}

impl Connections {
    /// Closes the one whose last request is longest ago.
    fn close_oldest(&mut self) {
        let silent = self.open.iter().filter(|(_, o)| !o.listens);
        let oldest = silent.min_by_key(|(_, o)| o.last).map(|(number, _)| *number);
        if let Some(open) = oldest.and_then(|number| self.open.remove(&number)) {
            open.task.abort();
        }
    }

    fn touch(&mut self, number: u64, listens: bool) {
        self.turn += 1;
        if let Some(open) = self.open.get_mut(&number) {
            (open.last, open.listens) = (self.turn, listens);
        }
    }
}

/// Takes connections, without end. That none can be taken now, for want of files, is no end either.
pub async fn accept<A: Answers>(listener: TcpListener, site: Arc<A>) {
    let connections = Arc::new(Mutex::new(Connections::default()));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open(stream, &site, &connections),
            Err(_) => {
                lock(&connections).close_oldest();
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

fn open<A: Answers>(stream: TcpStream, site: &Arc<A>, connections: &Arc<Mutex<Connections>>) {
    // Events are small and each is worth a packet.
    let _ = stream.set_nodelay(true);
    let mut all = lock(connections);
    if all.open.len() >= MOST {
        all.close_oldest();
    }
    let number = all.next;
    (all.next, all.turn) = (number + 1, all.turn + 1);
    // It cannot end before it is noted: there is one thread, and it is here.
    let task = tokio::spawn(serve(stream, number, site.clone(), connections.clone()));
    let open = Open { task: task.abort_handle(), last: all.turn, listens: false };
    all.open.insert(number, open);
}

async fn serve<A: Answers>(
    stream: TcpStream,
    number: u64,
    site: Arc<A>,
    connections: Arc<Mutex<Connections>>,
) {
    // Also when it is aborted, or an answer panics.
    let _noted = Noted { number, connections: connections.clone() };
    let service = service_fn(move |request| {
        let (site, connections) = (site.clone(), connections.clone());
        async move {
            lock(&connections).touch(number, false);
            let answer = site.answer(request).await;
            let listens = matches!(answer.body(), Body::Events(_));
            lock(&connections).touch(number, listens);
            Ok::<_, Infallible>(answer)
        }
    });
    // How a visitor went away is of no interest.
    let _ = http1::Builder::new()
        .timer(Clock)
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(Socket::new(stream, TAKEN_WITHIN), service)
        .await;
}

/// Strikes a connection off when it ends.
struct Noted {
    number: u64,
    connections: Arc<Mutex<Connections>>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        lock(&self.connections).open.remove(&self.number);
    }
}

fn lock(connections: &Mutex<Connections>) -> MutexGuard<'_, Connections> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}
