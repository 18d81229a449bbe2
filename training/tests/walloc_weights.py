"""Random WaLLoC checkpoints, the same wherever they are drawn: every tensor from its own name."""

import zlib

import numpy as np
import torch

PICTURE = {"channels": 3, "J": 3, "Ne": None, "Nd": 32, "latent_bits": 8, "lightweight_encode": True}
SOUND = {"channels": 2, "J": 8, "Ne": None, "latent_bits": 8, "lightweight_encode": True, "post_filter": True}
CONFIGS = {
    "RGB_16x": PICTURE | {"latent_dim": 12}, "RGB_4x": PICTURE | {"latent_dim": 48},
    "stereo_20x": SOUND | {"latent_dim": 27, "Nd": 27}, "stereo_5x": SOUND | {"latent_dim": 108, "Nd": 108},
}  # fmt: skip


def random(name, shape):
    """Normal values; this generator of numpy's never changes."""
    state = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy(state.standard_normal(shape).astype(np.float32))


def drawn(shapes):
    """A state dict whose layers keep the size of what goes through them."""
    state = {}
    for name, shape in shapes.items():
        x = random(name, shape)
        if name == "encoder.0.weight":
            x = x * 70 / shape[1] ** 0.5
        elif "norm" in name and name.endswith("weight") or name.endswith("weight_g"):
            x = 1 + 0.1 * x
        elif name.endswith(("bias", "alpha", "beta")):
            x = 0.1 * x
        elif not name.endswith("weight_v"):
            x = x / np.prod(shape[1:]) ** 0.5
        if name in ("decoder.1.conv_out.weight", "decoder.1.conv2.weight_g"):
            x = x * (0.2 if "conv_out" in name else 0.003)  # most samples within full scale
        state[name] = x
    return state


def signal(told):
    """A picture of 48 x 56, or a sound of 3072 samples, -0.5 to 0.5, in 8 or 16 bits."""
    sound = "post_filter" in told
    shape, levels = ((1, 2, 3072), 65536) if sound else ((1, 3, 48, 56), 255)
    x = torch.sigmoid(random(f"signal {shape}", shape))
    return torch.round((x - 0.5) * levels) / levels if sound else torch.round(x * levels) / levels - 0.5
