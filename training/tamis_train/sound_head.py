"""Heads for sound: convolutions over log-magnitudes, the channels in order of frequency."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def frequency_order(bundle):
    """Channels from low to high. A packet's number is a Gray code of its place in frequency. -> [C] int64."""
    band = bundle.analysis.abs().argmax(1)
    place = band.clone()
    shift = 1
    while shift < len(band):
        place = place ^ (place >> shift)
        shift *= 2
    return place.argsort()


def block(inputs, outputs, stride=(1, 1)):
    """Convolution, norm, ReLU over (frequency, time)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class SoundHead(nn.Module):
    """Shape: [b, C, t], any t >= 1 -> [b, labels]."""

    def __init__(self, order, floor, labels, windows, hop, strides, widths, drop):
        """`order` and `floor`: of the channels, and what is added to magnitudes in that order, [C]. `windows`: steps
        whose power is averaged, one view for each; all even or all odd, so that views are equally long. A view every
        `hop` steps. `strides` of the three convolutions over frequency and time; `widths` of these and of those in time
        alone."""
        super().__init__()
        self.windows, self.hop = windows, hop
        self.register_buffer("order", order)
        self.register_buffer("floor", (floor**2)[:, None])
        self.norm = nn.BatchNorm1d(len(windows) * len(order))
        sizes = [len(windows), *widths[:-1]]
        self.body = nn.Sequential(*(block(a, b, s) for a, b, s in zip(sizes, sizes[1:], strides)))
        high, wide = len(order), widths[-1]
        for stride in strides:
            high = (high + stride[0] - 1) // stride[0]
        self.mix = nn.Sequential(
            nn.Conv1d(sizes[-1] * high, wide, 1, bias=False), nn.BatchNorm1d(wide), nn.ReLU(), nn.Dropout(drop),
            nn.Conv1d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm1d(wide), nn.ReLU(),
            nn.Conv1d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm1d(wide), nn.ReLU(),
        )  # fmt: skip
        self.answer = nn.Sequential(nn.Dropout(drop + 0.1), nn.Linear(2 * wide, labels))

    def picture(self, x):
        """Views of the sound: logarithms of its mean power over windows, since a single real coefficient swings with
        the phase. Shape: [b, C, t] -> [b, views, C, t / hop]."""
        power = x[:, self.order].square()
        mean = lambda w: power if w == 1 == self.hop else F.avg_pool1d(power, w, self.hop, w // 2, count_include_pad=False)
        views = [0.5 * torch.log(mean(w) + self.floor) for w in self.windows]
        return self.norm(torch.cat(views, 1)).unflatten(1, (len(views), -1))

    def classify(self, picture):
        """Shape: [b, views, C, t] -> [b, labels]."""
        x = self.mix(self.body(picture).flatten(1, 2))
        return self.answer(torch.cat([x.mean(2), x.amax(2)], 1))

    def forward(self, x):
        return self.classify(self.picture(x))
