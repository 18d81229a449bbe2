"""Recipe of the `esc10` head: sounds of the surroundings."""

from functools import partial
from pathlib import Path

from . import sound_train
from .sound_train import CHANNELS, PREFIXES, QUALITIES, SHOWN_QUALITIES, VIEWS, Settings  # noqa: F401

TASK, KIND, SOUND_RATE, STEPS = "esc10", "audio", 44100, 3000
LABELS = [
    "baby_cry", "chainsaw", "clock_tick", "dog_bark", "fire_crackling",
    "helicopter", "person_sneeze", "rain", "rooster", "sea_waves",
]  # fmt: skip
SETTINGS = Settings(
    task=TASK, labels=LABELS, label_of=lambda path: LABELS.index(Path(path).parent.name), rate=SOUND_RATE,
    # Short ones too, since tamis shows a head a packet at once; and whole clips, since a sound may be one bark in five seconds.
    versions=6, frames=(256, 512, 1024, 1728), circular=True,
    batch=24, gains=(-12, 12), levels=None, mixed=0.5, masks=(20, 20), mel=(512, 1024, 1024),
    # A step is 3 ms here, too short to tell anything: the views are 23 and 93 ms long, one every 23 ms.
    head=dict(windows=(8, 32), hop=8, strides=[(2, 2), (2, 2), (2, 1)], widths=(16, 24, 32, 96), drop=0.2),
)  # fmt: skip
CARD = {
    "what": "Ten sounds of the surroundings: baby's cry, chainsaw, clock, dog, fire, helicopter, sneeze, rain, rooster, sea.",
    "data": "ESC-10 (CC0 or CC BY 3.0, clip by clip), 44.1 kHz: folds 1 to 3 to train (238 clips of 5 s), fold 4 to choose "
    "on (80 clips); no source recording is in both",
    "licence": "CC-BY-3.0",
    "recipe": "Logarithms of the latent's mean power over 8 and 32 steps in order of frequency, three convolutions over frequency "
    "and time, three in time, mean and maximum over time. Clips are altered (speed and beginning as samples; loudness, "
    "noise and the mixing of two as latents before rounding), frequencies and times are masked, every clip is coded at a "
    "random quality and prefix; label smoothing, averaged weights.",
    "limits": [
        "80 clips tell an accuracy to about nine points either way.",
        "One kind of sound per clip; a sound that is none of the ten still gets one of their names.",
        "Sound of another rate must be resampled to 44.1 kHz first.",
        "tamis asks a head once a packet, every 0.37 s of such sound, and one packet tells less than a clip (table above): take "
        "the mean of the scores of several.",
        "Trained on 0.7 to 5 seconds at once. Other lengths run, since everything is pooled over time.",
    ],
}

train = partial(sound_train.train, SETTINGS)
example = partial(sound_train.example, SETTINGS, lengths=(None, None, None, 1, 128, 3000, 99999))
