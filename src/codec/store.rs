//! Bundles as files: `codec.toml`, which people read, and `weights.safetensors`.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::bundle::{Arithmetic, Bundle, Card, Kind, Parts, le};
use super::contexts::{self, Choice, Contexts};
use super::fixed;
use super::projection::Projection;
use super::quantize::Quantizer;
use super::read_file;
use super::tables::{ANCHORS, Tables};
use super::tokens::ALPHABET;
use crate::error::{Error, Result};
use crate::signal::Ends;

/// Format number of `codec.toml` that this version reads and writes.
const FORMAT: u32 = 2;
/// Largest weights file read, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// Largest `codec.toml` read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The file `codec.toml`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    kind: Kind,
    #[serde(default)]
    arithmetic: Arithmetic,
    inputs: usize,
    levels: u32,
    ends: String,
    channels: usize,
    groups: Vec<usize>,
    #[serde(default)]
    padding: usize,
    #[serde(default)]
    rate: u32,
    codec_id: String,
    tables_id: String,
    quantizer: ManifestQuantizer,
    card: Card,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "lowercase")]
enum ManifestQuantizer {
    Step,
    Companding { bits: u32 },
}

impl Bundle {
    /// Reads a bundle from the two files of its folder.
    ///
    /// # Errors
    /// `Bundle`, with `path` and the reason, if they are damaged, unknown or do not agree.
    pub fn from_files(path: &str, manifest: &str, weights: &[u8]) -> Result<Self> {
        read(manifest, weights).map_err(|e| match e {
            Error::Bundle { reason, .. } => Error::bundle(path, reason),
            other => Error::bundle(path, other),
        })
    }

    /// Opens the bundle in a folder.
    ///
    /// # Errors
    /// `Io` if a file cannot be read, `Bundle` as [`Self::from_files`].
    pub fn open(folder: &std::path::Path) -> Result<Self> {
        let (manifest, weights) = (folder.join("codec.toml"), folder.join("weights.safetensors"));
        let text = String::from_utf8(read_file(&manifest, MAX_MANIFEST_BYTES)?)
            .map_err(|e| Error::bundle(manifest.display(), e))?;
        let bytes = read_file(&weights, MAX_BYTES)?;
        let mut bundle = Self::from_files(&folder.display().to_string(), &text, &bytes)?;
        bundle.folder = Some(folder.to_path_buf());
        Ok(bundle)
    }

    /// The two files of the bundle's folder: `codec.toml` and `weights.safetensors`.
    ///
    /// # Errors
    /// `Bundle` if they cannot be written down.
    pub fn to_files(&self) -> Result<(String, Vec<u8>)> {
        let p: &Parts = self;
        let manifest = Manifest {
            format: FORMAT,
            kind: p.kind,
            arithmetic: p.arithmetic,
            inputs: p.inputs,
            levels: p.levels,
            ends: match p.ends {
                Ends::Mirror => "mirror".into(),
                Ends::Periodic => "periodic".into(),
            },
            channels: self.channels(),
            groups: p.groups.clone(),
            padding: p.padding,
            rate: p.rate,
            codec_id: self.codec_id().to_string(),
            tables_id: self.tables_id().to_string(),
            quantizer: match p.quantizer {
                Quantizer::Step => ManifestQuantizer::Step,
                Quantizer::Companding { bits } => ManifestQuantizer::Companding { bits },
            },
            card: p.card.clone(),
        };
        let name = &p.card.name;
        let text = toml::to_string(&manifest).map_err(|e| Error::bundle(name, e))?;
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, projection) in [("analysis", &p.analysis), ("synthesis", &p.synthesis)] {
            let shape = vec![projection.rows(), projection.terms()];
            let weight = le(projection.weight(), |w| w.to_le_bytes());
            match projection.index() {
                None => tensors.push((name.into(), Dtype::F32, shape, weight)),
                Some(index) => {
                    let index = le(index, |i| i.to_le_bytes());
                    tensors.push((format!("{name}.index"), Dtype::U16, shape.clone(), index));
                    tensors.push((format!("{name}.weight"), Dtype::F32, shape, weight));
                }
            }
        }
        let vectors = [
            ("bias", &p.bias),
            ("offset", &p.offset),
            ("steps", &p.steps),
            ("deviation", &p.deviation),
        ];
        for (name, v) in vectors {
            tensors.push((name.into(), Dtype::F32, vec![v.len()], le(v, |x| x.to_le_bytes())));
        }
        let frequencies = le(p.tables.frequencies(), |f| f.to_le_bytes());
        tensors.push(("tables".into(), Dtype::U16, vec![p.tables.count(), ALPHABET], frequencies));
        let choices = p.tables.choices().to_vec();
        let channels = self.channels();
        tensors.push(("select".into(), Dtype::U8, vec![ANCHORS, channels], choices));
        let c = &p.contexts;
        let references = le(&c.references, |r| r.to_le_bytes());
        let shape = vec![channels, contexts::REFERENCES];
        tensors.push(("contexts.references".into(), Dtype::U16, shape, references));
        let shape = |last: usize| vec![contexts::BANDS, channels, last];
        let taps = le(&c.taps, |t| t.to_le_bytes());
        tensors.push(("contexts.taps".into(), Dtype::I16, shape(contexts::TAPS), taps));
        let choices = [("alone", Some(&c.alone)), ("continued", c.continued.as_ref())];
        for (name, choice) in choices.into_iter().filter_map(|(name, c)| Some((name, c?))) {
            let weights = le(&choice.weights, |w| w.to_le_bytes());
            let at = format!("contexts.{name}.weights");
            tensors.push((at, Dtype::I16, shape(contexts::FEATURES), weights));
            let at = format!("contexts.{name}.select");
            let select = choice.select.clone();
            let last = choice.phases(channels) * contexts::LEVELS;
            tensors.push((at, Dtype::U8, shape(last), select));
        }
        let frequencies = le(&c.frequencies, |f| f.to_le_bytes());
        let shape = vec![c.tables(), ALPHABET];
        tensors.push(("contexts.tables".into(), Dtype::U16, shape, frequencies));
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|v| (name.as_str(), v))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| Error::bundle(name, e))?;
        let weights = safetensors::serialize(views, None).map_err(|e| Error::bundle(name, e))?;
        if weights.len() as u64 > MAX_BYTES {
            // Nobody could open it.
            let reason = format!(
                "its weights take {} bytes, limit {MAX_BYTES}; keep fewer than {channels} channels",
                weights.len()
            );
            return Err(Error::bundle(name, reason));
        }
        Ok((text, weights))
    }
}

