//! Where bundles, their decoders and heads are found: by path, beside the binary, in the repo, in `$TAMIS_MODELS`,
//! or inside the binary.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::head::Head;
use super::neural::Neural;
use super::neural_card::DecoderSize;
use super::precision::HeadOptions;
use crate::codec::{Bundle, CodecId, read_file};
use crate::error::{Error, Result};

/// Largest decoder read, in bytes.
const MAX_DECODER: u64 = 512 << 20;
/// Largest head read, in bytes.
const MAX_HEAD: u64 = 512 << 20;

/// Name, `codec.toml`, `weights.safetensors`.
const BUNDLES: [(&str, &str, &[u8]); 3] = [
    (
        "rgb",
        include_str!("../../models/rgb/codec.toml"),
        include_bytes!("../../models/rgb/weights.safetensors"),
    ),
    (
        "stereo",
        include_str!("../../models/stereo/codec.toml"),
        include_bytes!("../../models/stereo/weights.safetensors"),
    ),
    (
        "mono",
        include_str!("../../models/mono/codec.toml"),
        include_bytes!("../../models/mono/weights.safetensors"),
    ),
];

/// Bundle, size, ONNX file. Bundles may have none.
const DECODERS: [(&str, DecoderSize, &[u8]); 2] = [
    ("rgb", DecoderSize::Default, include_bytes!("../../models/rgb/decoder.onnx")),
    ("rgb", DecoderSize::Edge, include_bytes!("../../models/rgb/decoder-edge.onnx")),
];

/// Name, `head.onnx`.
const HEADS: [(&str, &[u8]); 3] = [
    ("waste", include_bytes!("../../models/waste/head.onnx")),
    ("digits", include_bytes!("../../models/digits/head.onnx")),
    ("esc10", include_bytes!("../../models/esc10/head.onnx")),
];

/// Names of the bundles inside the binary.
pub fn shipped_bundles() -> impl Iterator<Item = &'static str> {
    BUNDLES.iter().map(|b| b.0)
}

/// Names of the heads inside the binary.
pub fn shipped_heads() -> impl Iterator<Item = &'static str> {
    HEADS.iter().map(|h| h.0)
}

/// The bundle of a name or path.
///
/// # Errors
/// `Bundle` if there is none or it is damaged.
pub fn find_bundle(name: &str) -> Result<Bundle> {
    let shipped = shipped_bundles().any(|s| s == name);
    if let Some(folder) = given(name, shipped, "codec.toml") {
        return Bundle::open(&folder);
    }
    match BUNDLES.iter().find(|b| b.0 == name) {
        Some((_, manifest, weights)) => Bundle::from_files(name, manifest, weights),
        None => Err(unknown("bundle", name, shipped_bundles())),
    }
}

/// The bundle that made a stream: the one it names if the codec agrees, else any that is shipped.
///
/// # Errors
/// `Bundle` if none has this codec.
pub fn find_codec(codec: CodecId, name: &str) -> Result<Bundle> {
    // The name comes from a stream, so it is never taken as a path.
    let named = installed(name, "codec.toml").and_then(|folder| Bundle::open(&folder).ok());
    let shipped = BUNDLES.iter().filter_map(|(n, m, w)| Bundle::from_files(n, m, w).ok());
    named.into_iter().chain(shipped).find(|b| b.codec_id() == codec).ok_or_else(|| {
        let reason = format!(
            "no bundle here has codec {codec}; name the one that made this stream with --codec, \
             or put it in a folder named in TAMIS_MODELS"
        );
        Error::bundle(name, reason)
    })
}

/// Sizes of the neural decoders that a bundle has.
pub fn decoders_of(bundle: &Bundle) -> impl Iterator<Item = DecoderSize> + '_ {
    let shipped = |size| DECODERS.iter().any(|d| d.0 == bundle.card.name && d.1 == size);
    DecoderSize::ALL.into_iter().filter(move |size| match bundle.folder() {
        Some(folder) => folder.join(size.file()).is_file(),
        None => shipped(*size),
    })
}

