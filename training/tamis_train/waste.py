"""Recipe of the `waste` head: six kinds of waste from pictures."""

import time
from pathlib import Path

import torch
import torch.nn.functional as F

from .loop import Loop
from .pictures import latents, read_pictures, read_split
from .waste_head import LABELS, Waste

TASK, KIND, CHANNELS, PREFIXES, QUALITIES = "waste", "image", 48, [12, 24, 48], (20, 90)
SHOWN_QUALITIES = [20, 35, 50, 65, 75, 90]
DRAWS = 3  # pairs of quality and prefix per picture and version, the first is the default
VERSIONS = 12
STEPS, BATCH, RATE, DECAY, SMOOTHING, MIXING = 4000, 128, 1e-3, 0.02, 0.1, 0.2
PREPARATION = 0.8  # of the minutes, at most
CARD = {
    "what": "Six kinds of waste on a plain background: cardboard, glass, metal, paper, plastic, trash.",
    "data": "TrashNet (MIT), 384x288: 926 pictures to train, 179 to choose on, split by blocks of ten consecutive "
    "numbers, since neighbours often show the same object",
    "licence": "MIT",
    "recipe": "Fixed statistics of the latent (channel energies, their spread and correlation, histograms, roughness at "
    "four scales, extremes of windows), then the mean of two small nets. Pictures are altered as pixels (flips, "
    "shifts, turns, zoom, colour), each version is coded at the default and at random qualities and prefixes; mixup, "
    "label smoothing, averaged weights.",
    "limits": [
        "Plain background, one object: in front of other scenes the answer means little.",
        "`trash` is the smallest class, in training too (87 of 926).",
        "Trained on grids of 36 x 48 cells. Other grids run, since everything is pooled, but were not measured.",
    ],
}


def label_of(path):
    """The class is the folder's name."""
    return LABELS.index(Path(path).parent.name)


@torch.no_grad()
def statistics(head, bundle, y, quality, prefix, chunk=64):
    """Shape: y [n, C, h, w]; quality, prefix [n] -> [n, SIZE]."""
    parts = zip(y.split(chunk), quality.split(chunk), prefix.split(chunk), strict=True)
    return torch.cat([head.statistics(bundle.head_input(a.float(), q, p)) for a, q, p in parts])


def versions(head, bundle, data, paths, seed, work, deadline, count):
    """Statistics of altered versions of all pictures, kept on disk one by one, and the seconds that took.

    Shape: [versions * DRAWS, n, SIZE].
    """
    made, pictures, seconds = [], None, 0.0
    for k in range(count):
        file = Path(work) / f"version_{bundle.codec_id}_{seed}_{k}.pt"
        if file.exists():
            kept = torch.load(file)
            made.append(kept["statistics"])
            seconds += kept["seconds"]
            continue
        if made and time.monotonic() > deadline:
            break
        since = time.monotonic()
        pictures = read_pictures(data, paths) if pictures is None else pictures
        # A generator of its own: a version does not depend on which others were made in this run.
        generator = torch.Generator().manual_seed(seed * 1000 + k)
        n = len(paths)
        y = latents(bundle, pictures, generator if k else None)
        drawn = []
        for draw in range(DRAWS):
            quality = torch.randint(QUALITIES[0], QUALITIES[1] + 1, (n,), generator=generator)
            prefix = torch.tensor(PREFIXES)[torch.randint(len(PREFIXES), (n,), generator=generator)]
            if draw == 0:
                quality, prefix = torch.full((n,), 75), torch.full((n,), CHANNELS)
            drawn.append(statistics(head, bundle, y, quality, prefix))
        made.append(torch.stack(drawn))
        file.parent.mkdir(parents=True, exist_ok=True)
        taken = time.monotonic() - since
        seconds += taken
        torch.save({"statistics": made[-1], "seconds": taken}, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
        print(f"version {k + 1}/{count}  {taken:.0f} s", flush=True)
    return torch.cat(made), seconds


def train(bundle, data, minutes, seed, work, steps=STEPS, count=VERSIONS):
    """The trained head and its figures."""
    begin = time.monotonic()
    torch.manual_seed(seed)
    head = Waste()
    paths, val_paths = read_split(data, "waste-train"), read_split(data, "waste-val")
    labels, val_labels = (torch.tensor([label_of(p) for p in x]) for x in (paths, val_paths))
    x, seconds = versions(head, bundle, data, paths, seed, work, begin + 60 * minutes * PREPARATION, count)
    flat = x.flatten(0, 1)
    head.centre.copy_(flat.mean(0))
    head.scale.copy_(1 / (flat.std(0) + 1e-4))
    val = latents(bundle, read_pictures(data, val_paths)).float()
    tables = {
        (p, q): statistics(head, bundle, val, torch.full((len(val),), q), torch.full((len(val),), p))
        for p in PREFIXES for q in SHOWN_QUALITIES
    }  # fmt: skip
    targets = F.one_hot(labels, len(LABELS)).float() * (1 - SMOOTHING) + SMOOTHING / len(LABELS)
    mixing = torch.distributions.Beta(MIXING, MIXING)

    def loss_of_batch():
        i, r = torch.randint(x.shape[1], (BATCH,)), torch.randint(x.shape[0], (BATCH,))
        a, t = x[r, i], targets[i]
        share, other = mixing.sample((BATCH, 1)), torch.randperm(BATCH)
        a, t = torch.lerp(a[other], a, share), torch.lerp(t[other], t, share)
        return -(t * F.log_softmax(head.answers(a), 2)).sum(2).mean()

    def right(model, p, q):
        return model.answers(tables[p, q]).mean(0).argmax(1)

    loop = Loop(head, steps, RATE, DECAY, Path(work) / "checkpoint.pt", (TASK, bundle.codec_id, seed))
    loop.load()
    accuracy = lambda m: (right(m, CHANNELS, 75) == val_labels).float().mean().item()
    finished = loop.run(loss_of_batch, accuracy, begin + 60 * minutes)
    head.load_state_dict(loop.average)
    head.eval()
    with torch.no_grad():
        guesses = {key: right(head, *key) for key in tables}
    facts = {
        "train": len(paths), "versions": x.shape[0] // DRAWS, "finished": finished, "steps": loop.step,
        "minutes": round((seconds + loop.seconds) / 60, 1), "curve": loop.curve,
    }  # fmt: skip
    return head, guesses, val_labels, facts


def example(bundle, data, count=8):
    """Head inputs at the default, for the check of the export. Shape: [count] of [1, 48, h, w]; grids differ."""
    y = bundle.project(read_pictures(data, read_split(data, "waste-val")[:count]).float() / 255 - 0.5)
    x = bundle.head_input(y, torch.full((len(y),), 75), torch.full((len(y),), CHANNELS))
    cuts = [(36, 48), (36, 48), (20, 31), (1, 1), (9, 5), (2, 60), (45, 60), (17, 17)]
    return [x[i : i + 1, :, : h, : w].contiguous() for i, (h, w) in zip(range(len(x)), cuts)]
