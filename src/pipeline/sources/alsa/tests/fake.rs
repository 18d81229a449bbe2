//! A microphone made in code, and what the file system shows of it.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::super::super::depth::Depth;
use super::super::MicrophoneSource;
use super::super::find::{Finder, Identity, Tree};
use super::super::listen::{Break, Chunk, Heard, Listen, Offer, Shape, Wish};
use super::super::source::Patience;
use crate::error::{Error, Result};
use crate::pipeline::item::Item;
use crate::pipeline::line::Source;

/// Time steps a second.
pub const RATE: u32 = 48000;
/// Time steps that come at once.
pub const PIECE: usize = 480;

/// What the world does to microphones.
pub struct World {
    /// Which microphone is at which node.
    pub plugged: BTreeMap<PathBuf, String>,
    /// What comes next; when nothing is left, nothing comes.
    pub next: VecDeque<Heard>,
    /// Sound is made without end.
    pub endless: bool,
    pub offers: Vec<Offer>,
    /// What was opened, node by node.
    pub opened: Vec<PathBuf>,
    pub open: usize,
    /// The microphone does not start, whatever it is asked for.
    pub refuses: bool,
    /// When the next piece is captured, by the monotonic clock.
    pub at: Duration,
    /// Numbers that the next pieces begin with.
    pub number: i16,
}

/// A microphone of that world.
pub struct Fake {
    world: Arc<Mutex<World>>,
    node: Option<(PathBuf, String)>,
}

pub fn lock(world: &Arc<Mutex<World>>) -> MutexGuard<'_, World> {
    world.lock().expect("no test panics inside")
}

pub fn monotonic() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// The time that so many time steps take.
pub fn length(steps: usize) -> Duration {
    Duration::from_secs_f64(steps as f64 / f64::from(RATE))
}

impl Fake {
    pub fn new(world: &Arc<Mutex<World>>) -> Box<Self> {
        Box::new(Self { world: world.clone(), node: None })
    }
}

impl World {
    /// A piece of a ramp in 16 bits, whose times go on from the last one.
    pub fn piece(&mut self, steps: usize) -> Chunk {
        let bytes = (0..steps as i16).flat_map(|i| (self.number.wrapping_add(i)).to_le_bytes());
        let chunk = Chunk { bytes: bytes.collect(), time: Some(self.at) };
        self.number = self.number.wrapping_add(steps as i16);
        self.at += length(steps);
        chunk
    }
}

fn gone(node: &Path) -> Error {
    Error::Device { device: node.display().to_string(), reason: "it is gone".into() }
}

impl Listen for Fake {
    fn open(&mut self, node: &Path, _: &Wish) -> Result<Vec<Offer>> {
        let mut world = lock(&self.world);
        let who = world.plugged.get(node).cloned().ok_or_else(|| gone(node))?;
        self.node = Some((node.into(), who));
        world.opened.push(node.into());
        world.open += 1;
        Ok(world.offers.clone())
    }

    fn start(&mut self, offer: &Offer, rate: u32) -> Result<Shape> {
        if lock(&self.world).refuses {
            return Err(Error::Device { device: "fake".into(), reason: "another program".into() });
        }
        let (depth, channels) = (offer.depth, offer.channels);
        Ok(Shape { depth, channels, rate, period: Duration::from_millis(10) })
    }

