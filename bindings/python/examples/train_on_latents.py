"""Trains a small classifier on recordings, without decoding one to pixels.

    tamis encode photos/ -o small/ --coder fast         # photos/LABEL/*.jpg becomes small/LABEL/*.tamis
    python train_on_latents.py small/ [--epochs 20] [--channels 12]

Every .tamis file below a folder is one picture (its first, if it holds more), and the folder's name is its label. Only
the first channels are read: what lies behind them is not decoded. Needs torch.
"""

import argparse
import random
import warnings
from pathlib import Path

import tamis
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

# A damaged file stops the training instead of teaching it something else.
warnings.simplefilter("error", tamis.LossWarning)


class Recordings(Dataset):
    """Latents as tensors, cut at random or from their middle to squares of `side` cells.

    It holds paths only, so that workers may read for themselves.
    """

    def __init__(self, files, labels, channels, side, train):
        self.files, self.labels = files, labels
        self.channels, self.side, self.train = channels, side, train

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        path = self.files[i]
        with tamis.Reader(path, channels=self.channels) as reader:
            # Absent channels of a file that was cut are zero, as at test time.
            cells = torch.from_numpy(next(reader).dequantized(self.channels))
        short = [max(0, self.side - n) for n in cells.shape[1:]]
        cells = nn.functional.pad(cells, (0, short[1], 0, short[0]))
        free = [n - self.side for n in cells.shape[1:]]
        top, left = [random.randint(0, n) if self.train else n // 2 for n in free]
        cells = cells[:, top : top + self.side, left : left + self.side]
        return cells, self.labels.index(path.parent.name)


def network(channels, labels):
    def block(a, b):
        return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]

    return nn.Sequential(
        *block(channels, 48), nn.MaxPool2d(2), *block(48, 96), nn.MaxPool2d(2), *block(96, 96),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(96, labels),
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--channels", type=int, default=12)
    parser.add_argument("--side", type=int, default=32, help="cells of 8 pixels")
    parser.add_argument("--workers", type=int, default=0)
    typed = parser.parse_args()
    torch.manual_seed(1)
    files = sorted(typed.folder.rglob("*.tamis"))
    labels = sorted({path.parent.name for path in files})
    random.Random(1).shuffle(files)
    held = len(files) // 5
    sets = [
        Recordings(part, labels, typed.channels, typed.side, train)
        for part, train in [(files[held:], True), (files[:held], False)]
    ]
    train, test = [DataLoader(s, batch_size=32, shuffle=s.train, num_workers=typed.workers) for s in sets]
    print(f"{len(sets[0])} files to train on, {held} to test on, {len(labels)} labels: {', '.join(labels)}")
    net = network(typed.channels, len(labels))
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=typed.epochs * len(train))
    for epoch in range(typed.epochs):
        net.train()
        total = 0.0
        for cells, wanted in train:
            loss = nn.functional.cross_entropy(net(cells), wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(wanted)
        net.eval()
        with torch.no_grad():
            right = sum((net(cells).argmax(1) == wanted).sum().item() for cells, wanted in test)
        print(f"epoch {epoch + 1}: loss {total / len(sets[0]):.3f}, right on the others {right / max(held, 1):.1%}")


if __name__ == "__main__":
    main()
