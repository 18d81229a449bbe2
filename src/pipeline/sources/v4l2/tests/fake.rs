//! A camera made in code, and what the file system shows of it.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::super::super::pixels::Pixels;
use super::super::CameraSource;
use super::super::find::{Finder, Identity, Tree};
use super::super::source::Patience;
use super::super::video::{Colour, Fourcc, Mode, Shape, Shot, Video, Wish};
use crate::error::{Error, Result};
use crate::pipeline::item::Item;
use crate::pipeline::line::Source;

/// What the world does to cameras.
#[derive(Default)]
pub struct World {
    /// Which camera is at which node.
    pub plugged: BTreeMap<PathBuf, String>,
    /// What comes next; when nothing is left, nothing comes.
    pub shots: VecDeque<Shot>,
    /// Pictures are made without end.
    pub endless: bool,
    pub modes: Vec<Mode>,
    pub stride: u32,
    pub colour: Colour,
    /// What was opened, node by node.
    pub opened: Vec<PathBuf>,
    pub open: usize,
    /// The camera does not start, whatever it is asked for.
    pub refuses: bool,
    made: u32,
}

/// A camera of that world.
pub struct Fake {
    world: Arc<Mutex<World>>,
    node: Option<(PathBuf, String)>,
}

pub fn lock(world: &Arc<Mutex<World>>) -> MutexGuard<'_, World> {
    world.lock().expect("no test panics inside")
}

impl Fake {
    pub fn new(world: &Arc<Mutex<World>>) -> Box<Self> {
        Box::new(Self { world: world.clone(), node: None })
    }
}

fn gone(node: &Path) -> Error {
    Error::Device { device: node.display().to_string(), reason: "it is gone".into() }
}

impl Video for Fake {
    fn open(&mut self, node: &Path, _: &Wish) -> Result<Vec<Mode>> {
        let mut world = lock(&self.world);
        let who = world.plugged.get(node).cloned().ok_or_else(|| gone(node))?;
        self.node = Some((node.into(), who));
        world.opened.push(node.into());
        world.open += 1;
        Ok(world.modes.clone())
    }

    fn start(&mut self, mode: &Mode, fps: f64) -> Result<Shape> {
        let world = lock(&self.world);
        if world.refuses {
            return Err(Error::Device { device: "fake".into(), reason: "another program".into() });
        }
        let pixels = mode.fourcc.pixels().expect("a format that can be read");
        let rate = mode.rates.first().copied().unwrap_or(fps);
        let interval = Duration::from_secs_f64(1.0 / rate);
        let (size, stride, colour) = (mode.size, world.stride, world.colour);
        Ok(Shape { pixels, size, stride, interval, colour, interlaced: false })
    }

