"""The `waste` head: fixed statistics of the latent, pooled over the grid, and a small net on them.

Few pictures cannot teach a deep net texture, but texture is what the latent's channels already measure: how strong
each is, how that varies, which rise and fall together, at which scale, and how parts of the picture differ.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

LABELS = ["cardboard", "glass", "metal", "paper", "plastic", "trash"]
RELATED = 24  # channels whose energies are correlated with each other
COLOUR = 6  # channels with a histogram
SMOOTH = 8  # channels whose roughness is measured at several scales
SCALES = (3, 5, 9, 17)


def spread(centred):
    """Standard deviation over the places. Shape: [b, c, n], mean zero -> [b, c]."""
    return torch.sqrt((centred * centred).mean(2) + 1e-4)


def window_mean(x, size, stride):
    """Means of windows; those that reach over an edge count what lies inside. Shape: [b, c, h, w] -> [b, c, h', w']."""
    return F.avg_pool2d(x, size, stride, size // 2, count_include_pad=False)


class Statistics(nn.Module):
    """Shape: [b, 48, h, w], any h and w >= 1 -> [b, SIZE]. No weights; quality and prefix only change its input."""

    SIZE = 4 * 48 + 9 * COLOUR + RELATED * (RELATED + 1) // 2 + len(SCALES) * SMOOTH + 2 * RELATED + 3 * SMOOTH

    def __init__(self):
        super().__init__()
        upper = [i * RELATED + j for i in range(RELATED) for j in range(i, RELATED)]
        self.register_buffer("upper", torch.tensor(upper), persistent=False)
        self.register_buffer("edges", torch.linspace(-2, 2, 9).view(1, 1, 9, 1), persistent=False)

    def forward(self, x):
        energy = torch.log(torch.abs(x) + 0.1)
        value = torch.log(F.relu(x) + 1) - torch.log(F.relu(-x) + 1)
        flat_energy, flat_value = energy.flatten(2), value.flatten(2)
        mean = flat_energy.mean(2, keepdim=True)
        centred = flat_energy - mean
        value_mean = flat_value.mean(2, keepdim=True)
        parts = [
            mean.flatten(1),
            spread(centred),
            value_mean.flatten(1),
            spread(flat_value - value_mean),
            torch.sigmoid((flat_value[:, :COLOUR].unsqueeze(2) - self.edges) * 4).mean(3).flatten(1),
        ]
        related = centred[:, :RELATED]
        # A sum of ones counts the places, whatever the grid.
        places = torch.ones_like(related[:, :1]).sum(2, keepdim=True)
        covariance = (related @ related.transpose(1, 2)) / places
        parts.append(covariance.flatten(1)[:, self.upper])
        smooth = value[:, :SMOOTH]
        for scale in SCALES:
            rough = torch.abs(smooth - window_mean(smooth, scale, 1))
            parts.append(torch.log(rough.mean((2, 3)) + 0.01))
        zones = window_mean(energy[:, :RELATED], 9, 4).flatten(2) - mean[:, :RELATED]
        parts += [zones.amax(2), -(-zones).amax(2)]
        zones = window_mean(smooth, 9, 4).flatten(2)
        parts += [zones.amax(2), -(-zones).amax(2), spread(zones - zones.mean(2, keepdim=True))]
        return torch.cat(parts, 1)


class Waste(nn.Module):
    """Statistics, brought to unit spread, and the mean answer of a few small nets. Shape: [b, 48, h, w] -> [b, 6]."""

    def __init__(self, members=2, hidden=160):
        super().__init__()
        self.statistics = Statistics()
        self.register_buffer("centre", torch.zeros(Statistics.SIZE))
        self.register_buffer("scale", torch.ones(Statistics.SIZE))
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(0.1), nn.Linear(Statistics.SIZE, hidden), nn.ReLU(), nn.Dropout(0.4),
                nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.4), nn.Linear(hidden, len(LABELS)),
            )
            for _ in range(members)
        )  # fmt: skip

    def answers(self, statistics):
        """Shape: [b, SIZE] -> [members, b, 6]."""
        # The clamp keeps an odd picture from driving the nets where they were never trained.
        x = ((statistics - self.centre) * self.scale).clamp(-6, 6)
        return torch.stack([member(x) for member in self.members])

    def forward(self, x):
        return self.answers(self.statistics(x)).mean(0)
