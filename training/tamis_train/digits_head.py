"""The `digits` head: convolutions in time over log-magnitudes, the channels in order of frequency."""

import torch
import torch.nn as nn
import torch.nn.functional as F

LABELS = [str(digit) for digit in range(10)]
FLOOR = 0.02  # below the smallest step of the default quality, so that what is quiet stays apart from silence


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


class Digits(nn.Module):
    """Shape: [b, 128, t], any t >= 1 -> [b, 10]."""

    def __init__(self, order):
        super().__init__()
        self.register_buffer("order", order)
        self.norm = nn.BatchNorm1d(2 * len(order))
        # Frequency is halved three times, time once: what a digit is lies in how formants move.
        self.body = nn.Sequential(block(2, 16, (2, 1)), block(16, 24, (2, 2)), block(24, 32, (2, 1)))
        self.mix = nn.Sequential(
            nn.Conv1d(32 * len(order) // 8, 96, 1, bias=False), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv1d(96, 96, 3, padding=1, bias=False), nn.BatchNorm1d(96), nn.ReLU(),
            nn.Conv1d(96, 96, 3, padding=1, bias=False), nn.BatchNorm1d(96), nn.ReLU(),
        )  # fmt: skip
        self.answer = nn.Sequential(nn.Dropout(0.3), nn.Linear(192, len(LABELS)))

    def picture(self, x):
        """Two views of the sound: its log-magnitudes, and those of the mean power of three steps, since a single
        real coefficient swings with the phase. Shape: [b, C, t] -> [b, 2, C, t]."""
        x = x[:, self.order]
        power = F.avg_pool1d(x * x, 3, 1, 1)
        both = torch.cat([torch.log(torch.abs(x) + FLOOR), 0.5 * torch.log(power + FLOOR**2)], 1)
        return self.norm(both).reshape(both.shape[0], 2, x.shape[1], -1)

    def classify(self, picture):
        """Shape: [b, 2, C, t] -> [b, 10]."""
        x = self.mix(self.body(picture).flatten(1, 2))
        return self.answer(torch.cat([x.mean(2), x.amax(2)], 1))

    def forward(self, x):
        return self.classify(self.picture(x))
