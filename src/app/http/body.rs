//! What a response carries: bytes, or events without end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Bytes, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior};

use super::routes::{EVENT_EVERY, Site};

/// The body of a response.
pub enum Body {
    Whole(Bytes),
    Events(Box<Events>),
}

/// The status again and again, as server-sent events. A listener who reads slowly gets fewer.
pub struct Events {
    site: Arc<Site>,
    pace: Interval,
    /// Given back when the listener is gone.
    _place: OwnedSemaphorePermit,
}

impl Events {
    /// Events for one listener, the first at once.
    pub fn new(site: Arc<Site>, place: OwnedSemaphorePermit) -> Self {
        let mut pace = tokio::time::interval(EVENT_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { site, pace, _place: place }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Events(events) => {
                ready!(events.pace.poll_tick(cx));
                events.site.event()
            }
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
