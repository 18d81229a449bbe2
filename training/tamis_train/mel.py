"""The twin of what a sound head reads: mel bands of the sound that comes out of the decoder, on the same steps."""

import functools
import math

import torch

from .transform import ALPHA, BETA, DELTA, GAMMA, HIGH_GAIN, LOW_GAIN

BANDS = 64


def unlevel(low, high):
    """Undoes `transform.level`. Shape: two of [..., n] -> [..., 2 n]."""
    s, d = low / LOW_GAIN, high / HIGH_GAIN
    after = lambda s: s + torch.cat([s[..., 1:], s[..., -1:]], -1)
    before = lambda d: d + torch.cat([d[..., :1], d[..., :-1]], -1)
    s = s - DELTA * before(d)
    d = d - GAMMA * after(s)
    s = s - BETA * before(d)
    d = d - ALPHA * after(s)
    return torch.stack([s, d], -1).flatten(-2)


def unpackets_1d(x):
    """Undoes `transform.packets_1d` of one input. Shape: [b, 2^levels, t] -> [b, 2^levels * t]."""
    while x.shape[1] > 1:
        x = unlevel(*x.unflatten(1, (-1, 2)).unbind(2))
    return x[:, 0]


class Decoder:
    """The sound of what a head is given. Shape: [b, C, t] -> [b, n]."""

    def __init__(self, bundle):
        self.synthesis = torch.linalg.pinv(bundle.analysis)
        self.deviation, self.bias = bundle.deviation[:, None], bundle.bias[:, None]

    def __call__(self, x):
        return unpackets_1d(self.synthesis @ (x * self.deviation - self.bias))


@functools.lru_cache(maxsize=4)
def filters(rate, size, device):
    """Triangles, evenly spaced in mel from 40 Hz to just under half the rate. Shape: [BANDS, size / 2 + 1]."""
    mel = lambda hertz: 2595 * math.log10(1 + hertz / 700)
    corners = torch.linspace(mel(40), mel(0.49 * rate), BANDS + 2, dtype=torch.float64)
    corners = (700 * (10 ** (corners / 2595) - 1))[:, None]
    at = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)
    rise = (at - corners[:-2]) / (corners[1:-1] - corners[:-2])
    fall = (corners[2:] - at) / (corners[2:] - corners[1:-1])
    return torch.minimum(rise, fall).clamp(min=0).float().to(device)


def magnitudes(sound, rate, hop, window, size):
    """Square root of the power in mel bands, a step every `hop` samples. Shape: [b, n] -> [b, BANDS, n / hop, rounded up]."""
    room = window // 2
    padded = torch.nn.functional.pad(sound, (room, room + hop))
    frames = padded.unfold(1, window, hop)[:, : -(-sound.shape[1] // hop)] * torch.hann_window(window, device=sound.device)
    power = torch.fft.rfft(frames, size).abs().square().transpose(1, 2)
    return torch.sqrt(filters(rate, size, str(sound.device)) @ power)
