"""Pictures to latents, recordings, and back."""

import datetime
import gc
import io

import numpy
import pytest
import tamis
from conftest import make_picture, psnr


def test_round_trip(picture, rgb):
    latent = tamis.Encoder(rgb, quality=90).push(picture)
    assert latent.values.shape == (48, 15, 22) and latent.values.dtype == numpy.int16
    assert (latent.extent, latent.grid, latent.layout) == ((120, 176), (15, 22), "rgb")
    back = tamis.Decoder(rgb).push(latent)
    assert back.shape == picture.shape and back.dtype == numpy.uint8 and psnr(picture, back) > 30
    coarse = tamis.Decoder(rgb, channels=6).push(latent)
    assert psnr(picture, coarse) < psnr(picture, back)


def test_a_neural_decoder(picture, rgb):
    assert rgb.decoders == ["default", "edge"]
    latent = tamis.Encoder(rgb).push(picture)
    back = tamis.Decoder(rgb, decoder="edge").push(latent)
    assert psnr(picture, back) > 25
    assert not numpy.array_equal(back, tamis.Decoder(rgb).push(latent))


def test_dtypes_of_the_same_picture(picture, rgb):
    encoder = tamis.Encoder(rgb)
    a = encoder.push(picture).values
    b = encoder.push(picture.astype(numpy.uint16) * 257).values
    c = encoder.push((picture / 255).astype(numpy.float32)).values
    assert (abs(a.astype(int) - b) <= 1).all() and (abs(a.astype(int) - c) <= 1).all()


def test_arrays_that_lie_otherwise_give_the_same(picture, rgb):
    encoder = tamis.Encoder(rgb)
    wanted = encoder.push(numpy.ascontiguousarray(picture[::-1, ::2])).values
    assert (encoder.push(picture[::-1, ::2]).values == wanted).all()
    turned = numpy.asfortranarray(picture)
    assert (encoder.push(turned).values == encoder.push(picture).values).all()


def test_gray_stays_gray(picture, rgb):
    latent = tamis.Encoder(rgb).push(picture[..., 0])
    assert latent.layout == "gray"
    back = tamis.Decoder(rgb).push(latent)
    assert back.shape == (120, 176) and psnr(picture[..., 0], back) > 28
    assert (tamis.Encoder(rgb).push(picture[..., :1]).values == latent.values).all()


def test_values_outlive_their_latent_and_are_read_only(picture):
    latent = tamis.Encoder().push(picture)
    values, copy = latent.values, latent.values.copy()
    assert numpy.shares_memory(values, latent.values), "a view, not a copy"
    del latent
    gc.collect()
    junk = [numpy.full(copy.shape, 7, numpy.int16) for _ in range(20)]
    assert (values == copy).all() and len(junk) == 20
    with pytest.raises(ValueError):
        values[0] = 1
    with pytest.raises(ValueError):
        values.flags.writeable = True


def test_dequantized(picture, rgb):
    latent = tamis.Encoder(rgb, quality=59).push(picture)
    reals = latent.dequantized()
    assert reals.dtype == numpy.float32 and reals.flags.c_contiguous and reals.flags.writeable
    # 16 points below 75 double the step.
    wanted = latent.values * (2 * rgb.steps / rgb.deviation)[:, None, None]
    numpy.testing.assert_allclose(reals, wanted, rtol=1e-5)
    few = latent.prefix(12).dequantized(24)
    assert few.shape[0] == 24 and (few[:12] == reals[:12]).all() and (few[12:] == 0).all()


def test_a_latent_of_ones_own(picture, rgb):
    latent = tamis.Encoder(rgb).push(picture)
    values = latent.values.copy()
    values[6:] = 0
    own = tamis.Latent(rgb, values, (120, 176))
    numpy.testing.assert_array_equal(tamis.Decoder(rgb).push(own), tamis.Decoder(rgb, channels=6).push(latent))
    with pytest.raises(ValueError, match="grid"):
        tamis.Latent(rgb, values, (130, 176))


