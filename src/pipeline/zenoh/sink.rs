//! Publishes the groups of packets.

use std::collections::BTreeMap;
use std::time::Duration;

use ::zenoh::pubsub::Publisher;
use ::zenoh::qos::CongestionControl;
use ::zenoh::{Session, Wait};

use super::session::{failed, open};
use super::{Congestion, Link};
use crate::bitstream::PacketWriter;
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;

/// Publishes each group of each packet under a key of its own.
pub struct ZenohSink {
    link: Link,
    session: Session,
    congestion: CongestionControl,
    /// What is waited before the first packet.
    wait: Duration,
    /// By stream and group.
    publishers: BTreeMap<(u32, usize), Publisher<'static>>,
}

/// Publishes at a link. Before the first packet, those who listen have `wait` to find this process.
///
/// # Errors
/// `Io` if the address cannot be listened at.
pub fn sink(link: Link, congestion: Congestion, wait: Duration) -> Result<Box<dyn Sink>> {
    let session = open(&link)?;
    let congestion = match congestion {
        Congestion::Block => CongestionControl::Block,
        Congestion::Drop => CongestionControl::Drop,
    };
    Ok(Box::new(ZenohSink { link, session, congestion, wait, publishers: BTreeMap::new() }))
}

impl ZenohSink {
    fn put(&mut self, stream: u32, group: usize, groups: usize, message: Vec<u8>) -> Result<()> {
        let fail = |link, e: ::zenoh::Error| failed(link, "cannot be published at", &*e);
        if !self.publishers.contains_key(&(stream, group)) {
            let key = format!("{}/{stream}/{group}", self.link.key);
            let publisher = self.session.declare_publisher(key);
            let publisher = publisher.congestion_control(self.congestion).wait();
            let publisher = publisher.map_err(|e| fail(&self.link, e))?;
            self.publishers.insert((stream, group), publisher);
        }
        let Some(publisher) = self.publishers.get(&(stream, group)) else { return Ok(()) };
        // A header has 15 groups at most.
        let groups = [u8::try_from(groups).unwrap_or(u8::MAX)];
        publisher.put(message).attachment(groups).wait().map_err(|e| fail(&self.link, e))
    }
}

impl Sink for ZenohSink {
    fn needs(&self) -> Parts {
        Parts::PACKET
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        let (Some(packet), Some(header)) = (&item.packet, &item.header) else { return Ok(()) };
        std::thread::sleep(std::mem::take(&mut self.wait));
        let groups = packet.groups();
        for group in groups.clone() {
            let mut writer = PacketWriter::new();
            // Who joins now can read this packet, or the next that stands alone.
            let mut message = if group == 0 { writer.repeat(header) } else { Vec::new() };
            message.extend(writer.packet(&packet.part(group..group + 1)));
            self.put(header.stream, group, groups.end, message)?;
        }
        if item.end {
            // Of many files each is a stream of its own.
            self.publishers.retain(|&(stream, _), _| stream != header.stream);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.publishers.clear();
        // Sends what waits to be sent.
        self.session.close().wait().map_err(|e| failed(&self.link, "cannot be closed", &*e))
    }
}
