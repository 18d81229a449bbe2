//! One connection: hello, events and states as they come, goodbye.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{pending, poll_fn};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, EventLoop, Outgoing, Packet, QoS};
use tokio::select;
use tokio::time::{sleep, sleep_until, timeout_at};

use super::broker::LARGEST;
use super::{Shared, Work, lock, stopped};
use crate::app::log;

/// How often is looked whether a status is due, and whether the broker still acknowledges.
const LOOK: Duration = Duration::from_secs(1);
/// A message that is not acknowledged for so long never will be, on this connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked whether all was acknowledged, at the end.
const NAP: Duration = Duration::from_millis(10);
/// Messages that wait for the connection at most: more than may be on their way.
const CHANNEL: usize = 300;

/// A message that was handed to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Event(u64),
    Online,
    Status,
}

/// Messages on their way, each until it is acknowledged.
#[derive(Default)]
struct Way {
    /// Handed over, and not numbered yet: they are numbered in this order.
    handed: VecDeque<Message>,
    /// By the number of the packet, and since when.
    flying: BTreeMap<u16, (Message, Instant)>,
}

impl Way {
    fn is_empty(&self) -> bool {
        self.handed.is_empty() && self.flying.is_empty()
    }

    /// Whether a status is on its way.
    fn has_status(&self) -> bool {
        let flying = self.flying.values().map(|f| &f.0);
        self.handed.iter().chain(flying).any(|m| *m == Message::Status)
    }

    /// Whether one is for too long.
    fn is_stuck(&self) -> bool {
        self.flying.values().any(|f| f.1.elapsed() > PATIENCE)
    }

    /// Takes note of what the connection did; the event that was acknowledged, if one was.
    fn note(&mut self, event: &Event) -> Option<u64> {
        match event {
            Event::Outgoing(Outgoing::Publish(number)) => {
                let message = self.handed.pop_front()?;
                self.flying.insert(*number, (message, Instant::now()));
                None
            }
            Event::Incoming(Packet::PubAck(ack)) => match self.flying.remove(&ack.pkid)?.0 {
                Message::Event(id) => Some(id),
                Message::Online | Message::Status => None,
            },
            _ => None,
        }
    }
}

/// What the two sides of a connection share.
struct Link<'a> {
    work: &'a Work,
    visit: u64,
    client: AsyncClient,
    way: RefCell<Way>,
}

impl Work {
    /// One connection, from the first try to the end; `Ok` if it was told to end.
    pub(super) async fn visit(&mut self, visit: u64) -> Result<(), String> {
        if let Err(e) = self.broker.read_password() {
            // The old one may do.
            log::warn(None, format_args!("mqtt: {e}"));
        }
        let (options, network) = self.broker.options();
        let (client, mut events) = AsyncClient::new(options, CHANNEL);
        events.set_network_options(network);
        let mut stop = self.stop.clone();
        let first = {
            let seen = lock(&self.shared.seen);
            seen.connections + seen.failures == 0
        };
        let given_up = async {
            let until = stopped(&mut stop).await;
            // What ends before there was a connection may still have something to say.
            if first && self.shared.outbox.tally().queued > 0 {
                sleep_until(until.into()).await;
            }
        };
        select! {
            connected = events.poll() => connected.map_err(|e| self.broker.words(&e))?,
            () = given_up => return Ok(()),
        };
        self.connected = Some(Instant::now());
        self.shared.turn(true, None, true);
        let link = Link { work: self, visit, client, way: RefCell::default() };
        select! {
            ended = link.pump(&mut events) => ended,
            ended = link.feed(stop) => ended,
        }
    }
}

impl Link<'_> {
    fn shared(&self) -> &Shared {
        &self.work.shared
    }

    /// Lets the connection work, to its end.
    async fn pump(&self, events: &mut EventLoop) -> Result<(), String> {
        loop {
            match events.poll().await {
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return Ok(()),
                Ok(event) => self.note(&event),
                Err(e) => {
                    // What came before the end counts: it need not be sent again.
                    events.state.events.iter().for_each(|event| self.note(event));
                    return Err(self.work.broker.words(&e));
                }
            }
        }
    }

    fn note(&self, event: &Event) {
        if let Some(id) = self.way.borrow_mut().note(event) {
            self.shared().outbox.acknowledged(self.visit, id);
        }
    }

    /// Hands over what is to be said, until it is to end and has said goodbye.
    async fn feed(
        &self,
        mut stop: tokio::sync::watch::Receiver<Option<Instant>>,
    ) -> Result<(), String> {
        self.publish("online", true, "1".into(), Message::Online)?;
        self.publish_status()?;
        let mut due = Instant::now() + self.work.every;
        let until = loop {
            let look = due.min(Instant::now() + LOOK);
            select! {
                biased;
                until = stopped(&mut stop) => break until,
                () = sleep_until(look.into()) => {
                    if self.way.borrow().is_stuck() {
                        return Err("the broker does not acknowledge what it is sent".into());
                    }
                    if Instant::now() >= due {
                        due = Instant::now() + self.work.every;
                        self.publish_status()?;
                    }
                }
                sent = self.event() => sent?,
            }
        };
        // What the lines made last goes first; then there is still time for goodbye.
        let left = until.saturating_duration_since(Instant::now());
        let last_call = until - left / 4;
        let _ = timeout_at(last_call.into(), self.drain()).await;
        match timeout_at(until.into(), self.leave()).await {
            Ok(left) => left,
            // The broker says the last will of a connection that breaks off.
            Err(_) => Ok(()),
        }
    }

    /// Hands over the next event, when there is one.
    async fn event(&self) -> Result<(), String> {
        let outbox = &self.shared().outbox;
        let letter = poll_fn(|cx| outbox.poll_next(self.visit, cx)).await;
        let (topic, record) = (format!("{}/event", letter.stream), letter.record.to_string());
        self.publish(&topic, false, record, Message::Event(letter.id))
    }

    /// Sends events until all were acknowledged.
    async fn drain(&self) -> Result<(), String> {
        while self.shared().outbox.tally().queued > 0 {
            select! {
                sent = self.event() => sent?,
                () = sleep(NAP) => {}
            }
        }
        Ok(())
    }

    /// Says goodbye; the connection's other side ends with it.
    async fn leave(&self) -> Result<(), String> {
        self.publish("online", true, "0".into(), Message::Online)?;
        while !self.way.borrow().is_empty() {
            sleep(NAP).await;
        }
        self.client.try_disconnect().map_err(|e| e.to_string())?;
        pending().await
    }

    fn publish_status(&self) -> Result<(), String> {
        // On a slow link they do not pile up.
        if self.way.borrow().has_status() {
            return Ok(());
        }
        let status = (self.work.status)().map(|s| s.to_string());
        match status.filter(|s| s.len() < LARGEST) {
            Some(status) => self.publish("status", true, status, Message::Status),
            None => Ok(()),
        }
    }

    fn publish(&self, topic: &str, keep: bool, words: String, what: Message) -> Result<(), String> {
        let topic = self.work.broker.topic(topic);
        self.client.try_publish(topic, QoS::AtLeastOnce, keep, words).map_err(|e| e.to_string())?;
        self.way.borrow_mut().handed.push_back(what);
        Ok(())
    }
}
