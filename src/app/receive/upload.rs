//! The body of an upload, in memory, bounded in size and time.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::{Request, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of a batch at most.
pub const MOST: usize = 16 << 20;
/// For the next bytes to come.
const NEXT: Duration = Duration::from_secs(30);
/// For all of them: a slow link sends small batches.
const ALL: Duration = Duration::from_secs(600);

/// What is read of those who are refused, and for how long.
const DRAINED: usize = 1 << 20;
const DRAIN: Duration = Duration::from_secs(5);

/// Why a body was not taken: the answer, and in words.
pub type Refusal = (StatusCode, String);

/// The length that is claimed; the most that is taken if none is.
pub fn claim(request: &Request<Incoming>) -> Result<usize, Refusal> {
    let Some(length) = request.headers().get(CONTENT_LENGTH) else { return Ok(MOST) };
    let length = length.to_str().ok().and_then(|l| l.parse::<usize>().ok());
    length.filter(|&l| l <= MOST).ok_or_else(too_large)
}

/// Reads a body to its end.
pub async fn read(mut body: Incoming) -> Result<Vec<u8>, Refusal> {
    let end = Instant::now() + ALL;
    // It grows with what came, not with what was claimed.
    let mut bytes = Vec::new();
    loop {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = match timeout_at(end, timeout(NEXT, next)).await {
            Ok(Ok(frame)) => frame,
            _ => {
                return Err((
                    StatusCode::REQUEST_TIMEOUT,
                    "the rest of the batch did not come".into(),
                ));
            }
        };
        match frame {
            None => return Ok(bytes),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if bytes.len() + data.len() > MOST {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&data);
            }
            Some(Err(e)) => {
                return Err((StatusCode::REQUEST_TIMEOUT, format!("the batch is cut off: {e}")));
            }
        }
    }
}

/// Reads the body of who is refused, if it is not much: who still sends does not hear the answer.
pub async fn drain(mut body: Incoming) {
    let all = async {
        let mut read = 0;
        while read < DRAINED {
            let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else {
                return;
            };
            read += frame.data_ref().map_or(0, |d| d.len());
        }
    };
    let _ = timeout(DRAIN, all).await;
}

fn too_large() -> Refusal {
    let words = format!("a batch has {MOST} bytes at most; send smaller ones");
    (StatusCode::PAYLOAD_TOO_LARGE, words)
}
