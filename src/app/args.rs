//! Exactly what was typed.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Parser, Subcommand};

use super::shard::Shard;
use crate::lab::order::By;
use crate::pipeline::media::FPS;
use crate::runtime::{Device, Policy};

/// A fine sieve for camera and microphone streams: pictures and sounds become small,
/// importance-ordered latents that may be cut anywhere, and models run on the latents.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the whole line on a scene and a sound made in code: no camera, no network
    Demo(Demo),
    /// Turn pictures and sounds into .tamis files
    Encode(Encode),
    /// Turn .tamis files back into pictures and sounds
    Decode(Decode),
    /// Say what is in a .tamis file, group by group
    Info(Info),
    /// Turn .tamis files into what other programs read: PNG, WAV, NumPy arrays, MCAP
    Export(Export),
    /// Send the packets of .tamis files again, at the times they were captured
    Replay(Replay),
    /// Make a whole recording of what is left of a damaged, cut or .part one
    Recover(Recover),
    /// Run a model on the latents of pictures, sounds or .tamis files
    Infer(Infer),
    /// Choose what of a head may run in int8, and on how few of its tokens, by what that changes on your files
    Tune(Tune),
    /// Run the lines that a config describes, as a service
    Run(Run),
    /// Take what daemons upload, and keep it as .tamis files
    Receive(Receive),
    /// Check a config without running it
    Check(Check),
    /// Say what a config costs and what a budget buys, measured on samples of yours
    Plan(Plan),
    /// Look at this machine, and at a config
    Doctor(Doctor),
    /// Make a codec for your sensor from a folder of its pictures or sounds, in closed form
    Fit(Fit),
    /// Show what each channel of a bundle is worth, or write the bundle in another order
    Order(Order),
    /// Measure rate and distortion of codecs on your files
    Eval(Eval),
    /// Measure the speed of codecs on this machine, in memory
    Bench(Bench),
}

/// `tamis demo`
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Folder to write the recording and the picture to
    #[arg(short, long, default_value = ".")]
    pub output: PathBuf,
    /// Frames of the scene
    #[arg(long, default_value_t = 150)]
    pub frames: u64,
    /// Print the final numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// How inputs without a header are to be read, and what sounds become.
#[derive(Debug, Clone, clap::Args)]
pub struct Input {
    /// Sample rate that sounds are brought to [default: their own is kept]
    #[arg(long, value_name = "HZ")]
    pub resample: Option<u32>,
    /// Inputs are bare 8-bit frames: WIDTHxHEIGHT:rgb24, or gray8, nv12, yuyv422 (BT.601)
    #[arg(long, value_name = "FORMAT", conflicts_with = "raw_audio")]
    pub raw_video: Option<String>,
    /// Pictures a second of bare frames and of picture files, which have no times [default: all at time 0]
    #[arg(long, value_name = "RATE", value_parser = fps)]
    pub fps: Option<f64>,
    /// Inputs are bare samples: RATE:CHANNELS:s16le or RATE:CHANNELS:f32le
    #[arg(long, value_name = "FORMAT")]
    pub raw_audio: Option<String>,
    /// NumPy arrays are [bands, height, width] instead of [height, width, bands]
    #[arg(long)]
    pub bands_first: bool,
}

/// `tamis encode`
#[derive(Debug, clap::Args)]
pub struct Encode {
    /// Pictures, sounds, y4m; folders, patterns, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// A .tamis file or - for one stream, or a folder (ending in / or existing) for a file each
    #[arg(short, long)]
    pub output: PathBuf,
    /// Bundle: rgb, stereo, mono, or the path of yours [default: what fits the input]
    #[arg(long, value_name = "BUNDLE")]
    pub codec: Option<String>,
    /// 1 (smallest) to 100 (finest); 16 points below 75 double the step
    #[arg(long, default_value_t = 75, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,
    /// Bits for each pixel, or for each value of a sound, of every packet instead of a quality
    #[arg(long, value_name = "BITS", conflicts_with_all = ["quality", "bitrate"], value_parser = positive)]
    pub bpp: Option<f64>,
    /// Kilobits a second, as the stream plays, instead of a quality
    #[arg(long, value_name = "KBITS", conflicts_with = "quality", value_parser = positive)]
    pub bitrate: Option<f64>,
    /// Channels kept: the end of one of the bundle's groups [default: all]
    #[arg(long)]
    pub channels: Option<usize>,
    /// Entropy coder: dense is a third smaller, fast is twice as fast
    #[arg(long, value_enum, default_value_t = Coder::Dense)]
    pub coder: Coder,
    /// Pictures of a stream from one that stands alone to the next; those between may continue the one before
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: u64,
    /// Only the I-th of N parts of the files, from 0; what is done already, by any process, is passed over
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Where pictures are encoded: cpu, cuda:0 and so on (no other), or auto (a GPU if there is one)
    #[arg(long, default_value_t = Device::Cpu, value_parser = device)]
    pub device: Device,
    /// How to read the inputs.
    #[command(flatten)]
    pub input: Input,
    /// Files coded at once [default: one per core]; of one stream, threads for each picture [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024).map(usize::from))]
    pub threads: Option<usize>,
    /// Print one JSON object per output
    #[arg(long)]
    pub json: bool,
}

