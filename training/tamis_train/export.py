"""A trained head as an ONNX file that says what it is."""

import json

import onnx
import onnxruntime
import torch


def write(head, module, bundle, inputs, allowed, path):
    """Writes `path` and checks it against torch on `inputs`, a list of [1, C, ...]. -> largest difference of a logit.

    `allowed`: prefixes and qualities, as `card.rungs` has them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {2: "h", 3: "w"} if bundle.kind == "image" else {2: "t"}
    torch.onnx.export(
        head, (inputs[0],), path, opset_version=17, dynamo=False, input_names=["latent"], output_names=["logits"],
        dynamic_axes={"latent": axes},
    )  # fmt: skip
    model = onnx.load(path)
    card = {
        "task": module.TASK,
        "codec": bundle.codec_id,
        "bundle": bundle.name,
        "channels": module.CHANNELS,
        "prefixes": ",".join(map(str, allowed["prefixes"])),
        "quality": ",".join(map(str, allowed["qualities"])),
        "grid": "any mean",
        "labels": json.dumps(module.LABELS),
        "licence": module.CARD["licence"],
        "data": module.CARD["data"],
    }
    if bundle.kind == "audio":
        card["rate"] = module.SOUND_RATE
    onnx.helper.set_model_props(model, {f"tamis.{key}": str(value) for key, value in card.items()})
    onnx.checker.check_model(model)
    onnx.save(model, path)

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    worst = 0.0
    with torch.no_grad():
        for x in inputs:
            found = torch.from_numpy(session.run(None, {"latent": x.numpy()})[0])
            worst = max(worst, (found - head(x)).abs().max().item())
    if not worst < 1e-3:
        raise ValueError(f"{path}: differs from torch by {worst}")
    return worst
