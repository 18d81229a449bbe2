"""Sounds, in one piece and in chunks."""

import io

import numpy
import pytest
import tamis
from conftest import make_sound


@pytest.mark.parametrize("name,channels", [("mono", 1), ("mono", 2), ("stereo", 2)])
def test_chunks_give_the_cells_of_the_whole(name, channels):
    sound = make_sound(20011, channels)
    whole = tamis.Encoder(name).push(sound, rate=44100)
    assert whole.end and whole.position == 0 and whole.extent == (channels, 20011)
    for size in [1, 700, 4096]:
        if size == 1:
            pieces = numpy.array_split(sound, [1, 2, 3, 200, 20010])
        else:
            pieces = numpy.array_split(sound, range(size, len(sound), size))
        encoder = tamis.Encoder(name)
        parts = [encoder.push(p, rate=44100, end=i + 1 == len(pieces)) for i, p in enumerate(pieces)]
        joined = numpy.concatenate([p.values for p in parts], axis=2)
        numpy.testing.assert_array_equal(joined, whole.values)
        decoder = tamis.Decoder(name)
        back = numpy.concatenate([decoder.push(p) for p in parts])
        numpy.testing.assert_array_equal(back, tamis.Decoder(name).push(whole))


def test_round_trip_through_a_recording(tmp_path):
    sound = make_sound(44100)[:, 0]
    latent = tamis.Encoder("mono", quality=90).push((sound * 32767).astype(numpy.int16), rate=22050)
    with tamis.Writer(tmp_path / "x.tamis") as writer:
        writer.write(latent)
    (back,) = tamis.Reader(tmp_path / "x.tamis")
    assert (back.rate, back.layout, back.end) == (22050, "sound", True)
    samples = tamis.Decoder("mono").push(back)
    assert samples.shape == (44100, 1) and samples.dtype == numpy.float32
    error = samples[:, 0] - sound
    assert 10 * numpy.log10((sound**2).mean() / (error**2).mean()) > 20


def test_a_long_sound_becomes_packets_without_a_seam():
    sound = make_sound(2_500_000)[:, 0]
    latent = tamis.Encoder("mono").push(sound, rate=48000)
    out = io.BytesIO()
    with tamis.Writer(out, coder="fast") as writer:
        writer.write(latent, captured=1)
        assert writer.packets == 3
    parts = list(tamis.Reader(out.getvalue()))
    assert [p.end for p in parts] == [False, False, True]
    assert parts[1].stamp.captured == pytest.approx(1 + parts[1].position * 128 / 48000, abs=1e-5)
    numpy.testing.assert_array_equal(numpy.concatenate([p.values for p in parts], axis=2), latent.values)
    decoder = tamis.Decoder("mono")
    back = numpy.concatenate([decoder.push(p) for p in parts])
    numpy.testing.assert_array_equal(back, tamis.Decoder("mono").push(latent))


def test_missing_sound_becomes_silence_and_is_told():
    encoder = tamis.Encoder("mono")
    sound = make_sound(12288)
    parts = [encoder.push(sound[i : i + 4096], rate=8000, end=i == 8192) for i in range(0, 12288, 4096)]
    decoder = tamis.Decoder("mono")
    first = decoder.push(parts[0])
    with pytest.warns(tamis.LossWarning, match="time steps missing, now silence"):
        last = decoder.push(parts[2])
    assert len(first) + len(last) == 12288


def test_a_sound_without_an_end():
    encoder = tamis.Encoder("mono")
    part = encoder.push(make_sound(4096), rate=8000, end=False)
    decoder = tamis.Decoder("mono")
    first, rest = decoder.push(part), decoder.finish()
    assert len(first) + len(rest) == part.extent[1]
    assert decoder.finish() is None


def test_heads_on_sound():
    latent = tamis.Encoder("mono").push(make_sound(8000), rate=8000)
    answer = tamis.Head("digits").run(latent)
    assert len(answer.top) == 10 and abs(sum(p for _, p in answer.top) - 1) < 1e-4


def test_fit_on_sound():
    own = tamis.fit([make_sound(30000, seed=i) for i in range(3)], rate=44100, levels=5)
    assert (own.kind, own.inputs, own.channels) == ("audio", 1, 32)
