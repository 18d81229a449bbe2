//! What the properties of elements may hold: no path but that of a camera, no address but that of a camera's network.

use std::net::IpAddr;

/// What a property may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Numbers, names, ranges: nothing that could be a path.
    Plain,
    /// Any text. It may be a secret.
    Secret,
    /// An address that begins with one of these. It may hold secrets.
    Url(&'static [&'static str]),
    /// Caps, which only choose among formats.
    Caps,
    /// The node of a camera.
    Node,
    /// A sound card by number or name. Anything else may be a definition, and ALSA's can write files and run programs.
    Card,
    /// An address of this machine: whoever can send pictures can fill the disk.
    Loopback,
    /// A camera as libcamera calls it, which looks like a path and is none.
    Camera,
    /// Nothing: why.
    Nothing(&'static str),
}

const RTSP: &[&str] =
    &["rtsp://", "rtspt://", "rtspu://", "rtsph://", "rtsps://", "rtspst://", "rtspsu://"];
const HTTP: &[&str] = &["http://", "https://"];

/// Properties that hold text, by element. Those of other types hold what is plain; text in others is refused.
const TEXTS: &[(&str, &str, Holds)] = &[
    ("alsasrc", "device", Holds::Card),
    ("libcamerasrc", "camera-name", Holds::Camera),
    ("multipartdemux", "boundary", Holds::Plain),
    ("nvarguscamerasrc", "aeregion", Holds::Plain),
    ("nvarguscamerasrc", "exposuretimerange", Holds::Plain),
    ("nvarguscamerasrc", "gainrange", Holds::Plain),
    ("nvarguscamerasrc", "ispdigitalgainrange", Holds::Plain),
    ("nvv4l2camerasrc", "device", Holds::Node),
    ("pipewiresrc", "target-object", Holds::Plain),
    ("pipewiresrc", "client-name", Holds::Plain),
    ("pulsesrc", "client-name", Holds::Plain),
    ("pulsesrc", "device", Holds::Plain),
    ("rtspsrc", "location", Holds::Url(RTSP)),
    ("rtspsrc", "multicast-iface", Holds::Plain),
    ("rtspsrc", "port-range", Holds::Plain),
    ("rtspsrc", "proxy", Holds::Url(HTTP)),
    ("rtspsrc", "proxy-id", Holds::Secret),
    ("rtspsrc", "proxy-pw", Holds::Secret),
    ("rtspsrc", "user-agent", Holds::Secret),
    ("rtspsrc", "user-id", Holds::Secret),
    ("rtspsrc", "user-pw", Holds::Secret),
    ("souphttpsrc", "location", Holds::Url(HTTP)),
    ("souphttpsrc", "proxy", Holds::Url(HTTP)),
    ("souphttpsrc", "proxy-id", Holds::Secret),
    ("souphttpsrc", "proxy-pw", Holds::Secret),
    ("souphttpsrc", "user-agent", Holds::Secret),
    ("souphttpsrc", "user-id", Holds::Secret),
    ("souphttpsrc", "user-pw", Holds::Secret),
    ("tcpclientsrc", "host", Holds::Plain),
    ("udpsrc", "address", Holds::Loopback),
    ("v4l2src", "device", Holds::Node),
    ("v4l2src", "extra-controls", Holds::Plain),
];

/// Letters of what is plain, besides letters and digits: no slash, no quote, nothing that a shell knows.
const PLAIN: &str = "_.,:;+*%@ ()<>[]{}=-";

/// Whether a property holds text by a rule of its own.
#[cfg(feature = "gstreamer")]
pub(super) fn is_text(element: &str, property: &str) -> bool {
    TEXTS.iter().any(|(e, p, _)| (*e, *p) == (element, property))
}

/// What a property may hold.
pub(super) fn rule(element: &str, property: &str) -> Holds {
    match property {
        "name" | "parent" => {
            Holds::Nothing("a description is one chain, nothing refers to an element")
        }
        "caps" => Holds::Caps,
        _ => {
            let rule = TEXTS.iter().find(|(e, p, _)| (*e, *p) == (element, property));
            rule.map_or(Holds::Plain, |r| r.2)
        }
    }
}

impl Holds {
    /// Why it does not hold `value`, which is not in the answer: it may be a secret.
    pub fn fault(self, value: &str) -> Option<String> {
        let plain = |more: &'static str| {
            move |c: char| c.is_ascii_alphanumeric() || PLAIN.contains(c) || more.contains(c)
        };
        let (good, needed) = match self {
            Self::Nothing(why) => return Some(why.into()),
            Self::Secret | Self::Caps => return None,
            Self::Plain => {
                (value.chars().all(plain("")), "numbers, letters and some marks, but no path")
            }
            Self::Camera => {
                (value.chars().all(plain("/\\")), "the name of a camera, as cam --list says it")
            }
            Self::Url(schemes) => {
                let lower = value.to_ascii_lowercase();
                let good = schemes.iter().any(|s| lower.starts_with(s));
                return (!good).then(|| format!("an address of {} is needed", schemes.join(", ")));
            }
            Self::Node => (is_node(value), "/dev/videoN or a link in /dev/v4l/by-id is needed"),
            Self::Card => {
                (is_card(value), "a card is needed, as default, hw:1,0 or plughw:CARD=Device")
            }
            Self::Loopback => (
                value.parse::<IpAddr>().is_ok_and(|a| a.is_loopback()),
                "127.0.0.1 or ::1 is needed: it must not be open to others than this machine",
            ),
        };
        (!good).then(|| needed.into())
    }
}

fn is_node(value: &str) -> bool {
    let number = |n: &str| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit());
    let link = |n: &str| {
        !n.is_empty()
            && !n.starts_with('.')
            && n.chars().all(|c| c.is_ascii_alphanumeric() || "._:+-".contains(c))
    };
    let links = ["/dev/v4l/by-id/", "/dev/v4l/by-path/"];
    value.strip_prefix("/dev/video").is_some_and(number)
        || links.iter().any(|folder| value.strip_prefix(folder).is_some_and(link))
}

fn is_card(value: &str) -> bool {
    let (kind, card) = value.split_once(':').unwrap_or((value, "0"));
    let kinds = ["default", "sysdefault", "hw", "plughw", "dsnoop", "front"];
    kinds.contains(&kind)
        && !card.is_empty()
        && card.chars().all(|c| c.is_ascii_alphanumeric() || "_-=,".contains(c))
}
