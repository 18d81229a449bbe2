"""Pictures and sounds as small, importance-ordered latents; recordings that may be cut anywhere; models on latents."""

import datetime
import os
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Optional, Protocol, TypedDict, Union, final

import numpy
import numpy.typing

__all__: list[str]
__version__: str

_Path = Union[str, os.PathLike[str]]
_Bundle = Union["Bundle", _Path]
_Picture = Union[
    numpy.typing.NDArray[numpy.uint8],
    numpy.typing.NDArray[numpy.uint16],
    numpy.typing.NDArray[numpy.int16],
    numpy.typing.NDArray[numpy.float32],
]
_Sound = Union[numpy.typing.NDArray[numpy.int16], numpy.typing.NDArray[numpy.float32]]

class _Readable(Protocol):
    def read(self, n: int, /) -> bytes: ...

class _Writable(Protocol):
    def write(self, data: bytes, /) -> Any: ...

class _Header(TypedDict):
    layout: Literal["gray", "rgb", "bands", "sound"]
    channels: int
    rate: int
    codec: str
    tables: str
    groups: list[int]
    utc: Optional[datetime.datetime]
    boot: int
    bundle: str
    device: str

class BitstreamError(ValueError):
    """Bytes that claim to be a recording are not."""

class LossWarning(UserWarning):
    """A part of a recording is lost; the rest was read."""

@final
class Bundle:
    """A codec: transform, projection, order, steps, entropy tables.

    `name`: one that is shipped (rgb, stereo, mono), one in a folder named in TAMIS_MODELS, or the path of a folder.
    Raises ValueError if there is none or it is damaged.
    """

    def __new__(cls, name: _Bundle) -> Bundle: ...
    @property
    def name(self) -> str:
        """Short name, for people."""
    @property
    def id(self) -> str:
        """16 hexadecimal digits that name the numbers of its latents. Heads and recordings bind to it."""
    @property
    def tables(self) -> str:
        """16 hexadecimal digits that name its entropy tables."""
    @property
    def kind(self) -> Literal["image", "audio"]: ...
    @property
    def channels(self) -> int:
        """Latent channels, all of them."""
    @property
    def groups(self) -> list[int]:
        """Ends of the groups of channels: packets may be cut after each."""
    @property
    def inputs(self) -> int:
        """Colours or sound channels coded together."""
    @property
    def levels(self) -> int:
        """Levels of the packet transform: a cell has 2**levels samples per axis."""
    @property
    def rate(self) -> int:
        """Nominal sample rate of a sound codec in hertz, else 0."""
    @property
    def steps(self) -> numpy.typing.NDArray[numpy.float32]:
        """Step of each channel at quality 75, [channels]."""
    @property
    def deviation(self) -> numpy.typing.NDArray[numpy.float32]:
        """Standard deviation of each channel on the training data, [channels]."""
    @property
    def decoders(self) -> list[str]:
        """Names of its neural decoders, for `Decoder`; the linear one is always there."""
    def save(self, folder: _Path) -> None:
        """Writes codec.toml and weights.safetensors into `folder`, which is made. Neural decoders are not written.

        Raises FileExistsError if another bundle is there, OSError if the files cannot be written.
        """

@final
class Stamp:
    """Which stream a latent belongs to, its place in it, and when it was captured."""

    @property
    def stream(self) -> int: ...
    @property
    def index(self) -> int:
        """Place in the stream, counted from 0 without gaps at the source."""
    @property
    def boot(self) -> int:
        """Identifies the boot that `captured` counts from; 0 for files."""
    @property
    def captured(self) -> float:
        """Seconds since boot, or since the start of the file."""
    @property
    def utc(self) -> Optional[datetime.datetime]:
        """Clock on the wall, in UTC, where one is known."""

