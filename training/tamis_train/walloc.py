"""Published WaLLoC checkpoints as tamis bundles.

Source: Jacobellis & Yadwadkar 2024 and `walloc.py` of walloc 1.2.1: a `.pth` file with `model_state_dict`, and a JSON file
with the configuration. Nothing but tensors is loaded.
"""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import ids, walloc_onnx

KEYS = {"channels": int, "J": int, "Nd": int, "latent_dim": int, "latent_bits": int, "lightweight_encode": bool}
OPTIONAL = {"Ne": (int, type(None)), "post_filter": bool}
LARGEST = {"channels": 64, "J": 9, "Nd": 8192, "latent_dim": 4096, "latent_bits": 8}
ANCHORS, ALPHABET, SUM = 25, 29, 1 << 15  # `src/codec/tables.rs`, `tokens.rs`
BANDS, REFERENCES, TAPS, FEATURES, PHASES, LEVELS = 4, 2, 6, 15, 3, 48  # `src/codec/contexts.rs`


@dataclass
class Config:
    """What the JSON file says. `sound`: one dimension instead of two."""

    channels: int
    J: int
    Nd: int
    latent_dim: int
    latent_bits: int
    sound: bool
    post: bool

    @property
    def inner(self):
        """Bands of all inputs."""
        return self.channels * (2 if self.sound else 4) ** self.J


def config(path, state):
    """Reads the JSON file; the weights tell pictures from sound."""
    try:
        told = json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise SystemExit(f"{path}: no configuration of WaLLoC ({error})") from None
    if not isinstance(told, dict):
        raise SystemExit(f"{path}: no configuration of WaLLoC: not an object")
    for key, kind in KEYS.items():
        if type(told.get(key)) is not kind:
            raise SystemExit(f"{path}: {key} is {told.get(key)!r}; needed is {kind.__name__}")
        if key in LARGEST and not 1 <= told[key] <= LARGEST[key]:
            raise SystemExit(f"{path}: {key} is {told[key]}; needed is 1 to {LARGEST[key]}")
    for key, kind in OPTIONAL.items():
        if key in told and not isinstance(told[key], kind):
            raise SystemExit(f"{path}: {key} is {told[key]!r}, which is not understood")
    if unknown := set(told) - set(KEYS) - set(OPTIONAL):
        raise SystemExit(f"{path}: unknown keys {sorted(unknown)}; is it a configuration of walloc 1.2.1?")
    if not told["lightweight_encode"]:
        raise SystemExit(f"{path}: lightweight_encode is false: tamis' encoders are one linear layer, and this one is not")
    if told["latent_bits"] < 2:
        raise SystemExit(f"{path}: latent_bits is {told['latent_bits']}; needed is 2 to 8")
    weight = tensor(state, "encoder.0.weight")
    if weight.dim() not in (3, 4):
        raise SystemExit(f"encoder.0.weight has {weight.dim()} axes; needed are 3 (sound) or 4 (pictures)")
    numbers = {key: told[key] for key in ("channels", "J", "Nd", "latent_dim", "latent_bits")}
    return Config(**numbers, sound=weight.dim() == 3, post=bool(told.get("post_filter")))


def tensor(state, name, shape=None):
    """A tensor of a state dict, as floats."""
    value = state.get(name)
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_complex():
        raise SystemExit(f"the checkpoint has no plain tensor {name}; is it a codec of walloc 1.2.1?")
    if shape and tuple(value.shape) != tuple(shape):
        raise SystemExit(f"{name} has shape {list(value.shape)}; the configuration asks for {list(shape)}")
    if not value.float().isfinite().all():
        raise SystemExit(f"{name} holds values that are no finite numbers")
    return value.float()


def checkpoint(path):
    """The state dict of a checkpoint, of which only tensors and plain containers are read."""
    try:
        told = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, pickle.UnpicklingError) as error:
        raise SystemExit(f"{path}: cannot be loaded as tensors alone, and nothing else is: {error}") from None
    state = told.get("model_state_dict", told) if isinstance(told, dict) else None
    if not isinstance(state, dict):
        raise SystemExit(f"{path}: holds no model_state_dict")
    return state


