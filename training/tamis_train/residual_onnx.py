"""A neural decoder as an ONNX file that says what it is.

The graph is written node by node: it is small, the constant factors go into the last weights, and no exporter's version
matters. All operators are plain, and height and width are open.
"""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
SIZES = [(1, 1), (5, 9), (24, 17)]  # of grids on which the file is compared with torch


class Graph:
    """Nodes in order, each named after its output."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, tensor):
        value = tensor.detach().float().cpu().numpy() if isinstance(tensor, torch.Tensor) else np.asarray(tensor, np.int64)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def conv(self, x, layer, name, weight=None, bias=None):
        w = self.constant(f"{name}.weight", layer.weight if weight is None else weight)
        b = self.constant(f"{name}.bias", layer.bias if bias is None else bias)
        pads = [layer.padding[0]] * 4
        return self.node("Conv", [x, w, b], name, group=layer.groups, kernel_shape=list(layer.kernel_size), pads=pads)

    def asinh(self, x):
        """sign(x) log(|x| + sqrt(x x + 1)): engines have no fast Asinh."""
        size = self.node("Abs", [x], "size")
        square = self.node("Add", [self.node("Mul", [x, x], "square"), self.constant("one", torch.ones(1))], "square1")
        log = self.node("Log", [self.node("Add", [size, self.node("Sqrt", [square], "root")], "sum")], "log")
        return self.node("Mul", [self.node("Sign", [x], "sign"), log], "even")

    def vector(self, x, layer, name, bias=None):
        """A linear layer of the condition, as what broadcasts over a grid."""
        w = self.constant(f"{name}.weight", layer.weight)
        b = self.constant(f"{name}.bias", layer.bias if bias is None else bias)
        flat = self.node("Gemm", [x, w, b], f"{name}.flat", transB=1)
        return self.node("Reshape", [flat, self.constant(f"{name}.shape", [1, -1, 1, 1])], name)


def graph(net):
    """The ONNX model of a `Residual`."""
    g, channels, bands = Graph(), net.first.in_channels, net.last.out_channels
    w, b = g.constant("condition.weight", net.condition.weight), g.constant("condition.bias", net.condition.bias)
    seen = g.node("Relu", [g.node("Gemm", ["condition", w, b], "condition.flat", transB=1)], "seen")
    x = g.node("Mul", ["latent", g.constant("gain", net.gain[None, :, None, None])], "gained")
    x = g.conv(g.asinh(x), net.first, "first")
    x = g.node("Add", [x, g.vector(seen, net.shift, "shift")], "start")
    for k, block in enumerate(net.blocks):
        y = g.conv(g.conv(x, block.depth, f"depth{k}"), block.wide, f"wide{k}")
        y = g.conv(g.node("Relu", [y], f"bent{k}"), block.back, f"back{k}")
        y = g.node("Mul", [y, g.vector(seen, block.gamma, f"gamma{k}", block.gamma.bias + 1)], f"scaled{k}")
        x = g.node("Add", [x, y], f"block{k}")
    scale = net.scale[:, None, None, None]
    g.conv(g.node("Relu", [x], "end"), net.last, "residual", net.last.weight * scale, net.last.bias * net.scale)
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    inputs = [value("latent", 1, channels, "h", "w"), value("condition", 1, 2)]
    made = helper.make_graph(g.nodes, "residual", inputs, [value("residual", 1, bands, "h", "w")], g.constants)
    # The oldest version of the format that has these operators, so that old readers take it.
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="tamis")


@torch.no_grad()
def write(net, path, card):
    """Writes `path` and compares it with torch. card: metadata. -> largest difference, over the largest value."""
    model = graph(net)
    helper.set_model_props(model, {f"tamis.{key}": str(value) for key, value in card.items()})
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    worst, generator = 0.0, torch.Generator().manual_seed(0)
    for h, w in SIZES:
        latent = 2 * torch.randn(1, net.first.in_channels, h, w, generator=generator)
        condition = torch.rand(1, 2, generator=generator)
        wanted = net(latent, condition)
        found = torch.from_numpy(session.run(None, {"latent": latent.numpy(), "condition": condition.numpy()})[0])
        worst = max(worst, float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-3)))
    if not worst < 1e-4:
        raise ValueError(f"{path}: differs from torch by {worst}")
    return worst