@final
class Latent:
    """Integer latents of one picture or stretch of sound, channels in order of importance. It does not change.

    Made of values of one's own: int16 [channels, height, width in cells] with the extent [height, width] in pixels, or
    [channels, rows, steps in cells] with [channels, steps] of a whole sound. The values are copied. Raises ValueError if
    they do not fit the bundle.
    """

    def __new__(
        cls,
        bundle: _Bundle,
        values: numpy.typing.NDArray[numpy.int16],
        extent: Sequence[int],
        quality: int = 75,
    ) -> Latent: ...
    @property
    def values(self) -> numpy.typing.NDArray[numpy.int16]:
        """The integers, [channels, grid...]: a view of the latent's own memory, so read-only."""
    def dequantized(self, channels: Optional[int] = None) -> numpy.typing.NDArray[numpy.float32]:
        """Reals as heads read them, [channels, grid...]: times step, divided by the deviation of the channel.

        `channels`: the first so many, of which those that the latent lacks are zero; as many as it has if None.
        """
    def prefix(self, channels: int) -> Latent:
        """The first `channels` channels: a coarser latent of the same picture or sound."""
    @property
    def bundle(self) -> Bundle: ...
    @property
    def channels(self) -> int:
        """Channels present: a prefix of the bundle's."""
    @property
    def grid(self) -> tuple[int, int]:
        """Cells per axis: (height, width), or (rows, steps) of a sound."""
    @property
    def extent(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels, or (channels, steps) of the sound."""
    @property
    def quality(self) -> int:
        """Rate control used, 1 (coarsest) to 100 (finest)."""
    @property
    def layout(self) -> Literal["gray", "rgb", "bands", "sound"]: ...
    @property
    def rate(self) -> int:
        """Time steps per second of a sound, else 0."""
    @property
    def position(self) -> int:
        """First cell of a stretch of sound, counted from the start of the sound."""
    @property
    def end(self) -> bool:
        """Whether the sound ends with it."""
    @property
    def stamp(self) -> Optional[Stamp]:
        """Stream, place and time, of a latent that was read."""
    @property
    def lost_groups(self) -> int:
        """Groups of channels that its packet carried and that are lost."""

@final
class Encoder:
    """Encodes the pictures, or the sound, of one stream.

    `channels` is the end of a group, all if None; `threads` share one picture out, and change no latent. Raises ValueError
    for what the bundle does not have.
    """

    def __new__(
        cls, bundle: Optional[_Bundle] = None, channels: Optional[int] = None, quality: int = 75, threads: int = 1
    ) -> Encoder: ...
    def push(self, samples: Union[_Picture, _Sound], rate: Optional[int] = None, end: bool = True) -> Latent:
        """Encodes a picture, or the next chunk of a sound.

        Pictures are uint8 (0 to 255), uint16 (0 to 65535) or float32 (0 to 1), [height, width] or [height, width, 3];
        those of a bundle of bands [height, width, bands], also int16; sounds int16 or float32 (-1 to 1), [steps] or [steps, channels]. Arrays in C order are read where they lie, others
        are copied; do not write to them meanwhile. `rate`: time steps per second, of sound. `end`: whether the sound ends
        with this chunk; a chunk gives the cells that are complete, which may be none.

        Raises TypeError or ValueError for a dtype or shape that does not fit the bundle or the chunks before.
        """
    def reset(self) -> None:
        """Forgets the sound so far: the next chunk starts anew."""
    def set_quality(self, quality: int) -> None:
        """Changes the quality, 1 (coarsest) to 100 (finest), from the next picture or chunk on."""
    @property
    def bundle(self) -> Bundle: ...
    @property
    def channels(self) -> int: ...

@final
class Decoder:
    """Decodes the latents of one stream.

    Reads the first `channels` channels, all if None. `decoder` is "linear", the quick one that every bundle has, or a neural
    one of `Bundle.decoders` ("default", "edge"). Raises ValueError for what the bundle does not have.
    """

    def __new__(
        cls, bundle: Optional[_Bundle] = None, channels: Optional[int] = None, decoder: str = "linear"
    ) -> Decoder: ...
    def push(self, latent: Latent) -> _Picture:
        """Decodes a picture, or the next stretch of a sound.

        Pictures are uint8 [height, width] or [height, width, 3], those of bands [height, width, bands] of the dtype that was
        encoded, sounds float32 (-1 to 1) [steps, channels]. A sound comes
        a few cells behind its latents; where cells are missing, silence of their length comes instead, and LossWarning
        says so. Raises ValueError if the latent is of another codec, BitstreamError if the sound goes back in time.
        """
    def finish(self) -> Optional[numpy.typing.NDArray[numpy.float32]]:
        """Ends a sound whose last latent never came: what is left of it, [steps, channels]."""
    @property
    def bundle(self) -> Bundle: ...
    @property
    def channels(self) -> int: ...

@final
class Head:
    """A model on latents: an ONNX file that names the codec it reads.

    `name`: one that is shipped (waste, digits, esc10), one in a folder named in TAMIS_MODELS, or a path. `int8` runs a
    transformer in whole numbers of 8 bits. Raises ValueError if there is none or it is damaged.
    """

    def __new__(cls, name: _Path, int8: bool = False) -> Head: ...
    def run(self, latent: Latent) -> Prediction:
        """Classifies one latent. Channels that it lacks are zero.

        Raises ValueError if it is of another codec or has a grid that the model does not take.
        """
    @property
    def name(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def codec(self) -> str:
        """Id of the codec whose latents it reads: `Bundle.id`."""
    @property
    def bundle(self) -> str:
        """Name of the bundle with that codec."""
    @property
    def channels(self) -> int:
        """Channels read."""
    @property
    def quality(self) -> tuple[int, int]:
        """(lowest, highest) quality that it is good for."""
    @property
    def grid(self) -> Optional[list[int]]:
        """The only grid it takes, in cells; None if any."""
    @property
    def rate(self) -> int:
        """Sample rate that it was trained on, 0 for pictures."""
    @property
    def labels(self) -> list[str]: ...
    @property
    def licence(self) -> str: ...

@final
class Prediction:
    """What a head answers."""

    @property
    def label(self) -> str:
        """The likeliest label."""
    @property
    def score(self) -> float:
        """Its probability."""
    @property
    def top(self) -> list[tuple[str, float]]:
        """Labels and their probabilities, the likeliest first."""
    @property
    def logits(self) -> numpy.typing.NDArray[numpy.float32]:
        """What the model itself gave, [labels], in the order of `Head.labels`."""
    @property
    def ms(self) -> float:
        """Milliseconds taken."""

@final
class Reader(Iterator[Latent]):
    """Reads a recording, packet by packet.

    `source` is a path, bytes, an object with `read(n) -> bytes`, or None for bytes that come by `push`. `channels`: the first
    so many of each latent; `groups`: the same in groups; what lies behind is not decoded. `bundle`: the codec of the recording,
    if it is neither shipped nor in a folder named in TAMIS_MODELS.

    Whatever is lost is counted in `lost`, kept in words in `losses`, and told as a LossWarning. Raises OSError if the
    file cannot be read, BitstreamError if it is no recording, ValueError if its bundle is unknown.
    """

    def __new__(
        cls,
        source: Union[_Path, bytes, bytearray, memoryview, _Readable, None] = None,
        *,
        channels: Optional[int] = None,
        groups: Optional[int] = None,
        bundle: Optional[_Bundle] = None,
    ) -> Reader: ...
    def __iter__(self) -> Reader: ...
    def __next__(self) -> Latent: ...
    def push(self, data: Union[bytes, bytearray, memoryview]) -> list[Latent]:
        """Takes the next bytes, and returns the latents that they complete."""
    def finish(self) -> list[Latent]:
        """Says that no byte will follow, and returns the latents that are left."""
    @property
    def headers(self) -> dict[int, _Header]:
        """Headers of the streams so far, by their number."""
    @property
    def lost(self) -> int:
        """Losses so far: damage, groups and packets missing, a missing index."""
    @property
    def losses(self) -> list[str]:
        """The last thousand of them in words."""
    @property
    def complete(self) -> bool:
        """Whether an index closed the recording, as far as it was read."""
    def close(self) -> None:
        """Closes the file. Nothing else is read."""
    def __enter__(self) -> Reader: ...
    def __exit__(
        self, kind: Optional[type[BaseException]], why: Optional[BaseException], trace: Optional[TracebackType], /
    ) -> None: ...

@final
class Writer:
    """Writes latents to a recording.

    `target` is a path or an object with `write(bytes)`. `coder` is "dense", a third smaller, or "fast", two to three times as
    quick. With "dense", pictures continue the one before where that is smaller, and every `keys`-th stands alone. `fps`
    gives pictures without times theirs.

    A file has its name once it is closed; until then, and if a `with` block fails, it is called NAME.part, which can be read
    as far as it goes. Raises OSError if it cannot be written.
    """

    def __new__(
        cls,
        target: Union[_Path, _Writable],
        *,
        coder: Literal["dense", "fast"] = "dense",
        keys: int = 32,
        fps: Optional[float] = None,
        stream: int = 0,
        device: str = "cpu",
    ) -> Writer: ...
    def write(
        self, latent: Latent, captured: Optional[float] = None, utc: Optional[datetime.datetime] = None
    ) -> None:
        """Writes one latent; a long sound as several packets. A latent without cells is passed over.

        `captured`: seconds since the start of the file. If None: that of a latent that was read; of a sound, where it stands
        in it; of a picture, its number over `fps`, or 0. `utc`: clock on the wall.

        Raises ValueError if the latent is of another codec than the first, or its channels end inside a group.
        """
    def close(self) -> None:
        """Writes the index and gives the file its name. A recording without a latent is none: no file is left."""
    @property
    def packets(self) -> int:
        """Packets written so far."""
    def __enter__(self) -> Writer: ...
    def __exit__(
        self, kind: Optional[type[BaseException]], why: Optional[BaseException], trace: Optional[TracebackType], /
    ) -> None: ...

def fit(
    inputs: Union[_Path, Iterable[Union[_Path, _Picture, _Sound]]],
    *,
    channels: Optional[int] = None,
    levels: Optional[int] = None,
    rate: Optional[int] = None,
    terms: int = 8,
    dense: bool = False,
    seconds: float = 30.0,
    name: str = "own",
) -> Bundle:
    """Fits a bundle for your own sensor, in closed form, in seconds.

    `inputs`: paths of files and folders, or arrays as `Encoder.push` takes them (those of int16, and of other than 1 or 3 values
    a pixel, are of bands), all of one kind; 50 pictures or 30 s of sound at
    least. `rate`: sample rate of arrays of sound; without it arrays are pictures. `channels`: kept (pictures: a quarter of all; sounds:
    all). `levels`: of the transform (pictures 1 to 4, 3 if None; sounds 1 to 9, 7 if None). `terms` of each channel in fixed point, for
    pictures of 1 or 3 colours at 3 levels; `dense=True` makes a floating-point bundle of all terms. `seconds` read of each
    sound file.

    Files that cannot be read are passed over with a LossWarning. Raises ValueError if nothing is left or a number is out of
    range. Ctrl-C stops it.
    """