    fn next(&mut self, patience: Duration) -> Result<Option<Shot>> {
        let begin = Instant::now();
        loop {
            {
                let mut world = lock(&self.world);
                let Some((node, who)) = &self.node else { return Err(gone(Path::new("none"))) };
                if world.plugged.get(node) != Some(who) {
                    return Err(gone(node));
                }
                if let Some(shot) = world.shots.pop_front() {
                    return Ok(Some(shot));
                }
                if world.endless {
                    world.made += 1;
                    let sequence = world.made;
                    let bytes = sequence.to_le_bytes().repeat(2);
                    return Ok(Some(Shot { bytes, sequence, ..Shot::default() }));
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

/// A file system that shows cameras.
pub struct Machine {
    pub folder: tempfile::TempDir,
    pub tree: Tree,
}

impl Machine {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        let tree = Tree { dev: root.join("dev"), sys: root.join("sys") };
        for folder in ["v4l/by-id", "v4l/by-path"] {
            fs::create_dir_all(tree.dev.join(folder)).expect("a folder");
        }
        fs::create_dir_all(tree.sys.join("class/video4linux")).expect("a folder");
        Self { folder, tree }
    }

    pub fn node(&self, number: u32) -> PathBuf {
        self.tree.dev.join(format!("video{number}"))
    }

    pub fn link(&self, folder: &str, name: &str) -> PathBuf {
        self.tree.dev.join("v4l").join(folder).join(name)
    }

    /// Makes the node of a camera and what the kernel says of it: `port`, as `1-2`, or nothing if it is no USB camera.
    pub fn plug(&self, number: u32, name: &str, port: &str, ids: [&str; 3], part: (&str, u32)) {
        fs::write(self.node(number), "").expect("a node");
        let class = self.tree.sys.join(format!("class/video4linux/video{number}"));
        fs::create_dir_all(&class).expect("a folder");
        fs::write(class.join("name"), format!("{name}\n")).expect("a file");
        fs::write(class.join("index"), format!("{}\n", part.1)).expect("a file");
        if port.is_empty() {
            return;
        }
        let device = self.tree.sys.join("devices/usb1").join(port);
        let interface = device.join(format!("{port}:{}", part.0));
        fs::create_dir_all(&interface).expect("a folder");
        for (file, text) in ["idVendor", "idProduct", "serial"].iter().zip(ids) {
            if !text.is_empty() {
                fs::write(device.join(file), format!("{text}\n")).expect("a file");
            }
        }
        let _ = fs::remove_file(class.join("device"));
        symlink(&interface, class.join("device")).expect("a link");
    }

    /// Makes a link to a node, as udev does.
    pub fn name(&self, folder: &str, name: &str, number: u32) {
        let link = self.link(folder, name);
        let _ = fs::remove_file(&link);
        symlink(format!("../../video{number}"), link).expect("a link");
    }

    /// Takes a camera away, with the links that lead to it.
    pub fn unplug(&self, number: u32) {
        for folder in ["by-id", "by-path"] {
            for link in fs::read_dir(self.tree.dev.join("v4l").join(folder)).expect("a folder") {
                let link = link.expect("a link").path();
                if fs::canonicalize(&link).is_ok_and(|path| path == self.node(number)) {
                    fs::remove_file(link).expect("a link");
                }
            }
        }
        fs::remove_file(self.node(number)).expect("a node");
        let class = self.tree.sys.join(format!("class/video4linux/video{number}"));
        fs::remove_dir_all(class).expect("a folder");
    }
}

/// A camera of 4x1 grey pixels at node 0, played with little patience.
pub struct Stage {
    pub machine: Machine,
    pub world: Arc<Mutex<World>>,
    pub stop: Arc<AtomicBool>,
    pub source: CameraSource,
}

pub const PATIENCE: Patience = Patience {
    back_off: [Duration::from_millis(5), Duration::from_millis(40)],
    silence: Duration::from_millis(150),
    still: Duration::from_millis(80),
};

impl Stage {
    /// The camera that `named` says, of a wish for `pixels` at 30 pictures a second.
    pub fn of(named: impl Fn(&Machine) -> Identity, pixels: Pixels, size: [u32; 2]) -> Self {
        let machine = Machine::new();
        let (world, stop) = (Arc::new(Mutex::new(World::default())), Arc::default());
        let letters = match pixels {
            Pixels::Yuyv => b"YUYV",
            Pixels::Nv12 => b"NV12",
            Pixels::Rgb24 => b"RGB3",
            Pixels::Mjpeg => b"MJPG",
            Pixels::Grey => b"GREY",
        };
        lock(&world).modes = vec![Mode { fourcc: Fourcc::new(*letters), size, rates: vec![30.0] }];
        let wish = Wish { width: size[0], height: size[1], fps: 30.0, pixels: Some(pixels) };
        let finder = Finder::new(machine.tree.clone(), named(&machine));
        let (video, halt) = (Fake::new(&world), Arc::clone(&stop));
        let source = CameraSource::patient("front", finder, wish, video, halt, PATIENCE);
        Self { machine, world, stop, source }
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        Identity::Link(self.machine.link("by-id", "usb-Maker_Eye_7-video-index0"))
    }

    /// Grey pixels, of the camera that its serial number names.
    pub fn new() -> Self {
        let link = "usb-Maker_Eye_7-video-index0";
        let stage = Self::of(|m| Identity::Link(m.link("by-id", link)), Pixels::Grey, [4, 1]);
        stage.plug(0);
        stage
    }

    /// Plugs that camera in.
    pub fn plug(&self, number: u32) {
        self.machine.plug(number, "Eye", "1-2", ["046d", "0825", "7"], ("1.0", 0));
        self.machine.name("by-id", "usb-Maker_Eye_7-video-index0", number);
        let node = self.machine.node(number);
        lock(&self.world).plugged.insert(node, "eye".into());
    }

    /// Pulls its plug.
    pub fn unplug(&self, number: u32) {
        lock(&self.world).plugged.remove(&self.machine.node(number));
        self.machine.unplug(number);
    }

    /// Lets a picture come.
    pub fn shoot(&self, shot: Shot) {
        lock(&self.world).shots.push_back(shot);
    }

    /// The next item.
    pub fn next(&mut self) -> Item {
        self.source.next().expect("no error ends a camera").expect("a camera has no end")
    }
}

/// A picture of four pixels.
pub fn grey(sequence: u32, value: u8) -> Shot {
    Shot { bytes: vec![value; 4], sequence, ..Shot::default() }
}