def generic_coders(channels, sound):
    """Entropy coders for values of which nothing is known: one table for all (`Tables::generic` of tamis)."""
    table = [6000 // (t + 1) for t in range(ALPHABET)]
    table[0] += SUM - sum(table)
    table = torch.tensor(table, dtype=torch.int32).to(torch.uint16)[None]
    own = torch.arange(channels, dtype=torch.int32)[:, None].expand(-1, REFERENCES).contiguous().to(torch.uint16)
    zeros = lambda kind, *shape: torch.zeros(*shape, dtype=kind)
    made = {
        "tables": table, "select": zeros(torch.uint8, ANCHORS, channels), "contexts.references": own,
        "contexts.taps": zeros(torch.int16, BANDS, channels, TAPS), "contexts.tables": table.clone(),
    }  # fmt: skip
    for name in ("alone",) if sound else ("alone", "continued"):
        made[f"contexts.{name}.weights"] = zeros(torch.int16, BANDS, channels, FEATURES)
        made[f"contexts.{name}.select"] = zeros(torch.uint8, BANDS, channels, PHASES * LEVELS)
    return made


def groups(channels):
    """Ends of groups that double, the last all channels: 12 are 3, 6, 12."""
    ends = [channels]
    while ends[0] > 5 and len(ends) < 6:
        ends.insert(0, ends[0] // 2)
    return ends


def tensors(c, state):
    """The tensors of the bundle."""
    shape = (c.latent_dim, c.inner) + (1,) * (1 if c.sound else 2)
    analysis = tensor(state, "encoder.0.weight", shape).flatten(1).contiguous()
    bias = tensor(state, "encoder.0.bias", (c.latent_dim,))
    # The preview: the latent's own inverse of least norm, since what the checkpoint has is not linear.
    synthesis = torch.linalg.pinv(analysis.double()).float().contiguous()
    offset = (-(synthesis.double() @ bias.double())).float()
    ones = torch.ones(c.latent_dim)
    made = {"analysis": analysis, "bias": bias, "synthesis": synthesis, "offset": offset, "steps": ones.clone(), "deviation": ones}
    return made | generic_coders(c.latent_dim, c.sound)


def card(c, name, rate, command):
    """`codec.toml` as text, and as a dict without the names that are made from it."""
    kind = "audio" if c.sound else "image"
    facts = {
        "format": 2, "kind": kind, "arithmetic": "float", "inputs": c.channels, "levels": c.J, "ends": "periodic",
        "channels": c.latent_dim, "groups": groups(c.latent_dim), "padding": int(c.sound), "rate": rate if c.sound else 0,
    }  # fmt: skip
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in facts.items())
    words = {
        "name": name, "description": f"WaLLoC checkpoint, {c.channels} inputs, {c.latent_dim} channels",
        "data": "see the checkpoint's own page", "licence": "that of the checkpoint", "command": command,
    }  # fmt: skip
    more = f'\n[quantizer]\nkind = "companding"\nbits = {c.latent_bits}\n\n[card]\n'
    more += "".join(f"{key} = {json.dumps(value)}\n" for key, value in words.items())
    return facts | {"quantizer": {"kind": "companding", "bits": c.latent_bits}}, text, more


def arguments(verbs):
    """Adds the verb to a parser."""
    verb = verbs.add_parser("import-walloc", help="make a bundle of a published WaLLoC checkpoint")
    verb.add_argument("checkpoint", type=Path, help="RGB_16x.pth, RGB_4x.pth, stereo_5x.pth, stereo_20x.pth")
    verb.add_argument("config", type=Path, help="its JSON file")
    verb.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    verb.add_argument("--rate", type=int, default=44100, help="nominal sample rate of a sound codec (44100)")


def run(args):
    """Writes the bundle and its decoder."""
    state = checkpoint(args.checkpoint)
    c = config(args.config, state)
    weights = tensors(c, state)
    args.out.mkdir(parents=True, exist_ok=True)
    command = f"python -m tamis_train import-walloc {args.checkpoint.name} {args.config.name}"
    facts, text, more = card(c, args.out.name, args.rate, command)
    name = ids.codec_id(facts, weights)
    walloc_onnx.write(c, state, name, args.out / "decoder.onnx")
    save_file(weights, args.out / "weights.safetensors")
    text += f'codec_id = "{name}"\ntables_id = "{ids.tables_id(weights)}"\n'
    (args.out / "codec.toml").write_text(text + more)
    print(f"{args.out}: codec {name}, decoder of {(args.out / 'decoder.onnx').stat().st_size / 1e6:.1f} MB")
    print(f"entropy tables are generic: `tamis order {args.out} --by natural --refit YOUR_FILES -o OUT` makes good ones")
