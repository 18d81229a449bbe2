"""Recipe of the `digits` head: spoken digits."""

import time
from pathlib import Path

import torch
import torch.nn.functional as F

from .digits_head import LABELS, Digits, frequency_order
from .loop import Loop
from .pictures import read_split
from .sounds import alter, read_sounds

TASK, KIND, CHANNELS, PREFIXES, QUALITIES = "digits", "audio", 128, [32, 64, 128], (20, 90)
SHOWN_QUALITIES = [20, 35, 50, 65, 75, 90]
SOUND_RATE = 8000
STEPS, BATCH, RATE, DECAY, SMOOTHING = 3000, 64, 2e-3, 0.02, 0.1
CARD = {
    "what": "One spoken English digit, 0 to 9, in a clip of about half a second.",
    "data": "Free Spoken Digit Dataset (CC BY-SA 4.0), 8 kHz: five speakers, takes 10-34 to train (1250 clips), takes "
    "5-9 to choose on (250 clips)",
    "licence": "CC-BY-SA-4.0",
    "recipe": "Log-magnitudes of the latent in order of frequency, three convolutions over frequency and time, three in "
    "time, mean and maximum over time. Clips are altered as samples (speed, loudness, place, noise), frequencies and "
    "times are masked, every clip is coded at a random quality and prefix; label smoothing, averaged weights.",
    "limits": [
        "The same five speakers in both parts: a new voice will do worse, by how much was not measured.",
        "One digit per clip. For a long recording, cut it first.",
        "Sound of another rate must be resampled to 8 kHz first.",
        "Quiet clips fall below the step, and what is rounded to zero cannot be recognised: most of what is lost at low "
        "quality is speaker s5, who was recorded about ten times quieter than the others. Raise the gain before coding.",
    ],
}


def mask(picture):
    """One random band of frequencies and one of times set to the mean, for every clip. Shape: [b, 2, C, t]."""
    for axis, most in ((2, 20), (3, 5)):
        size = picture.shape[axis]
        index = torch.arange(size)
        width = torch.randint(most + 1, (len(picture), 1))
        start = torch.randint(size, (len(picture), 1))
        kept = ((index < start) | (index >= start + width)).float()
        picture = picture * (kept[:, None, :, None] if axis == 2 else kept[:, None, None, :])
    return picture


def train(bundle, data, minutes, seed, work, steps=STEPS):
    """The trained head, its answers on the validation clips, their labels, and figures."""
    begin = time.monotonic()
    torch.manual_seed(seed)
    head = Digits(frequency_order(bundle))
    paths, val_paths = read_split(data, "digits-train"), read_split(data, "digits-val")
    labels, val_labels = (torch.tensor([int(Path(p).name[0]) for p in x]) for x in (paths, val_paths))
    clips = read_sounds(data, paths, SOUND_RATE)
    found = read_sounds(data, val_paths, SOUND_RATE)
    val = [bundle.project(clip[None, None] / 2) for clip in found]
    loud = [bundle.project(clip[None, None] / clip.abs().max() / 4) for clip in found]
    targets = F.one_hot(labels, len(LABELS)).float() * (1 - SMOOTHING) + SMOOTHING / len(LABELS)

    def loss_of_batch():
        i = torch.randint(len(clips), (BATCH,))
        length = 128 * int(torch.randint(24, 49, ()))
        y = bundle.project(alter([clips[k] for k in i], length) / 2)
        quality = torch.randint(QUALITIES[0], QUALITIES[1] + 1, (BATCH,))
        # The default is what most will run, so it is not left to chance.
        quality = torch.where(torch.rand(BATCH) < 0.3, 75, quality)
        prefix = torch.tensor([*PREFIXES, CHANNELS])[torch.randint(len(PREFIXES) + 1, (BATCH,))]
        logits = head.classify(mask(head.picture(bundle.head_input(y, quality, prefix))))
        return -(targets[i] * F.log_softmax(logits, 1)).sum(1).mean()

    def guesses(model, prefix, quality, of=val):
        ask = lambda y: model(bundle.head_input(y, torch.tensor([quality]), torch.tensor([prefix]))).argmax(1)
        return torch.cat([ask(y) for y in of])

    loop = Loop(head, steps, RATE, DECAY, Path(work) / "checkpoint.pt", (TASK, bundle.codec_id, seed))
    loop.load()
    accuracy = lambda m: (guesses(m, CHANNELS, 75) == val_labels).float().mean().item()
    finished = loop.run(loss_of_batch, accuracy, begin + 60 * minutes)
    head.load_state_dict(loop.average)
    head.eval()
    with torch.no_grad():
        answers = {(p, q): guesses(head, p, q) for p in PREFIXES for q in SHOWN_QUALITIES}
        raised = guesses(head, CHANNELS, 50, loud)
    minutes = round(loop.seconds / 60, 1)
    count = lambda guess: [int((guess == val_labels).sum()), len(val_labels)]
    speakers = [Path(p).name.split("_")[1] for p in val_paths]
    right = (answers[CHANNELS, 75] == val_labels).tolist()
    parts = {}
    for who in sorted(set(speakers)):
        own = [r for r, speaker in zip(right, speakers) if speaker == who]
        parts[f"speaker {who}"] = [sum(own), len(own)]
    parts["quality 50, as recorded"] = count(answers[CHANNELS, 50])
    parts["quality 50, every clip raised to a peak of 0.5"] = count(raised)
    facts = {
        "train": len(paths), "finished": finished, "steps": loop.step, "minutes": minutes, "parts": parts,
        "curve": loop.curve,
    }  # fmt: skip
    return head, answers, val_labels, facts


def example(bundle, data, count=6):
    """Head inputs at the default, for the check of the export; lengths differ. A list of [1, 128, t]."""
    clips = read_sounds(data, read_split(data, "digits-val")[:count], SOUND_RATE)
    clips = [clip[:n] for clip, n in zip(clips, (None, None, None, 1, 128, 300))]
    one = lambda v: torch.tensor([v])
    return [bundle.head_input(bundle.project(c[None, None] / 2), one(75), one(CHANNELS)) for c in clips]