    fn next(&mut self, patience: Duration) -> Result<Option<Heard>> {
        let begin = Instant::now();
        loop {
            {
                let mut world = lock(&self.world);
                let Some((node, who)) = &self.node else { return Err(gone(Path::new("none"))) };
                if world.plugged.get(node) != Some(who) {
                    return Err(gone(node));
                }
                if let Some(heard) = world.next.pop_front() {
                    return Ok(Some(heard));
                }
                if world.endless {
                    // It plays faster than it should; what it says of times agrees.
                    let chunk = Chunk { time: None, ..world.piece(PIECE) };
                    return Ok(Some(Heard::Sound(chunk)));
                }
            }
            if begin.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn close(&mut self) {
        if self.node.take().is_some() {
            lock(&self.world).open -= 1;
        }
    }
}

/// A file system that shows microphones.
pub struct Machine {
    _folder: tempfile::TempDir,
    pub tree: Tree,
}

impl Machine {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        let tree = Tree { dev: root.join("dev"), sys: root.join("sys"), proc: root.join("proc") };
        for folder in ["snd/by-id", "snd/by-path"] {
            fs::create_dir_all(tree.dev.join(folder)).expect("a folder");
        }
        fs::create_dir_all(tree.sys.join("class/sound")).expect("a folder");
        fs::create_dir_all(tree.proc.join("asound")).expect("a folder");
        Self { _folder: folder, tree }
    }

    pub fn node(&self, card: u32, device: u32) -> PathBuf {
        self.tree.dev.join(format!("snd/pcmC{card}D{device}c"))
    }

    pub fn link(&self, folder: &str, name: &str) -> PathBuf {
        self.tree.dev.join("snd").join(folder).join(name)
    }

    /// Makes the nodes of a card and what the kernel says of it: `port`, as `1-2`, or nothing if it is no USB card.
    pub fn plug(&self, card: u32, id: &str, port: &str, ids: [&str; 3], devices: &[u32]) {
        fs::write(self.tree.dev.join(format!("snd/controlC{card}")), "").expect("a node");
        fs::write(self.tree.dev.join(format!("snd/pcmC{card}D0p")), "").expect("a node");
        for device in devices {
            fs::write(self.node(card, *device), "").expect("a node");
        }
        let class = self.tree.sys.join(format!("class/sound/card{card}"));
        fs::create_dir_all(&class).expect("a folder");
        fs::write(class.join("id"), format!("{id}\n")).expect("a file");
        if port.is_empty() {
            return;
        }
        let device = self.tree.sys.join("devices/usb1").join(port);
        let interface = device.join(format!("{port}:1.0"));
        fs::create_dir_all(&interface).expect("a folder");
        for (file, text) in ["idVendor", "idProduct", "serial"].iter().zip(ids) {
            if !text.is_empty() {
                fs::write(device.join(file), format!("{text}\n")).expect("a file");
            }
        }
        let _ = fs::remove_file(class.join("device"));
        symlink(&interface, class.join("device")).expect("a link");
    }

    /// Makes a link to a card, as udev does.
    pub fn name(&self, folder: &str, name: &str, card: u32) {
        let link = self.link(folder, name);
        let _ = fs::remove_file(&link);
        symlink(format!("../controlC{card}"), link).expect("a link");
    }

    /// Takes a card away, with the links that lead to it.
    pub fn unplug(&self, card: u32) {
        let control = self.tree.dev.join(format!("snd/controlC{card}"));
        for folder in ["by-id", "by-path"] {
            for link in fs::read_dir(self.tree.dev.join("snd").join(folder)).expect("a folder") {
                let link = link.expect("a link").path();
                if fs::canonicalize(&link).is_ok_and(|path| path == control) {
                    fs::remove_file(link).expect("a link");
                }
            }
        }
        for node in fs::read_dir(self.tree.dev.join("snd")).expect("a folder") {
            let node = node.expect("a node").path();
            let name = node.file_name().expect("a name").to_string_lossy().into_owned();
            if name.starts_with(&format!("pcmC{card}D")) {
                fs::remove_file(node).expect("a node");
            }
        }
        fs::remove_file(control).expect("a node");
        fs::remove_dir_all(self.tree.sys.join(format!("class/sound/card{card}")))
            .expect("a folder");
    }
}

/// A microphone of one channel in 16 bits, known by its id, played with little patience.
pub struct Stage {
    pub machine: Machine,
    pub world: Arc<Mutex<World>>,
    pub stop: Arc<AtomicBool>,
    pub source: MicrophoneSource,
}

pub const PATIENCE: Patience = Patience {
    back_off: [Duration::from_millis(5), Duration::from_millis(40)],
    silence: Duration::from_millis(250),
    mute: Duration::from_millis(800),
};

impl Stage {
    /// The microphone that `offers` so, of a wish.
    pub fn of(offers: &[Offer], wish: Wish) -> Self {
        let machine = Machine::new();
        let world = World {
            plugged: BTreeMap::new(),
            next: VecDeque::new(),
            endless: false,
            offers: offers.to_vec(),
            opened: Vec::new(),
            open: 0,
            refuses: false,
            at: monotonic().saturating_sub(Duration::from_secs(5)),
            number: 0,
        };
        let (world, stop) = (Arc::new(Mutex::new(world)), Arc::default());
        let identity = Identity::parse("hw:CARD=Mic,DEV=0").expect("a name");
        let finder = Finder::new(machine.tree.clone(), identity);
        let (fake, halt) = (Fake::new(&world), Arc::clone(&stop));
        let source = MicrophoneSource::patient("ear", finder, wish, fake, halt, PATIENCE);
        let stage = Self { machine, world, stop, source };
        stage.plug(0);
        stage
    }

    pub fn new() -> Self {
        let offer = Offer { depth: Depth::S16, channels: 1, rates: vec![RATE] };
        Self::of(&[offer], Wish { rate: RATE, channels: 1, depth: None })
    }

    /// Plugs the microphone in.
    pub fn plug(&self, card: u32) {
        self.machine.plug(card, "Mic", "", [""; 3], &[0]);
        lock(&self.world).plugged.insert(self.machine.node(card, 0), "mic".into());
    }

    /// Pulls its plug.
    pub fn unplug(&self, card: u32) {
        lock(&self.world).plugged.remove(&self.machine.node(card, 0));
        self.machine.unplug(card);
    }

    /// Lets so many time steps come.
    pub fn play(&self, steps: usize) {
        let mut world = lock(&self.world);
        let chunk = world.piece(steps);
        world.next.push_back(Heard::Sound(chunk));
    }

    /// Lets something else come.
    pub fn hear(&self, heard: Heard) {
        lock(&self.world).next.push_back(heard);
    }

    /// Breaks the sound off: so many time steps are missing behind.
    pub fn cut(&self, why: Option<Break>, steps: usize) {
        let mut world = lock(&self.world);
        world.next.extend(why.map(Heard::Broken));
        world.at += length(steps);
        world.number = world.number.wrapping_add(steps as i16);
    }

    /// The next item.
    pub fn next(&mut self) -> Item {
        self.source.next().expect("no error ends a microphone").expect("a microphone has no end")
    }
}
