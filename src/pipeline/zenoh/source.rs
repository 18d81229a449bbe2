//! Subscribes to the groups of packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::zenoh::pubsub::Subscriber;
use ::zenoh::sample::Sample;
use ::zenoh::{Session, Wait};
use crossbeam::channel::{Receiver, bounded};

use super::Link;
use super::joining::Joining;
use super::session::{failed, open};
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// Messages that wait to be read; then those who publish wait.
const WAITING: usize = 256;
/// How long a message is waited for before the stop is looked at.
const NAP: Duration = Duration::from_millis(50);
/// Groups that a stream can have.
const GROUPS: usize = 15;

/// Gives the packets that others publish, as many groups of each as it subscribes to.
pub struct ZenohSource {
    messages: Receiver<Sample>,
    joining: Joining,
    stop: Arc<AtomicBool>,
    /// Both end what they do when they are dropped.
    _subscribers: Vec<Subscriber<()>>,
    _session: Session,
}

/// Subscribes at a link to the first groups of each packet, or to all, until `stop` is set.
///
/// # Errors
/// `Io` if the address cannot be listened at.
pub fn source(
    name: &str,
    link: &Link,
    groups: Option<usize>,
    stop: Arc<AtomicBool>,
) -> Result<Box<dyn Source>> {
    let session = open(link)?;
    let (sender, messages) = bounded(WAITING);
    let keys: Vec<String> = match groups {
        Some(n) => (0..n).map(|group| format!("{}/*/{group}", link.key)).collect(),
        None => vec![format!("{}/*/*", link.key)],
    };
    let subscribe = |key: String| {
        let sender = sender.clone();
        let subscriber = session.declare_subscriber(key).callback(move |sample| {
            // Nobody reads any more once the source is gone.
            let _ = sender.send(sample);
        });
        subscriber.wait().map_err(|e| failed(link, "cannot be subscribed to", &*e))
    };
    let subscribers = keys.into_iter().map(subscribe).collect::<Result<_>>()?;
    let joining = Joining::new(name, groups.unwrap_or(GROUPS));
    Ok(Box::new(ZenohSource {
        messages,
        joining,
        stop,
        _subscribers: subscribers,
        _session: session,
    }))
}

impl ZenohSource {
    fn take(&mut self, sample: &Sample) {
        let key = sample.key_expr().as_str();
        let groups = sample.attachment().map(|a| a.to_bytes());
        let groups = match groups.as_deref() {
            Some(&[n]) if n > 0 => usize::from(n).min(GROUPS),
            _ => {
                let why = format!("{key}: a message without its number of groups is not of tamis");
                return self.joining.lose("damage", why);
            }
        };
        if let Err(e) = self.joining.push(&sample.payload().to_bytes(), groups) {
            self.joining.lose("damage", format!("{key}: {e}"));
        }
    }
}

impl Source for ZenohSource {
    fn makes(&self) -> Parts {
        Parts::PACKET
    }

    fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(item) = self.joining.next() {
                return Ok(Some(item));
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if let Ok(sample) = self.messages.recv_timeout(NAP) {
                self.take(&sample);
            }
        }
    }

    fn close(&mut self) -> Vec<Item> {
        // What came before the line was stopped.
        for _ in 0..WAITING {
            let Ok(sample) = self.messages.try_recv() else { break };
            self.take(&sample);
        }
        self.joining.finish()
    }
}
