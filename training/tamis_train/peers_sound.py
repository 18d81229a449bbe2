"""`python -m tamis_train peers-sound`: tamis beside Opus and MP3 at equal file sizes.

Needs `tamis`, `opusenc`, `opusdec` and `lame` on the path. Conventions: signals from -1 to 1; PSNR with full scale 2; log-spectral
distance over frames of 2048 with a Hann window and half overlap, floor -80 dB of a full sine in a bin; the same in 64 mel bands.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from . import plot

PEERS = {
    "Opus 24": ("opus", 24), "Opus 48": ("opus", 48), "Opus 96": ("opus", 96), "MP3 64": ("mp3", 64), "MP3 128": ("mp3", 128),
}  # fmt: skip
RATE, FRAME = 44100, 2048
SHIFTS = 3000  # samples in which a peer's delay is looked for


def arguments(verbs):
    """Adds the verb to a parser."""
    verb = verbs.add_parser("peers-sound", help="compare tamis with Opus and MP3 at their file sizes")
    verb.add_argument("files", type=Path, nargs="+", help="sounds of 44.1 kHz: WAV, FLAC, Ogg")
    verb.add_argument("--codec", default="stereo")
    verb.add_argument("--tamis", default="tamis", help="the binary")
    verb.add_argument("--out", type=Path, help="also write all figures to this JSON file")
    verb.add_argument("--plot", type=Path, help="write SNR over bits per sample to this SVG")


def read(path):
    """Shape: float64 [samples, channels]."""
    import soundfile  # Only here: the other commands do without it.

    data, rate = soundfile.read(path, always_2d=True)
    if rate != RATE:
        raise SystemExit(f"{path}: {rate} Hz; {RATE} are needed")
    return data


def aligned(x, y):
    """`y` shifted so that it lies on `x`, zeros where it does not reach; and the shift."""
    a, b = x.sum(1), y.sum(1)
    n = 1 << (len(a) + len(b)).bit_length()
    match = np.fft.irfft(np.fft.rfft(b, n) * np.conj(np.fft.rfft(a, n)), n)
    lags = np.r_[0:SHIFTS, -SHIFTS:0]
    lag = int(lags[np.argmax(match[lags])])
    out = np.zeros_like(x)
    begin = max(0, -lag)
    part = y[max(0, lag) :][: len(x) - begin]
    out[begin : begin + len(part)] = part
    return out, lag


def mel_matrix(bands=64):
    """Triangles on the mel scale. Shape: [bands, FRAME / 2 + 1]."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(0, mel(RATE / 2), bands + 2) / 2595) - 1)
    f = np.linspace(0, RATE / 2, FRAME // 2 + 1)
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.clip(np.minimum((f - low) / (mid - low), (high - f) / (high - mid)), 0, None)


def powers(x):
    """Power spectra. Shape: [samples] -> [frames, FRAME / 2 + 1]."""
    x = np.pad(x, (0, max(0, FRAME - len(x))))
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME)[:: FRAME // 2]
    return np.abs(np.fft.rfft(frames * np.hanning(FRAME + 1)[:-1])) ** 2


def distances(x, y):
    """SNR, PSNR, log-spectral distance and that in mel bands, in dB. Shape: [samples, channels]."""
    error = np.mean((x - y) ** 2)
    floor = (FRAME / 4) ** 2 * 1e-8
    mel, plain, banded = mel_matrix(), [], []
    for c in range(x.shape[1]):
        a, b = powers(x[:, c]), powers(y[:, c])
        log = lambda p: 10 * np.log10(np.maximum(p, floor))
        plain.append(np.sqrt(np.mean((log(a) - log(b)) ** 2, 1)).mean())
        banded.append(np.sqrt(np.mean((log(a @ mel.T) - log(b @ mel.T)) ** 2, 1)).mean())
    snr = 10 * np.log10(np.mean(x**2) / max(error, 1e-20))
    return {"snr": snr, "psnr": 10 * np.log10(4 / max(error, 1e-20)), "lsd": np.mean(plain), "mel": np.mean(banded)}


def call(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr.strip()[-500:]}")


def peer(kind, rate, path, work):
    """Bytes of the peer's file, and what it gives back. `work`: a folder."""
    coded, back = work / f"x.{kind}", work / "back.wav"
    if kind == "opus":
        call("opusenc", "--quiet", "--bitrate", rate, path, coded)
        call("opusdec", "--quiet", "--rate", RATE, coded, back)
    else:
        call("lame", "--quiet", "-b", rate, "--resample", RATE / 1000, path, coded)
        call("lame", "--quiet", "--decode", coded, back)
    return coded.stat().st_size, read(back)


def ours(args, path, size, work):
    """Bytes of the largest file of ours that is no larger than `size`, its quality, and what it gives back."""
    coded, back = work / "x.tamis", work / "back.wav"

    def bytes_at(quality):
        call(args.tamis, "encode", path, "-o", coded, "--codec", args.codec, "--quality", quality)
        return coded.stat().st_size

    low, high = 1, 100
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if bytes_at(middle) <= size else (low, middle - 1)
    there = bytes_at(low)
    call(args.tamis, "decode", coded, "-o", back)
    return there, low, read(back)


def run(args):
    """Measures, prints a table of means and of the worst file."""
    import soundfile  # Only here, as above.

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for given in args.files:
            x, path = read(given), work / "x.wav"
            # What all of them read, the same 16 bits.
            soundfile.write(path, x, RATE, "PCM_16")
            x = read(path)
            for name, (kind, kilobits) in PEERS.items():
                size, y = peer(kind, kilobits, path, work)
                y, lag = aligned(x, y)
                there, quality, z = ours(args, path, size, work)
                row = {"file": given.name, "peer": name, "bits": 8 * size / x.size, "kbit/s": 8 * size / len(x) * RATE / 1000}
                row |= {"delay": lag, "quality": quality, "our bits": 8 * there / x.size}
                row["theirs"], row["ours"] = distances(x, y), distances(x, z)
                rows.append(row)
                print(f"{given.name} {name}: SNR {row['ours']['snr']:.1f} for {row['theirs']['snr']:.1f} dB", flush=True)
    print("\n| peer | kbit/s | bits per sample | SNR, LSD, mel LSD | tamis at that size: SNR, LSD, mel LSD | SNR gain, mean (least) |")
    print("|---|---|---|---|---|---|")
    for name in PEERS:
        mine = [r for r in rows if r["peer"] == name]
        mean = lambda of: np.mean([of(r) for r in mine])
        three = lambda who: ", ".join(f"{mean(lambda r: r[who][k]):.2f}" for k in ("snr", "lsd", "mel"))
        gains = [r["ours"]["snr"] - r["theirs"]["snr"] for r in mine]
        words = [name, f"{mean(lambda r: r['kbit/s']):.1f}", f"{mean(lambda r: r['bits']):.3f}", three("theirs"), three("ours")]
        print("| " + " | ".join([*words, f"{np.mean(gains):+.1f} ({min(gains):+.1f})"]) + " |")
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    if args.plot:
        args.plot.write_text(plot.lines(curves(rows, args.codec), "bits per sample", "SNR, dB"))


def curves(rows, codec):
    """Means over the files: a curve for each kind of peer, and ours at all their sizes."""
    made = {f"tamis {codec}": []}
    for name in PEERS:
        mine = [r for r in rows if r["peer"] == name]
        mean = lambda of: float(np.mean([of(r) for r in mine]))
        made[f"tamis {codec}"].append((mean(lambda r: r["our bits"]), mean(lambda r: r["ours"]["snr"])))
        made.setdefault(name.split()[0], []).append((mean(lambda r: r["bits"]), mean(lambda r: r["theirs"]["snr"])))
    return made