/// Recordings that are unpacked, and how much of them.
#[derive(Debug, clap::Args)]
pub struct Unpacking {
    /// .tamis files, MCAP files that hold packets, folders, patterns, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// A file, - for standard output, or a folder (ending in / or existing)
    #[arg(short, long)]
    pub output: PathBuf,
    /// Bundle, if the one that made the files is not among the shipped
    #[arg(long, value_name = "BUNDLE")]
    pub codec: Option<String>,
    /// Decode the first channels only
    #[arg(long, conflicts_with = "groups")]
    pub channels: Option<usize>,
    /// Take the first groups only
    #[arg(long)]
    pub groups: Option<usize>,
    /// Files read at once [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024).map(usize::from))]
    pub threads: Option<usize>,
    /// Print one JSON object per input
    #[arg(long)]
    pub json: bool,
}

/// Which decoder turns latents into pictures.
#[derive(Debug, clap::Args)]
pub struct Decoding {
    /// Pictures by the linear decoder, which every bundle has: fast, a little worse
    #[arg(long, conflicts_with = "decoder")]
    pub preview: bool,
    /// Decoder of pictures [default: the bundle's default one if it has one, else the linear one]
    #[arg(long, value_enum, value_name = "DECODER")]
    pub decoder: Option<DecoderName>,
}

/// The decoders that a bundle may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DecoderName {
    /// A neural one, the best.
    Default,
    /// A neural one, fast.
    Edge,
    /// The linear inverse, the fastest.
    Linear,
}

/// `tamis decode`
#[derive(Debug, clap::Args)]
pub struct Decode {
    /// What is unpacked; a file is a .png, .ppm, .wav, or of bands .npy or .tif.
    #[command(flatten)]
    pub unpacking: Unpacking,
    /// Which decoder.
    #[command(flatten)]
    pub decoding: Decoding,
    /// Of pictures of bands these only, from 0 on with commas between them: one as gray or three as red, green, blue,
    /// each stretched from its 2nd to its 98th percentile; any number, as they are, in a .npy or .tif
    #[arg(long, value_name = "BANDS", value_delimiter = ',')]
    pub bands: Option<Vec<usize>>,
    /// Write sounds as 32-bit float instead of 16-bit
    #[arg(long)]
    pub float: bool,
    /// Write pictures in a folder as PPM instead of PNG
    #[arg(long)]
    pub ppm: bool,
}

/// `tamis export`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("format").required(true))]
pub struct Export {
    /// What is unpacked.
    #[command(flatten)]
    pub unpacking: Unpacking,
    /// Which decoder.
    #[command(flatten)]
    pub decoding: Decoding,
    /// Pictures as PNG
    #[arg(long, group = "format")]
    pub png: bool,
    /// Sounds as WAV
    #[arg(long, group = "format")]
    pub wav: bool,
    /// Latents as NumPy arrays: pictures [packets, channels, height, width], sounds [steps, rows, channels]
    #[arg(long, group = "format")]
    pub npy: bool,
    /// Pictures (as PNG) and sounds as ROS 2 messages in an MCAP file
    #[arg(long, group = "format")]
    pub mcap: bool,
    /// With --wav: 32-bit float instead of 16-bit
    #[arg(long, conflicts_with_all = ["png", "npy", "mcap"])]
    pub float: bool,
    /// With --npy: the integers instead of 32-bit reals (integers times step)
    #[arg(long, conflicts_with_all = ["png", "wav", "mcap"])]
    pub integers: bool,
    /// With --mcap: the packets as they are; decode, info and infer read such a file
    #[arg(long, conflicts_with_all = ["png", "wav", "npy", "channels"])]
    pub packets: bool,
}

