"""Makes tests/data/walloc.safetensors with the reference package: what random models of the four published configurations, with
narrow decoders, make of a picture and a sound. Weights are drawn from the names, so that the test draws the same. Also imports
two of them as bundles, for the tests of tamis itself.

pip install walloc==1.2.1 torch diffusers einops PyWavelets pytorch-wavelets torchvision 'setuptools<81'
python training/tests/data/make_walloc.py
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from walloc.walloc import Codec1D, Codec2D

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "tests" / "data"
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
from walloc_weights import CONFIGS, PICTURE, SOUND, drawn, signal  # noqa: E402

from tamis_train.__main__ import main as kit  # noqa: E402


def model(told):
    """The reference's codec of a configuration."""
    told = dict(told)
    return (Codec1D if "post_filter" in told else Codec2D)(**told).eval()


@torch.no_grad()
def main():
    tensors, shapes = {}, {}
    for name, told in CONFIGS.items():
        codec = model(told)
        shapes[name] = {k: list(v.shape) for k, v in codec.state_dict().items() if not k.startswith(("wt.", "iwt."))}
        codec.load_state_dict(drawn(shapes[name]), strict=False)
        x = signal(told)
        latent = codec.encoder(codec.wavelet_analysis(x, J=codec.J))
        made = codec.decoder(latent)
        if "post_filter" in told:
            made = codec.post(codec.wavelet_synthesis(made, J=codec.J))
        reals = codec.encoder[0](codec.wavelet_analysis(x, J=codec.J))
        tensors |= {f"{name}.latent": latent.to(torch.int8), f"{name}.made": made, f"{name}.companded": codec.encoder[1](reals).half()}
        print(name, "latents", latent.std().item(), latent.abs().max().item(), "made", made.std().item())
    tensors["picture"] = torch.round((signal(PICTURE)[0] + 0.5) * 255).to(torch.uint8).permute(1, 2, 0)
    tensors["sound"] = torch.round(signal(SOUND)[0] * 65536).to(torch.int16).T
    save_file({k: v.contiguous() for k, v in tensors.items()}, DATA / "walloc.safetensors", {"shapes": json.dumps(shapes)})
    with tempfile.TemporaryDirectory() as folder:
        for name in ("RGB_16x", "stereo_20x"):
            files = [str(Path(folder) / f"{name}.{end}") for end in ("pth", "json")]
            torch.save({"model_state_dict": drawn(shapes[name])}, files[0])
            Path(files[1]).write_text(json.dumps(CONFIGS[name]))
            kit(["import-walloc", *files, "--out", str(DATA / "walloc" / name)])


if __name__ == "__main__":
    main()
