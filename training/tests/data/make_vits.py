"""Writes tests/data/vits/*.onnx: small transformers with random weights, as others define and export them.

    python3 -m venv vits && vits/bin/pip install torch==2.15.0 timm transformers onnx onnxscript
    vits/bin/python training/tests/data/make_vits.py

timm's and transformers' definitions, torch's own encoder layer; the old exporter and the new one, opset 14 to 20. Only
the structure is theirs. `odd` ones differ from a transformer: a clamp far out in one block, a mask.
"""

import warnings
from pathlib import Path

import onnx
import torch
import torch.nn as nn
from timm.layers import set_fused_attn
from timm.models.vision_transformer import VisionTransformer
from transformers import ASTConfig, ASTForAudioClassification, ViTConfig, ViTForImageClassification

OUT = Path(__file__).parents[3] / "tests" / "data" / "vits"
WIDTH, HEADS, DEPTH, HIDDEN = 12, 3, 2, 20


def fill(model):
    """Weights that make attention uneven, and norms that are not plain."""
    torch.manual_seed(1)
    for p in model.parameters():
        if p.ndim >= 2:
            nn.init.normal_(p, std=p[0].numel() ** -0.5)
        else:
            p.data += 0.2 * torch.randn_like(p)
    return model.eval()


def write(name, model, x, opset, new=False, **more):
    path = OUT / f"{name}.onnx"
    with torch.no_grad():
        torch.onnx.export(fill(model), (x,), path, opset_version=opset, dynamo=new, input_names=["x"], **more)
    made = onnx.load(path)
    for node in made.graph.node:
        # The new exporter keeps a stack of source lines for each.
        node.ClearField("doc_string")
        del node.metadata_props[:]
    del made.graph.value_info[:]
    onnx.save_model(made, path, save_as_external_data=False)
    path.with_suffix(".onnx.data").unlink(missing_ok=True)
    print(path.name, path.stat().st_size)


class Logits(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).logits


class Odd(nn.Module):
    """Clamps what lies between the layers of its second block, far out."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        act = model.blocks[1].mlp.act
        model.blocks[1].mlp.act = nn.Sequential(act, nn.Hardtanh(-50, 50))

    def forward(self, x):
        return self.model(x)


class Causal(nn.Module):
    """No token looks ahead."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.register_buffer("mask", torch.full((11, 11), -1e9).triu(1))

    def forward(self, x):
        return self.model(x, mask=self.mask)


def vit(**more):
    return VisionTransformer(
        img_size=24, patch_size=8, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, mlp_ratio=HIDDEN / WIDTH, num_classes=7, **more
    )


def main():
    warnings.filterwarnings("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    x = torch.randn(1, 3, 24, 24)
    set_fused_attn(False)
    write("timm-14", vit(), x, 14)
    write("timm-17", vit(), x, 17)
    write("timm-mean-batch-18", vit(class_token=False, global_pool="avg"), x, 18, dynamic_axes={"x": {0: "n"}})
    write("timm-scale-registers-17", vit(init_values=0.5, reg_tokens=2), x, 17)
    write("timm-new-18", vit(), x, 18, new=True)
    write("timm-open-17", vit().blocks, torch.randn(1, 11, WIDTH), 17, dynamic_axes={"x": {1: "n"}})
    write("odd-clip-17", Odd(vit()), x, 17)
    set_fused_attn(True)
    write("timm-fused-17", vit(), x, 17)
    write("timm-fused-new-20", vit(), x, 20, new=True)
    sizes = dict(hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=HIDDEN, num_labels=7)
    config = ViTConfig(image_size=24, patch_size=8, **sizes)
    for way in ("eager", "sdpa"):
        config._attn_implementation = way
        write(f"transformers-vit-{way}-17", Logits(ViTForImageClassification(config)), x, 17)
    write("transformers-vit-sdpa-new-18", Logits(ViTForImageClassification(config)), x, 18, new=True)
    config = ASTConfig(max_length=48, num_mel_bins=32, **sizes)
    config._attn_implementation = "eager"
    write("transformers-ast-17", Logits(ASTForAudioClassification(config)), torch.randn(1, 48, 32), 17)
    for pre in (False, True):
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, activation="relu" if pre else "gelu", batch_first=True, norm_first=pre)
        encoder = nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False)
        write(f"torch-{'pre' if pre else 'post'}-17", encoder, torch.randn(1, 11, WIDTH), 17)
        if pre:
            write("odd-causal-17", Causal(encoder), torch.randn(1, 11, WIDTH), 17)


if __name__ == "__main__":
    main()