/// `tamis replay`
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// .tamis files, MCAP files that hold packets, folders or patterns, one after the other
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// A .tamis file, or - for standard output
    #[arg(short, long, default_value = "-")]
    pub output: PathBuf,
    /// Times as fast as it was recorded, or max
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Send the first groups of every packet only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=15))]
    pub groups: Option<u8>,
    /// Print what was replayed as one JSON object, on stderr if the packets go to standard output
    #[arg(long)]
    pub json: bool,
}

/// `tamis info`
#[derive(Debug, clap::Args)]
pub struct Info {
    /// .tamis files, MCAP files that hold packets, folders, patterns, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Also say what every so many seconds of capture time took
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", require_equals = true, value_parser = positive)]
    pub over_time: Option<f64>,
    /// Print one JSON object per input
    #[arg(long)]
    pub json: bool,
}

/// `tamis recover`
#[derive(Debug, clap::Args)]
pub struct Recover {
    /// The .tamis or .part file
    pub input: PathBuf,
    /// The .tamis file to write
    #[arg(short, long)]
    pub output: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tamis infer`
#[derive(Debug, clap::Args)]
pub struct Infer {
    /// Pictures, sounds or .tamis files; folders, patterns, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Head: waste, digits, esc10, or the path of an ONNX file
    #[arg(long)]
    pub head: String,
    /// Bundle, if the head's own is not among the shipped
    #[arg(long, value_name = "BUNDLE")]
    pub codec: Option<String>,
    /// Quality at which pictures and sounds are coded first
    #[arg(long, default_value_t = 75, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,
    /// Read the first channels only: the end of one of the bundle's groups
    #[arg(long)]
    pub channels: Option<usize>,
    /// Run the layers of a transformer in whole numbers of 8 bits
    #[arg(long)]
    pub int8: bool,
    /// Go on with a share of a transformer's tokens only: above 0, to 1
    #[arg(long, value_name = "SHARE", value_parser = some)]
    pub keep: Option<f32>,
    /// How those tokens are chosen: merge, wpr, flow, transition, adaptive, bits, random, random1, ...
    #[arg(long, default_value = "merge", requires = "keep")]
    pub policy: Policy,
    /// As faithful as so many milliseconds allow, by the table that `tune --target-ms` wrote into the head
    #[arg(long, value_name = "MS", value_parser = positive, conflicts_with_all = ["int8", "keep", "policy"])]
    pub target_ms: Option<f64>,
    /// Write what it looked at: a .png, or a folder (ending in / or existing) with one for each
    /// input, where patches that were left out are grey and dark
    #[arg(long, value_name = "PATH")]
    pub overlay: Option<PathBuf>,
    /// Say what runs the head, and why if its transformer is not recognised
    #[arg(short, long)]
    pub verbose: bool,
    /// How to read the inputs.
    #[command(flatten)]
    pub input: Input,
    /// Print one JSON object per prediction
    #[arg(long)]
    pub json: bool,
}

/// `tamis tune`
#[derive(Debug, clap::Args)]
#[cfg_attr(not(feature = "onnx"), allow(dead_code))]
pub struct Tune {
    /// Head: the path of an ONNX file with a transformer
    pub head: String,
    /// Pictures, sounds or .tamis files to try it on, a hundred or more; folders, patterns
    #[arg(long, required = true, num_args = 1..)]
    pub calib: Vec<PathBuf>,
    /// The head with its choice, for `infer --int8` and `infer --target-ms`: another .onnx file
    #[arg(short, long)]
    pub output: PathBuf,
    /// Also search which tokens to leave out: a table of what ways to run the head cost and keep on this machine, in
    /// the output and as a plot beside it (.svg); says which fits into so many milliseconds
    #[arg(long, value_name = "MS", value_parser = positive)]
    pub target_ms: Option<f64>,
    /// Mean cosine of the logits to those of floats that must be kept
    #[arg(long, default_value_t = 0.999, value_parser = share)]
    pub cosine: f64,
    /// Per cent of answers that must stay the same
    #[arg(long, default_value_t = 99.0, value_parser = per_cent)]
    pub agreement: f64,
    /// Quality at which pictures and sounds are coded first
    #[arg(long, default_value_t = 75, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,
    /// How to read the files.
    #[command(flatten)]
    pub input: Input,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `tamis run`
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The config
    pub config: PathBuf,
    /// Print the final report as JSON
    #[arg(long)]
    pub json: bool,
    /// How what happens is said on stderr
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: super::log::Format,
}

/// `tamis receive`
#[derive(Debug, clap::Args)]
pub struct Receive {
    /// Folder of what is received: DIR/DEVICE/STREAM/*.tamis
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Address and port; others than this machine's own need a token
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8748")]
    pub listen: std::net::SocketAddr,
    /// File with the token that senders must know
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Print the final numbers as JSON
    #[arg(long)]
    pub json: bool,
    /// How what happens is said on stderr
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: super::log::Format,
}

/// `tamis check`
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The config
    pub config: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tamis plan`
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The config
    pub config: PathBuf,
    /// Pictures, a video (y4m) or a sound of the kind that its streams will see
    #[arg(required = true)]
    pub samples: Vec<PathBuf>,
    /// Pictures a second, if the config does not say [default: 30]
    #[arg(long)]
    pub fps: Option<f64>,
    /// Kilobits a second that may be sent
    #[arg(long)]
    pub uplink: Option<f64>,
    /// Watts that a busy core takes, for mAh a day
    #[arg(long)]
    pub watts: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `tamis doctor`
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// A config to look at too
    pub config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `tamis fit`
#[derive(Debug, clap::Args)]
pub struct Fit {
    /// Pictures or sounds, folders of them, or patterns
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder of the bundle to write
    #[arg(short, long)]
    pub output: PathBuf,
    /// Latent channels kept [default: a quarter of the bands of pictures, 512 at most where pixels have bands, all
    /// bands of sounds]
    #[arg(long)]
    pub channels: Option<usize>,
    /// Levels of the packet transform [default: 3 for pictures, 7 for sounds]
    #[arg(long)]
    pub levels: Option<u32>,
    /// Bands that a channel of pictures reads; more cost time and gain little
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=96))]
    pub terms: u16,
    /// Pictures in floating point, every channel from all bands: slow, a little better
    #[arg(long, conflicts_with = "terms")]
    pub dense: bool,
    /// Colours, bands or sound channels coded together [default: as most of the inputs have]
    #[arg(long)]
    pub inputs_per_frame: Option<usize>,
    /// NumPy arrays are [bands, height, width] instead of [height, width, bands]
    #[arg(long)]
    pub bands_first: bool,
    /// Seconds read of each sound, so that a long one does not outweigh the others
    #[arg(long, default_value_t = super::fit::SECONDS)]
    pub seconds: f64,
    /// What the bundle was fitted on, for its card
    #[arg(long, default_value = "")]
    pub data: String,
    /// Licence, for its card
    #[arg(long, default_value = "")]
    pub licence: String,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tamis order`
#[derive(Debug, clap::Args)]
pub struct Order {
    /// Bundle: rgb, stereo, mono, or the path of yours
    pub bundle: String,
    /// natural, saliency, saliency-unfolded, variance, relevance, strength or random: the order of the
    /// lines [default: natural], and of the channels that are written [default: relevance]
    #[arg(long, value_name = "ORDER", value_parser = by)]
    pub by: Option<By>,
    /// Write the bundle with its channels in this order to this folder; it is another codec
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Fit tables and contexts anew to these files or folders [default: they go with their channels]
    #[arg(long, value_name = "IN", num_args = 1.., requires = "output")]
    pub refit: Vec<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tamis eval`
