"""Damage, cuts and hostile bytes: what is whole is read, what is not is told, nothing breaks."""

import warnings

import numpy
import pytest
import tamis


def read(data, **kind):
    """Latents and losses of bytes, or None where they are no recording."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        reader = tamis.Reader(data, **kind)
        try:
            latents = list(reader)
        except ValueError:
            return None
    assert len(told) == reader.lost == len(reader.losses)
    assert all(issubclass(w.category, tamis.LossWarning) for w in told)
    assert [str(w.message) for w in told] == reader.losses
    return latents, reader


def test_a_file_cut_anywhere(recording):
    data = recording.read_bytes()
    whole, reader = read(data)
    assert len(whole) == 6 and reader.lost == 0
    last = 0
    for cut in range(0, len(data), 97):
        found = read(data[:cut])
        if found is None:
            assert cut < 200
            continue
        latents, reader = found
        assert not reader.complete and reader.lost >= 1
        assert "incomplete" in " ".join(reader.losses)
        assert len(latents) >= last
        last = len(latents)
        for a, b in zip(latents, whole):
            assert (a.values == b.values[: a.channels]).all()
    assert last == 6


def test_cut_inside_a_packet_keeps_the_groups_before(recording):
    data = recording.read_bytes()
    kept = [read(data[:cut]) for cut in range(200, 5000, 50)]
    channels = {found[0][0].channels for found in kept if found and found[0]}
    assert len(channels & {3, 6, 12, 24, 48}) >= 3


def test_flipped_bytes(recording):
    data = bytearray(recording.read_bytes())
    whole, _ = read(bytes(data))
    random = numpy.random.default_rng(5)
    for _ in range(150):
        bad = data.copy()
        at = int(random.integers(len(bad)))
        bad[at] ^= int(random.integers(1, 256))
        found = read(bytes(bad))
        assert found is not None
        latents, reader = found
        for latent in latents:
            wanted = whole[latent.stamp.index]
            assert (latent.values == wanted.values[: latent.channels]).all()
        assert reader.lost or len(latents) == 6


def test_bytes_that_are_no_recording():
    random = numpy.random.default_rng(6)
    for length in [0, 1, 3, 4, 100, 100_000]:
        with pytest.raises(tamis.BitstreamError, match="not a tamis stream"):
            list(tamis.Reader(random.bytes(length)))
    assert issubclass(tamis.BitstreamError, ValueError)


def test_noise_behind_a_header(recording):
    data = recording.read_bytes()
    random = numpy.random.default_rng(7)
    for _ in range(30):
        noise = bytearray(random.bytes(3000))
        for at in range(0, 3000, 100):
            noise[at : at + 4] = b"\xd5tm" + bytes([random.choice(list(b"HPF"))])
        read(data[:200] + bytes(noise))


def test_a_missing_packet_is_told(recording):
    data = recording.read_bytes()
    # Packets begin with their marker.
    places = [i for i in range(len(data)) if data[i : i + 4] == b"\xd5tmP"]
    assert len(places) == 6
    latents, reader = read(data[: places[2]] + data[places[3] :])
    assert [x.stamp.index for x in latents][:2] == [0, 1] and "missing" in " ".join(reader.losses)


def test_losses_become_errors_for_whoever_wants(recording):
    data = recording.read_bytes()
    reader = tamis.Reader(data[:-5])
    with warnings.catch_warnings():
        warnings.simplefilter("error", tamis.LossWarning)
        assert len([next(reader) for _ in range(6)]) == 6
        with pytest.raises(tamis.LossWarning):
            next(reader)


def test_reading_goes_on_after_a_push(recording):
    data = recording.read_bytes()
    reader = tamis.Reader(groups=2)
    latents = []
    for at in range(0, len(data), 1000):
        latents += reader.push(memoryview(data)[at : at + 1000])
    latents += reader.finish()
    assert [x.channels for x in latents] == [6] * 6 and reader.complete
    assert [round(x.stamp.captured * 25) for x in latents] == list(range(6))


def test_a_reader_is_closed(recording):
    with tamis.Reader(recording) as reader:
        next(reader)
    assert len(list(reader)) <= 5
