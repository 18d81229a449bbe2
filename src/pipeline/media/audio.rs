//! Sound files.

use std::io::{Cursor, Read};

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SoundError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::format::{Format, Kind, refusal, sniff};
use super::wav::{WavReader, finite};
use super::{Decoded, Limits, check_sound_shape};
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};
use crate::pipeline::warning::Warning;

/// Time steps read from a WAV file at once.
const BLOCK_STEPS: usize = 1 << 16;

/// Longest silence put in for one damaged packet; no packet of these formats is longer.
const PACKET_STEPS: u64 = 1 << 16;

/// Reads one sound: WAV, FLAC, Ogg Vorbis or MP3, decided by content.
///
/// Shape: `[steps]`, which may be 0. Units: `I16` for 16-bit PCM and FLAC, else `F32` of full scale 1.
///
/// # Errors
/// `Input` if the bytes are damaged or no sound, `Limit` if it is too long.
pub fn read_audio(bytes: &[u8], name: &str, limits: &Limits) -> Result<Decoded> {
    limits.check_bytes(name, bytes.len() as u64)?;
    match sniff(bytes) {
        Some(Format::Wav) => read_wav(bytes, name, limits),
        Some(format) if format.kind() == Kind::Audio => read_coded(bytes, name, limits, format),
        Some(_) => Err(Error::input(name, "is a picture; sound is needed here")),
        None => Err(refusal(bytes, name)),
    }
}

/// Reads a whole WAVE stream of known or unknown length.
///
/// # Errors
/// `Input` if it is not readable WAVE, `Io` if the input fails, `Limit` if it is too long.
pub fn read_wav(input: impl Read, name: &str, limits: &Limits) -> Result<Decoded> {
    let mut reader = WavReader::new(input, name, limits)?;
    let (rate, channels) = (reader.header().rate, reader.header().channels);
    let mut samples = if reader.header().sample_bytes == 2 {
        Samples::I16(Vec::new())
    } else {
        Samples::F32(Vec::new())
    };
    while let Some(block) = reader.next_block(BLOCK_STEPS)? {
        match (&mut samples, block) {
            (Samples::I16(all), Samples::I16(more)) => all.extend_from_slice(&more),
            (Samples::F32(all), Samples::F32(more)) => all.extend_from_slice(&more),
            // The reader gives one type throughout.
            _ => return Err(Error::shape("WAV block", "the type of the first", "another")),
        }
    }
    let steps = samples.len() / channels;
    let frame = Frame::new(Layout::Audio { rate }, channels, vec![steps], samples)?;
    Ok(Decoded { frame, warnings: reader.warnings() })
}

/// Reads FLAC, Ogg Vorbis or MP3.
fn read_coded(bytes: &[u8], name: &str, limits: &Limits, format: Format) -> Result<Decoded> {
    let format = format!("{format:?}").to_uppercase();
    let refuse = |e: SoundError| {
        let reason =
            format!("cannot be read as {format}: {e}; it is damaged or cut short: fetch it again");
        Error::input(name, reason)
    };
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut reader = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(refuse)?;
    let track = reader
        .default_track(TrackType::Audio)
        .ok_or_else(|| Error::input(name, "has no sound track; extract the sound first"))?;
    let id = track.id;
    let announced = track.num_frames;
    let params = track
        .codec_params
        .as_ref()
        .and_then(|p| p.audio())
        .ok_or_else(|| Error::input(name, "has no sound track; extract the sound first"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default().verify(true))
        .map_err(refuse)?;
    let whole = params.bits_per_sample == Some(16) && format == "FLAC";

    let mut sound = Sound::new(whole);
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(e) => {
                sound.warnings.push(Warning::missing(format!("ends early: {e}")));
                break;
            }
        };
        if packet.track_id != id {
            continue;
        }
        // A frame number of FLAC is a place in the file; other formats may start anywhere.
        let place = announced
            .filter(|_| format == "FLAC")
            .map_or(0, |n| u64::try_from(packet.pts.get()).unwrap_or(0).min(n));
        let decoded = match decoder.decode(&packet) {
            Ok(buffer) => sound.append(&buffer, place, name, limits)?,
            Err(SoundError::DecodeError(_) | SoundError::IoError(_)) => {
                sound.lose(packet.dur.get(), name, limits)?;
                true
            }
            Err(e) => {
                sound.warnings.push(Warning::missing(format!("ends early: {e}")));
                false
            }
        };
        if !decoded {
            break;
        }
    }
    if sound.shape.is_some() && decoder.finalize().verify_ok == Some(false) {
        sound
            .warnings
            .push(Warning::missing("checksum of the sound does not match: some of it is damaged"));
    }
    sound.finish(name, announced)
}