#[derive(Debug, clap::Args)]
pub struct Eval {
    /// Pictures or sounds, folders of them, or patterns
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Bundles, with commas between them [default: what fits the first input]
    #[arg(long, value_name = "BUNDLES", value_delimiter = ',')]
    pub codec: Vec<String>,
    /// Qualities, with commas between them [default: 25,40,50,60,75,85,95; 75 with --orders]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: Vec<u8>,
    /// Channels kept: the end of one of the bundle's groups [default: all]
    #[arg(long)]
    pub channels: Option<usize>,
    /// Pictures by the linear decoder, as `decode --preview` has them
    #[arg(long, conflicts_with = "decoder")]
    pub preview: bool,
    /// Decoders of pictures, with commas between them [default: the one that decode uses]
    #[arg(
        long,
        value_enum,
        value_name = "DECODERS",
        value_delimiter = ',',
        conflicts_with = "orders"
    )]
    pub decoder: Vec<DecoderName>,
    /// NumPy arrays are [bands, height, width] instead of [height, width, bands]
    #[arg(long)]
    pub bands_first: bool,
    /// Compare orders of the channels of one bundle at one quality: what the first of each give
    #[arg(long, conflicts_with = "channels")]
    pub orders: bool,
    /// With --orders: also what a head makes of them, on files whose folders or names (`label_1.wav`) are its labels
    #[arg(long, requires = "orders")]
    pub head: Option<String>,
    /// Write the mean curve to this SVG
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Print one JSON object per file and quality, and per mean; with --orders, per order
    #[arg(long)]
    pub json: bool,
}