fn read(manifest: &str, weights: &[u8]) -> Result<Bundle> {
    let m: Manifest = toml::from_str(manifest).map_err(|e| Error::bundle("", e))?;
    if m.format != FORMAT {
        return Err(Error::shape("bundle format", FORMAT, m.format));
    }
    let ends = match m.ends.as_str() {
        "mirror" => Ends::Mirror,
        "periodic" => Ends::Periodic,
        other => return Err(Error::shape("ends", "\"mirror\" or \"periodic\"", other)),
    };
    // Bounds the sizes below before anything is computed from them.
    if m.levels > 9 || m.inputs > 256 || m.channels == 0 {
        return Err(Error::shape("levels, inputs, channels", "1..=9, 1..=256, 1..", "others"));
    }
    let inner = match (m.arithmetic, m.kind) {
        (Arithmetic::Fixed, _) => fixed::inner(m.inputs),
        (Arithmetic::Float, Kind::Image) => m.inputs << (2 * m.levels),
        (Arithmetic::Float, Kind::Audio) => m.inputs << m.levels,
    };
    let t = SafeTensors::deserialize(weights).map_err(|e| Error::bundle("", e))?;
    let parts = Parts {
        kind: m.kind,
        arithmetic: m.arithmetic,
        inputs: m.inputs,
        levels: m.levels,
        ends,
        padding: m.padding,
        rate: m.rate,
        quantizer: match m.quantizer {
            ManifestQuantizer::Step => Quantizer::Step,
            ManifestQuantizer::Companding { bits } => Quantizer::Companding { bits },
        },
        analysis: projection(&t, "analysis", inner)?,
        bias: vector(&t, "bias")?,
        synthesis: projection(&t, "synthesis", m.channels)?,
        offset: vector(&t, "offset")?,
        steps: vector(&t, "steps")?,
        deviation: vector(&t, "deviation")?,
        groups: m.groups,
        tables: Tables::new(
            tensor(&t, "tables", Dtype::U16, |b: [u8; 2]| u16::from_le_bytes(b))?,
            tensor(&t, "select", Dtype::U8, |b: [u8; 1]| b[0])?,
            m.channels,
        )?,
        contexts: read_contexts(&t)?,
        card: m.card,
    };
    let bundle = Bundle::new(parts)?;
    for (what, stated, found) in [
        ("codec_id", &m.codec_id, bundle.codec_id()),
        ("tables_id", &m.tables_id, bundle.tables_id()),
    ] {
        if *stated != found.to_string() {
            let reason = format!(
                "{what} is {stated} in codec.toml but the weights give {found}; one of the two \
                 files was edited or belongs to another bundle"
            );
            return Err(Error::bundle("", reason));
        }
    }
    Ok(bundle)
}

fn tensor<T, const N: usize>(
    t: &SafeTensors<'_>,
    name: &str,
    dtype: Dtype,
    from: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let view = t.tensor(name).map_err(|e| Error::bundle("", format!("tensor {name}: {e}")))?;
    if view.dtype() != dtype {
        let what = format!("tensor {name}");
        return Err(Error::shape(what, format!("{dtype:?}"), format!("{:?}", view.dtype())));
    }
    Ok(view.data().as_chunks::<N>().0.iter().map(|&b| from(b)).collect())
}

fn read_contexts(t: &SafeTensors<'_>) -> Result<Contexts> {
    let u16s = |name: &str| tensor(t, name, Dtype::U16, u16::from_le_bytes);
    let i16s = |name: &str| tensor(t, name, Dtype::I16, i16::from_le_bytes);
    let choice = |name: &str| {
        Ok(Choice {
            weights: i16s(&format!("contexts.{name}.weights"))?,
            select: tensor(t, &format!("contexts.{name}.select"), Dtype::U8, |b: [u8; 1]| b[0])?,
        })
    };
    Ok(Contexts {
        references: u16s("contexts.references")?,
        taps: i16s("contexts.taps")?,
        alone: choice("alone")?,
        continued: match t.tensor("contexts.continued.weights") {
            Ok(_) => Some(choice("continued")?),
            Err(_) => None,
        },
        frequencies: u16s("contexts.tables")?,
    })
}

fn vector(t: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>> {
    tensor(t, name, Dtype::F32, f32::from_le_bytes)
}

fn projection(t: &SafeTensors<'_>, name: &str, cols: usize) -> Result<Projection> {
    if t.tensor(name).is_ok() {
        return Projection::dense(cols, vector(t, name)?);
    }
    let (index, weight) = (format!("{name}.index"), format!("{name}.weight"));
    let view = t.tensor(&index).map_err(|e| Error::bundle("", format!("tensor {name}: {e}")))?;
    let terms = view.shape().get(1).copied().unwrap_or(0);
    let index = tensor(t, &index, Dtype::U16, u16::from_le_bytes)?;
    Projection::sparse(cols, terms, index, vector(t, &weight)?)
}