@pytest.mark.parametrize("coder", ["fast", "dense"])
def test_recordings_hold_what_was_written(tmp_path, rgb, coder):
    path = tmp_path / "folder" / "x.tamis"
    encoder = tamis.Encoder(rgb)
    latents = [encoder.push(make_picture(seed=i)) for i in range(5)]
    noon = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.timezone.utc)
    with tamis.Writer(path, coder=coder, keys=3, stream=9, device="test") as writer:
        for i, latent in enumerate(latents):
            writer.write(latent, captured=0.04 * i, utc=noon + datetime.timedelta(seconds=0.04 * i))
            assert not path.exists(), "a file has its name once it is whole"
        assert writer.packets == 5
    assert [p.name for p in path.parent.iterdir()] == ["x.tamis"]
    reader = tamis.Reader(path)
    back = list(reader)
    assert reader.complete and reader.lost == 0
    header = reader.headers[9]
    assert (header["layout"], header["bundle"], header["codec"]) == ("rgb", "rgb", rgb.id)
    assert header["device"] == "test" and header["utc"] == noon
    for i, (a, b) in enumerate(zip(latents, back)):
        assert (a.values == b.values).all() and b.stamp.index == i
        assert b.stamp.captured == pytest.approx(0.04 * i)
        assert abs((b.stamp.utc - noon).total_seconds() - 0.04 * i) < 1e-5
    with pytest.raises(ValueError, match="closed"):
        writer.write(latents[0])


def test_objects_are_written_and_read(rgb, picture):
    out = io.BytesIO()
    with tamis.Writer(out) as writer:
        writer.write(tamis.Encoder(rgb).push(picture))
    for source in [out.getvalue(), bytearray(out.getvalue()), io.BytesIO(out.getvalue())]:
        (latent,) = tamis.Reader(source)
        assert latent.extent == (120, 176)


def test_a_failed_block_leaves_its_part(tmp_path, picture):
    path = tmp_path / "x.tamis"
    with pytest.raises(KeyError):
        with tamis.Writer(path) as writer:
            writer.write(tamis.Encoder().push(picture))
            raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["x.tamis.part"]
    with pytest.warns(tamis.LossWarning, match="incomplete"):
        assert len(list(tamis.Reader(tmp_path / "x.tamis.part"))) == 1


def test_nothing_written_leaves_nothing(tmp_path):
    with tamis.Writer(tmp_path / "x.tamis"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_heads(picture, rgb):
    head = tamis.Head("waste")
    latent = tamis.Encoder(rgb).push(make_picture(224, 224))
    answer = head.run(latent)
    assert head.codec == rgb.id and head.bundle == "rgb" and len(answer.top) == len(head.labels) == 6
    assert (answer.label, answer.score) == answer.top[0]
    powers = numpy.exp(answer.logits - answer.logits.max())
    assert head.labels[int(answer.logits.argmax())] == answer.label
    assert answer.score == pytest.approx(powers.max() / powers.sum(), rel=1e-4)
    with pytest.raises(ValueError, match="codec"):
        tamis.Head("digits").run(latent)


def test_fit_and_save(tmp_path):
    pictures = [make_picture(seed=i) for i in range(8)]
    own = tamis.fit(pictures, channels=24, name="mine")
    assert (own.kind, own.channels, own.inputs, own.levels, own.name) == ("image", 24, 3, 3, "mine")
    assert own.steps.shape == own.deviation.shape == (24,)
    own.save(tmp_path / "mine")
    own.save(tmp_path / "mine")
    again = tamis.Bundle(tmp_path / "mine")
    assert (again.id, again.tables) == (own.id, own.tables)
    other = tamis.fit(pictures, channels=12)
    with pytest.raises(FileExistsError, match="another folder"):
        other.save(tmp_path / "mine")
    latent = tamis.Encoder(again, quality=90).push(pictures[0])
    assert psnr(pictures[0], tamis.Decoder(own).push(latent)) > 25
    with tamis.Writer(tmp_path / "x.tamis") as writer:
        writer.write(latent)
    with pytest.raises(ValueError, match="no bundle"):
        list(tamis.Reader(tmp_path / "x.tamis"))
    (back,) = tamis.Reader(tmp_path / "x.tamis", bundle=own)
    assert (back.values == latent.values).all()


def test_fit_reads_files(tmp_path):
    for i in range(3):
        pixels = make_picture(seed=i)
        (tmp_path / f"{i}.ppm").write_bytes(b"P6\n176 120\n255\n" + pixels.tobytes())
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.warns(tamis.LossWarning, match="broken.png"):
        files = tamis.fit(tmp_path, channels=12)
    arrays = tamis.fit([make_picture(seed=i) for i in range(3)], channels=12)
    assert files.id == arrays.id