/// What has been decoded so far.
struct Sound {
    /// Rate and channels, from the first packet that decoded.
    shape: Option<(u32, usize)>,
    samples: Samples,
    lost: u64,
    warnings: Vec<Warning>,
}

impl Sound {
    /// Nothing yet; `whole` if samples are 16-bit integers.
    fn new(whole: bool) -> Self {
        let samples = if whole { Samples::I16(Vec::new()) } else { Samples::F32(Vec::new()) };
        Self { shape: None, samples, lost: 0, warnings: Vec::new() }
    }

    /// Appends a packet's samples, after silence if it starts at a later `place`; `false` if the
    /// stream changed into another and ends here.
    fn append(
        &mut self,
        buffer: &GenericAudioBufferRef<'_>,
        place: u64,
        name: &str,
        limits: &Limits,
    ) -> Result<bool> {
        let found = (buffer.spec().rate(), buffer.num_planes());
        let shape = match self.shape {
            Some(shape) => shape,
            None => {
                check_sound_shape(name, found.0, found.1)?;
                *self.shape.insert(found)
            }
        };
        if buffer.is_empty() {
            return Ok(true);
        }
        if shape != found {
            self.warnings.push(Warning::missing(format!(
                "ends early: {} Hz and {} channels become {} Hz and {}",
                shape.0, shape.1, found.0, found.1
            )));
            return Ok(false);
        }
        let gap = place.saturating_sub((self.samples.len() / shape.1) as u64);
        if gap > 0 {
            self.warnings.push(Warning::missing(format!(
                "{gap} time steps are missing: silence in their place"
            )));
            self.silence(gap, shape.1, name, limits)?;
        }
        limits.check_sound(name, (self.samples.len() + buffer.samples_interleaved()) as u64)?;
        let start = self.samples.len();
        let end = start + buffer.samples_interleaved();
        match &mut self.samples {
            Samples::I16(v) => {
                v.resize(end, 0);
                buffer.copy_to_slice_interleaved(&mut v[start..]);
            }
            Samples::F32(v) => {
                v.resize(end, 0.0);
                buffer.copy_to_slice_interleaved(&mut v[start..]);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Puts silence in a damaged packet's place, so that what follows keeps its time.
    fn lose(&mut self, steps: u64, name: &str, limits: &Limits) -> Result<()> {
        self.lost += 1;
        let Some((_, channels)) = self.shape else { return Ok(()) };
        self.silence(steps.min(PACKET_STEPS), channels, name, limits)
    }

    /// Appends silence.
    fn silence(&mut self, steps: u64, channels: usize, name: &str, limits: &Limits) -> Result<()> {
        let end = (self.samples.len() as u64).saturating_add(steps.saturating_mul(channels as u64));
        limits.check_sound(name, end)?;
        match &mut self.samples {
            Samples::I16(v) => v.resize(end as usize, 0),
            Samples::F32(v) => v.resize(end as usize, 0.0),
            _ => {}
        }
        Ok(())
    }

    /// The frame, or the refusal of a file that gave none.
    fn finish(mut self, name: &str, announced: Option<u64>) -> Result<Decoded> {
        let Some((rate, channels)) = self.shape else {
            let why =
                self.warnings.pop().unwrap_or_else(|| "it ends before the first whole one".into());
            return Err(Error::input(
                name,
                format!("no packet could be decoded ({why}); fetch it again"),
            ));
        };
        if let Samples::F32(values) = &mut self.samples {
            let mut replaced = 0;
            values.iter_mut().for_each(|x| *x = finite(*x, &mut replaced));
            if replaced > 0 {
                self.warnings
                    .push(format!("{replaced} values were NaN or infinite: replaced").into());
            }
        }
        if self.lost > 0 {
            self.warnings.push(Warning::missing(format!(
                "{} damaged packets: silence in their place",
                self.lost
            )));
        }
        let steps = self.samples.len() / channels;
        if let Some(n) = announced.filter(|&n| n > steps as u64) {
            self.warnings
                .push(Warning::missing(format!("cut short: {steps} of {n} time steps are there")));
        }
        let layout = Layout::Audio { rate };
        let frame = Frame::new(layout, channels, vec![steps], self.samples)?;
        Ok(Decoded { frame, warnings: self.warnings })
    }
}
