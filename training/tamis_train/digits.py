"""Recipe of the `digits` head: spoken digits."""

from functools import partial
from pathlib import Path

from . import sound_train
from .sound_train import CHANNELS, PREFIXES, QUALITIES, SHOWN_QUALITIES, VIEWS, Settings  # noqa: F401

TASK, KIND, SOUND_RATE, STEPS = "digits", "audio", 8000, 8000
LABELS = [str(digit) for digit in range(10)]
SETTINGS = Settings(
    task=TASK, labels=LABELS, label_of=lambda path: int(Path(path).name[0]), rate=SOUND_RATE,
    versions=8, frames=(32, 40, 48), circular=False,
    # Speakers are recorded at very different levels: every word is heard at all of them.
    batch=32, gains=(-6, 10), levels=(-50, -15), mixed=0.0, masks=(20, 5), mel=(128, 256, 512),
    parts_of=lambda path: f"speaker {Path(path).name.split('_')[1]}",
    # Frequency is halved three times, time once: what a digit is lies in how formants move.
    head=dict(windows=(1, 3), hop=1, strides=[(2, 1), (2, 2), (2, 1)], widths=(16, 24, 32, 96), drop=0.2),
)  # fmt: skip
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

train = partial(sound_train.train, SETTINGS)
example = partial(sound_train.example, SETTINGS, lengths=(None, None, None, 1, 128, 300))