/// `tamis bench`
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// Pictures to measure with, folders, patterns [default: scenes made in code, three sizes]
    pub inputs: Vec<PathBuf>,
    /// Bundles, with commas between them [default: rgb,stereo,mono]
    #[arg(long, value_name = "BUNDLES", value_delimiter = ',')]
    pub codec: Vec<String>,
    /// Heads or other ONNX models instead, with commas between them: ours in floats and in int8, and
    /// plain tract, in turns
    #[arg(long, value_name = "HEADS", value_delimiter = ',', conflicts_with_all = ["inputs", "codec", "threads"])]
    pub head: Vec<String>,
    /// Threads of one picture [default: 1, and for large pictures also one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024).map(usize::from))]
    pub threads: Option<usize>,
    /// A GPU instead of the processor, as cuda:0: pictures to latents from its memory and from here
    #[arg(long, default_value_t = Device::Cpu, value_parser = device, conflicts_with_all = ["head", "threads", "every_simd"])]
    pub device: Device,
    /// Pictures of a batch on a GPU [default: what half a gigabyte holds]
    #[arg(long, requires = "device", value_parser = clap::value_parser!(u16).range(1..=4096).map(usize::from))]
    pub batch: Option<usize>,
    /// Every instruction set of this machine, not only the widest
    #[arg(long)]
    pub every_simd: bool,
    /// Seconds for each figure
    #[arg(long, default_value_t = 0.5, value_parser = seconds)]
    pub seconds: f64,
    /// Print one JSON object with all rows
    #[arg(long)]
    pub json: bool,
}

/// The entropy coders.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Coder {
    /// A table for each value, chosen by what surrounds it.
    Dense,
    /// A table for each channel.
    Fast,
}

/// A device by its name.
fn device(typed: &str) -> Result<Device, String> {
    typed.parse().map_err(|e: crate::error::Error| e.to_string())
}

/// An order by its name.
fn by(typed: &str) -> Result<By, String> {
    typed.parse().map_err(|_| {
        let names: Vec<&str> = By::ALL.iter().map(|by| by.name()).collect();
        format!("not one of {}", names.join(", "))
    })
}

/// A rate of frames.
fn fps(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(x) if FPS.contains(&x) => Ok(x),
        _ => Err(format!("needed {} to {}", FPS.start(), FPS.end())),
    }
}

/// A number above zero, or `max`.
fn speed(typed: &str) -> Result<f64, String> {
    if typed == "max" { Ok(f64::INFINITY) } else { positive(typed) }
}

/// A number above zero.
fn positive(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(x) if x > 0.0 && x <= 1e9 => Ok(x),
        _ => Err("needed a number above 0".into()),
    }
}

/// A share that is something.
fn some(typed: &str) -> Result<f32, String> {
    match typed.parse::<f32>() {
        Ok(s) if s > 0.0 && s <= 1.0 => Ok(s),
        _ => Err("needed is a share above 0, to 1".into()),
    }
}

/// A share of one.
fn share(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(s) if (0.0..=1.0).contains(&s) => Ok(s),
        _ => Err("needed is a share, 0 to 1".into()),
    }
}

/// A share of a hundred.
fn per_cent(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(s) if (0.0..=100.0).contains(&s) => Ok(s),
        _ => Err("needed are per cent, 0 to 100".into()),
    }
}

/// A time to measure for.
fn seconds(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(s) if (0.0..=3600.0).contains(&s) => Ok(s),
        _ => Err("needed seconds, 0 to 3600".into()),
    }
}