/// The neural decoder of a bundle: in the bundle's folder, or inside the binary for one that is
/// shipped; `None` if it has none of this size.
///
/// # Errors
/// `Io`, `Limit` or `Bundle` if it cannot be read, is damaged, is for another codec, or if this build
/// runs none.
pub fn find_decoder(bundle: &Bundle, size: DecoderSize) -> Result<Option<Neural>> {
    let Some((path, onnx)) = decoder_file(bundle, size)? else { return Ok(None) };
    let neural = Neural::from_onnx(&path, &onnx)?;
    match neural.check(bundle) {
        Ok(()) => Ok(Some(neural)),
        // A bundle that only has the name of a shipped one has none of its decoders.
        Err(_) if bundle.folder().is_none() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Where a neural decoder of a bundle is, and its ONNX file, which may be for another codec; `None` if
/// there is none of this size.
///
/// # Errors
/// `Io` or `Limit` if it cannot be read.
pub fn decoder_file(
    bundle: &Bundle,
    size: DecoderSize,
) -> Result<Option<(String, Cow<'static, [u8]>)>> {
    if let Some(folder) = bundle.folder() {
        let path = folder.join(size.file());
        let file = || Ok((path.display().to_string(), read_file(&path, MAX_DECODER)?.into()));
        return path.is_file().then(file).transpose();
    }
    let name = &bundle.card.name;
    let shipped = DECODERS.iter().find(|d| d.0 == name && d.1 == size);
    Ok(shipped.map(|d| (format!("{name}/{}", size.file()), d.2.into())))
}

/// The head of a name or path, to be run in floats.
///
/// # Errors
/// `Bundle` if there is none or it is damaged.
pub fn find_head(name: &str) -> Result<Head> {
    find_head_with(name, &HeadOptions::default())
}

/// The same, to be run in a way of one's own.
///
/// # Errors
/// As [`find_head`], and as [`Head::from_onnx_with`].
pub fn find_head_with(name: &str, options: &HeadOptions) -> Result<Head> {
    let (path, onnx) = head_file(name)?;
    Head::from_onnx_with(&path, &onnx, options)
}

/// How the head of a name or path is run best in so many milliseconds, by the table in its metadata, and
/// what is to be said of that table.
///
/// # Errors
/// As [`find_head`]; `Config` at `at` if it has no table, or no row as fast as that.
pub fn options_within(name: &str, ms: f64, at: &str) -> Result<(HeadOptions, Option<String>)> {
    let (path, onnx) = head_file(name)?;
    let tuned = Head::card_of(&path, &onnx)?.tuned.ok_or_else(|| {
        let reason = format!(
            "{ms}; {path} has no table of what it takes: make one with `tamis tune {name} --calib \
             FILES -o TUNED.onnx --target-ms {ms}`"
        );
        Error::config(at, reason)
    })?;
    let row = tuned.within(ms).map_err(|why| Error::config(at, why))?;
    Ok((row.options(), tuned.elsewhere().map(|why| format!("{path}: {why}"))))
}

/// Where the head of a name or path is, and its ONNX file.
///
/// # Errors
/// `Bundle` if there is none, `Io` or `Limit` if it cannot be read.
pub fn head_file(name: &str) -> Result<(String, Cow<'static, [u8]>)> {
    let read = |path: &Path| Ok((path.display().to_string(), read_file(path, MAX_HEAD)?.into()));
    let path = Path::new(name);
    if path.is_file() {
        return read(path);
    }
    let shipped = shipped_heads().any(|s| s == name);
    if let Some(folder) = given(name, shipped, "head.onnx") {
        return read(&folder.join("head.onnx"));
    }
    match HEADS.iter().find(|h| h.0 == name) {
        Some((_, onnx)) => Ok((name.into(), (*onnx).into())),
        None if name.ends_with(".onnx") => Err(Error::bundle(name, "there is no such file")),
        None if path.is_dir() => Err(Error::bundle(name, "is a folder without head.onnx")),
        None => Err(unknown("head", name, shipped_heads())),
    }
}

/// The folder that `name` means, if `file` is in it: one at that path, or one among the places for
/// models. The name of one that is `shipped` is no path, or a folder that is called so would take its
/// place unseen: `./rgb` means the folder.
fn given(name: &str, shipped: bool, file: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(name);
    let here = !shipped && folder.join(file).is_file();
    if here { Some(folder) } else { installed(name, file) }
}

/// The folder called `name` among the places for models, if `file` is in it.
fn installed(name: &str, file: &str) -> Option<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    let beside = std::env::current_exe().ok().and_then(|p| Some(p.parent()?.join("models")));
    let set = std::env::var_os("TAMIS_MODELS").map(PathBuf::from);
    [beside, Some(PathBuf::from("models")), set]
        .into_iter()
        .flatten()
        .map(|folder| folder.join(name))
        .find(|folder| folder.join(file).is_file())
}

fn unknown(what: &str, name: &str, shipped: impl Iterator<Item = &'static str>) -> Error {
    let shipped: Vec<&str> = shipped.collect();
    let reason = format!(
        "no {what} of this name; shipped are {}, others are looked for beside the binary, in \
         ./models, in $TAMIS_MODELS, or given by path",
        shipped.join(", ")
    );
    Error::bundle(name, reason)
}
