//! The elements that a config may name.

use crate::pipeline::hint::distance;

/// What an element does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Begins a chain.
    Source,
    /// Takes apart what a network or a file carries.
    Unpack,
    /// Finds the frames of a coded stream.
    Parse,
    /// Decodes.
    Decode,
    /// Changes pictures or sound.
    Convert,
    /// Passes on.
    Pass,
}

impl Group {
    /// What a user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Unpack => "unpack",
            Self::Parse => "parse",
            Self::Decode => "decode",
            Self::Convert => "convert",
            Self::Pass => "pass on",
        }
    }
}

/// All of them. None runs a program, writes a file, opens one by its path, or listens to other machines than this by
/// itself; none chooses others, as `decodebin` does; none branches. What single properties may hold is in `rules`.
pub const ALLOWED: &[(Group, &[&str])] = &[
    (
        Group::Source,
        &[
            "alsasrc",
            "audiotestsrc",
            "libcamerasrc",
            "nvarguscamerasrc",
            "nvv4l2camerasrc",
            "pipewiresrc",
            "pulsesrc",
            "rtspsrc",
            "souphttpsrc",
            "tcpclientsrc",
            "udpsrc",
            "v4l2src",
            "videotestsrc",
        ],
    ),
    (
        Group::Unpack,
        &[
            "multipartdemux",
            "rtpL16depay",
            "rtpL24depay",
            "rtpav1depay",
            "rtph264depay",
            "rtph265depay",
            "rtpjitterbuffer",
            "rtpjpegdepay",
            "rtpmp2tdepay",
            "rtpmp4adepay",
            "rtpmp4gdepay",
            "rtpmp4vdepay",
            "rtpmpadepay",
            "rtpopusdepay",
            "rtppcmadepay",
            "rtppcmudepay",
            "rtpvp8depay",
            "rtpvp9depay",
            "rtpvrawdepay",
            "tsdemux",
        ],
    ),
    (
        Group::Parse,
        &[
            "aacparse",
            "ac3parse",
            "av1parse",
            "h264parse",
            "h265parse",
            "jpegparse",
            "mpeg4videoparse",
            "mpegaudioparse",
            "mpegvideoparse",
            "opusparse",
            "rawaudioparse",
            "rawvideoparse",
            "vp9parse",
        ],
    ),
    (
        Group::Decode,
        &[
            "alawdec",
            "av1dec",
            "avdec_aac",
            "avdec_ac3",
            "avdec_av1",
            "avdec_g722",
            "avdec_g726",
            "avdec_h264",
            "avdec_h265",
            "avdec_mjpeg",
            "avdec_mp3",
            "avdec_mpeg2video",
            "avdec_mpeg4",
            "avdec_vp8",
            "avdec_vp9",
            "dav1ddec",
            "fdkaacdec",
            "jpegdec",
            "libde265dec",
            "mpg123audiodec",
            "mulawdec",
            "nvh264dec",
            "nvh265dec",
            "nvjpegdec",
            "nvv4l2decoder",
            "openh264dec",
            "opusdec",
            "v4l2h264dec",
            "v4l2h265dec",
            "v4l2jpegdec",
            "v4l2slh264dec",
            "v4l2slh265dec",
            "vah264dec",
            "vah265dec",
            "vajpegdec",
            "vp8dec",
            "vp9dec",
        ],
    ),
    (
        Group::Convert,
        &[
            "aspectratiocrop",
            "audioconvert",
            "audiorate",
            "audioresample",
            "bayer2rgb",
            "deinterlace",
            "nvvidconv",
            "nvvideoconvert",
            "v4l2convert",
            "vapostproc",
            "videobalance",
            "videobox",
            "videoconvert",
            "videoconvertscale",
            "videocrop",
            "videoflip",
            "videorate",
            "videoscale",
            "volume",
        ],
    ),
    (Group::Pass, &["capsfilter", "queue"]),
];

/// What is often wanted and not on the list, and why.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &[
            "autovideosrc",
            "autoaudiosrc",
            "decodebin",
            "decodebin3",
            "parsebin",
            "playbin",
            "playbin3",
            "rtspclientsink",
            "uridecodebin",
            "uridecodebin3",
            "urisourcebin",
        ],
        "it chooses other elements by itself; name the ones you need, as in rtspsrc ! rtph264depay ! avdec_h264",
    ),
    (
        &["filesrc", "giosrc", "multifilesrc", "splitfilesrc", "splitmuxsrc"],
        "it reads any file; for files there are kind = \"files\" and \"watch\"",
    ),
    (
        &["fdsrc", "fdsink", "shmsrc", "shmsink", "tcpserversrc"],
        "for what another program sends there is kind = \"socket\"",
    ),
    (
        &["tee", "funnel", "input-selector", "compositor"],
        "a description is one chain without branches",
    ),
    (
        &["appsink", "appsrc", "autovideosink", "autoaudiosink", "fakesink"],
        "tamis puts its own end behind the description",
    ),
    (&["queue2", "multiqueue"], "it can write what waits to a file; queue does not"),
];

/// The element on the list that is called so, and what it does.
pub(super) fn find(name: &str) -> Option<(Group, &'static str)> {
    ALLOWED.iter().find_map(|(group, all)| all.iter().find(|a| **a == name).map(|a| (*group, *a)))
}

/// Why an element is not used, and the nearest that would be.
pub(super) fn refusal(name: &str) -> String {
    let why = REFUSED.iter().find(|(all, _)| all.contains(&name)).map(|(_, why)| *why);
    let all = ALLOWED.iter().flat_map(|(_, all)| all.iter());
    let near = all.min_by_key(|known| distance(name, known)).copied().unwrap_or_default();
    let why = why.map_or(String::new(), |why| format!(": {why}"));
    format!(
        "element {name:?} is not on the list of those that a config may name{why}; the nearest on it is {near}"
    )
}
