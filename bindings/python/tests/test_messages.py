"""Wrong input is named, with what is expected and the fix."""

import numpy
import pytest
import tamis
from conftest import make_picture


@pytest.mark.parametrize(
    "samples,kind,words",
    [
        (numpy.zeros((8, 8, 3)), TypeError, r"picture has dtype float64, expected uint8 .*astype\(numpy.float32\)"),
        (numpy.zeros((8, 8), numpy.int16), TypeError, "picture has dtype int16, expected uint8"),
        (numpy.zeros((8, 8), ">u2"), TypeError, "picture has dtype >u2"),
        ([[1, 2], [3, 4]], TypeError, r"picture is a list, expected a NumPy array; pass numpy.asarray\(x\)"),
        (None, TypeError, "picture is a NoneType"),
        (numpy.zeros((3, 8, 9), numpy.uint8), ValueError, r"shape \[3, 8, 9\].*numpy.moveaxis\(x, 0, -1\)"),
        (numpy.zeros((8, 8, 4), numpy.uint8), ValueError, r"shape \[8, 8, 4\].*leave the alpha channel out"),
        (numpy.zeros((2, 8, 8, 3), numpy.uint8), ValueError, "one picture after the other"),
        (numpy.zeros(8, numpy.uint8), ValueError, r"shape \[8\], expected \[height, width\]"),
        (numpy.zeros((0, 8, 3), numpy.uint8), ValueError, "a pixel at least"),
    ],
)
def test_pictures(samples, kind, words):
    with pytest.raises(kind, match=words):
        tamis.Encoder("rgb").push(samples)


@pytest.mark.parametrize(
    "samples,rate,kind,words",
    [
        (numpy.zeros(99, numpy.int16), None, ValueError, "no sample rate: pass rate="),
        (numpy.zeros(99, numpy.int16), 0, ValueError, "no sample rate"),
        (numpy.zeros(99, numpy.int16), -1, OverflowError, "."),
        (numpy.zeros(99), 44100, TypeError, r"sound has dtype float64, expected int16 or float32 \(-1 to 1\)"),
        (numpy.zeros(99, numpy.uint8), 44100, TypeError, "sound has dtype uint8"),
        (numpy.zeros((2, 4410), numpy.int16), 44100, ValueError, r"shape \[2, 4410\].*put the channels last: x.T"),
        (numpy.zeros((9, 9, 9), numpy.int16), 44100, ValueError, r"expected \[steps\] or \[steps, channels\]"),
        (numpy.zeros((99, 3), numpy.int16), 44100, ValueError, "multiple of 2"),
    ],
)
def test_sounds(samples, rate, kind, words):
    with pytest.raises(kind, match=words):
        tamis.Encoder("stereo").push(samples, rate=rate)


def test_chunks_that_do_not_fit_those_before():
    encoder = tamis.Encoder("mono")
    encoder.push(numpy.zeros(999, numpy.int16), rate=8000, end=False)
    with pytest.raises(ValueError, match="8000"):
        encoder.push(numpy.zeros(999, numpy.int16), rate=9000, end=False)
    encoder.reset()
    encoder.push(numpy.zeros(999, numpy.int16), rate=9000, end=True)


@pytest.mark.parametrize(
    "call,words",
    [
        (lambda: tamis.Bundle("nobody"), "no bundle of this name; shipped are rgb, stereo, mono"),
        (lambda: tamis.Head("nobody"), "no head of this name"),
        (lambda: tamis.Encoder("rgb", channels=5), r"channels: expected one of \[3, 6, 12, 24, 48\], got 5"),
        (lambda: tamis.Encoder("rgb", channels=49), "channels is 49, bundle rgb has 1 to 48"),
        (lambda: tamis.Encoder("rgb", quality=0), "quality: 0 is outside 1..=100"),
        (lambda: tamis.Encoder("rgb", quality=1000), "quality is 1000, expected 1"),
        (lambda: tamis.Decoder("rgb", decoder="best"), 'decoder is "best", bundle rgb has "linear", "default", "edge"'),
        (lambda: tamis.Decoder("mono", decoder="edge"), 'bundle mono has "linear"$'),
        (lambda: tamis.Writer("x", coder="quick"), 'coder is "quick", expected "dense" or "fast"'),
        (lambda: tamis.Writer("x", keys=0), "keys is 0"),
        (lambda: tamis.Writer("x", fps=0), "fps is 0"),
        (lambda: tamis.Reader("x", channels=0), "channels is 0, expected 1"),
        (lambda: tamis.Reader("x", channels=3, groups=1), "leave one out"),
        (lambda: tamis.fit([]), "inputs is empty"),
        (lambda: tamis.fit(["x", numpy.zeros((8, 8), numpy.uint8)]), "paths and arrays"),
        (lambda: tamis.fit([make_picture()], channels=500), "channels: expected 1 to"),
        (lambda: tamis.fit([make_picture()], levels=5), "levels: is 5, expected 1 to 4"),
        (lambda: tamis.fit([make_picture(8, 8)]), "a fit needs"),
        (lambda: tamis.fit([make_picture()], terms=0), "terms is 0, expected 1 to 64"),
        (lambda: tamis.fit([make_picture()], seconds=float("nan")), "seconds is NaN"),
    ],
)
def test_values(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    "call", [lambda: tamis.Encoder(7), lambda: tamis.Reader(7), lambda: tamis.Writer(7), lambda: tamis.fit(7)]
)
def test_types(call):
    with pytest.raises(TypeError, match="expected"):
        call()


def test_files(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        tamis.Reader(tmp_path / "none.tamis")
    assert caught.value.filename == str(tmp_path / "none.tamis") and "os error" not in str(caught.value)
    with pytest.raises(IsADirectoryError):
        list(tamis.Reader(tmp_path))
    with pytest.raises(FileNotFoundError):
        tamis.fit([tmp_path / "none"])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        tamis.Writer(tmp_path / "file" / "x.tamis")


def test_text_is_no_recording(tmp_path):
    (tmp_path / "x").write_text("some words that are no recording")
    with open(tmp_path / "x") as file, pytest.raises(TypeError, match='expected bytes; open files with "rb"'):
        list(tamis.Reader(file))


def test_what_an_object_raises_is_raised(picture):
    class Full:
        def write(self, data):
            raise BlockingIOError("full")

        def read(self, n):
            raise InterruptedError("no")

    for bad in [-1.0, float("nan"), float("inf"), 1e300]:
        with pytest.raises(ValueError, match="captured is"):
            tamis.Writer(Full()).write(tamis.Encoder().push(picture), captured=bad)
    with pytest.raises(BlockingIOError, match="full"):
        tamis.Writer(Full()).write(tamis.Encoder().push(picture))
    with pytest.raises(InterruptedError, match="no"):
        list(tamis.Reader(Full()))


def test_one_codec_for_a_recording(tmp_path, picture):
    with tamis.Writer(tmp_path / "x") as writer:
        writer.write(tamis.Encoder().push(picture))
        with pytest.raises(ValueError, match="codec|tables"):
            writer.write(tamis.Encoder("mono").push(numpy.zeros(999, numpy.int16), rate=8000))
        with pytest.raises(ValueError, match="channels to pack"):
            writer.write(tamis.Encoder().push(picture).prefix(7))
