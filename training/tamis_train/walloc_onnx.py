"""WaLLoC's decoders as ONNX, node by node from the names of their state dicts.

Pictures: the `Decoder` of diffusers' autoencoder_kl with one block, latents to bands. Sound: its `OobleckDecoder`, then the
inverse packet transform with periodic ends and the filter behind it, latents to samples. Both read reals: tamis has undone
the companding (`ToNormal`) before.
"""

import math

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from .residual_onnx import OPSET, Graph

GROUPS, EPSILON = 32, 1e-6
REC_LO = [0, -0.06453888262869706, -0.04068941760916406, 0.41809227322161724, 0.7884856164055829,
          0.41809227322161724, -0.04068941760916406, -0.06453888262869706, 0, 0]  # fmt: skip
REC_HI = [0, -0.03782845550726404, -0.023849465019556843, 0.11062440441843718, 0.37740285561283066,
          -0.8526986790088938, 0.37740285561283066, 0.11062440441843718, -0.023849465019556843, -0.03782845550726404]  # fmt: skip


class Decoder(Graph):
    """A graph that takes its weights from a state dict."""

    def __init__(self, state):
        super().__init__()
        self.state, self.count = state, 0

    def weight(self, name, *shape):
        from .walloc import tensor

        return tensor(self.state, name, shape)

    def op(self, kind, *inputs, **attributes):
        """A node with a name of its own."""
        self.count += 1
        return self.node(kind, list(inputs), f"{kind.lower()}{self.count}", **attributes)

    def number(self, value):
        self.count += 1
        return self.constant(f"number{self.count}", value)

    def line(self, name, outputs, inputs, size, bias=True, dilation=1, pad=None):
        """A convolution along time, its weights normalised by length. -> weights [outputs, inputs, 1, size], attributes."""
        w = self.normalised(name, outputs, inputs, size)[:, :, None]
        b = [self.number(self.weight(f"{name}.bias", outputs))] if bias else []
        pad = (size - 1) * dilation // 2 if pad is None else pad
        how = {"kernel_shape": [1, size], "pads": [0, pad, 0, pad], "dilations": [1, dilation]}
        return lambda x: self.op("Conv", x, self.number(w), *b, **how)

    def normalised(self, name, first, second, size):
        """Weights as direction and length (weight normalisation, old or new spelling)."""
        old, new = f"{name}.weight_v", f"{name}.parametrizations.weight.original1"
        v = self.weight(old if old in self.state else new, first, second, size)
        g = self.weight(f"{name}.weight_g" if old in self.state else f"{name}.parametrizations.weight.original0", first, 1, 1)
        return g * v / v.double().flatten(1).norm(dim=1)[:, None, None].float()

    def snake(self, name, x, channels):
        """x + sin(a x)^2 / b, a and b as exponents."""
        shape = (1, channels, 1)
        alpha, beta = (torch.exp(self.weight(f"{name}.{part}", *shape))[..., None] for part in ("alpha", "beta"))
        sine = self.op("Sin", self.op("Mul", x, self.number(alpha)))
        return self.op("Add", x, self.op("Mul", self.op("Mul", sine, sine), self.number(1 / (beta + 1e-9))))

    def unit(self, name, x, width, dilation):
        y = self.line(f"{name}.conv1", width, width, 7, dilation=dilation)(self.snake(f"{name}.snake1", x, width))
        y = self.line(f"{name}.conv2", width, width, 1)(self.snake(f"{name}.snake2", y, width))
        return self.op("Add", x, y)

    def square(self, name, x, outputs, inputs, size):
        """A convolution of a picture."""
        w, b = self.weight(f"{name}.weight", outputs, inputs, size, size), self.weight(f"{name}.bias", outputs)
        return self.op("Conv", x, self.number(w), self.number(b), kernel_shape=[size] * 2, pads=[size // 2] * 4)

    def group_norm(self, name, x, width):
        rows = self.op("Reshape", x, self.number([1, GROUPS, -1]))
        mean = lambda x: self.op("ReduceMean", x, axes=[2], keepdims=1)
        off = self.op("Sub", rows, mean(rows))
        variance = self.op("Add", mean(self.op("Mul", off, off)), self.number(torch.tensor(EPSILON)))
        back = self.op("Reshape", self.op("Div", off, self.op("Sqrt", variance)), self.op("Shape", x))
        scale, shift = (self.weight(f"{name}.{part}", width)[:, None, None] for part in ("weight", "bias"))
        return self.op("Add", self.op("Mul", back, self.number(scale)), self.number(shift))

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def resnet(self, name, x, width):
        y = x
        for k in (1, 2):
            y = self.silu(self.group_norm(f"{name}.norm{k}", y, width))
            y = self.square(f"{name}.conv{k}", y, width, width, 3)
        return self.op("Add", x, y)

    def attention(self, name, x, width):
        """One head over all places."""
        y = self.group_norm(f"{name}.group_norm", x, width)
        place = {}
        for part in ("to_q", "to_k", "to_v"):
            w, b = self.weight(f"{name}.{part}.weight", width, width), self.weight(f"{name}.{part}.bias", width)
            if part == "to_q":
                w, b = w / math.sqrt(width), b / math.sqrt(width)
            z = self.op("Conv", y, self.number(w[..., None, None]), self.number(b), kernel_shape=[1, 1])
            place[part] = self.op("Reshape", z, self.number([1, width, -1]))
        turned = lambda x: self.op("Transpose", x, perm=[0, 2, 1])
        scores = self.op("Softmax", self.op("MatMul", turned(place["to_q"]), place["to_k"]), axis=2)
        z = self.op("MatMul", place["to_v"], turned(scores))
        z = self.op("Reshape", z, self.op("Shape", x))
        w, b = self.weight(f"{name}.to_out.0.weight", width, width), self.weight(f"{name}.to_out.0.bias", width)
        return self.op("Add", x, self.op("Conv", z, self.number(w[..., None, None]), self.number(b), kernel_shape=[1, 1]))

    def slice(self, x, start, end):
        return self.op("Slice", x, self.number([start]), self.number([end]), self.number([2]))

    def synthesis(self, x, inputs, levels):
        """Packets back to samples. Shape: [1, inputs * 2^levels, 1, n] -> [inputs, 1, n * 2^levels]."""
        # Of each pair of bands and 5 neighbours the even and the odd samples.
        w = [[[rec[last - 2 * j] for j in range(5)] for rec in (REC_LO, REC_HI)] for last in (8, 9)]
        w = self.number(torch.tensor(w))
        far = np.iinfo(np.int64).max
        for level in range(levels):
            x = self.op("Reshape", x, self.number([inputs << (levels - 1 - level), 2, -1]))
            # Two neighbours around the ends, one after the other, so that one cell is enough.
            x = self.op("Concat", self.slice(x, -1, far), x, self.slice(x, 0, 1), axis=2)
            x = self.op("Concat", self.slice(x, -3, -2), x, self.slice(x, 2, 3), axis=2)
            x = self.op("Transpose", self.op("Conv", x, w, kernel_shape=[5]), perm=[0, 2, 1])
        return self.op("Reshape", x, self.number([1, inputs, 1, -1]))

    def end(self, x, name):
        return self.node("Identity", [x], name)


def pictures(c, state):
    """Latents to bands."""
    if c.Nd % GROUPS:
        raise SystemExit(f"Nd is {c.Nd}; group normalisation needs a multiple of {GROUPS}")
    g = Decoder(state)
    x = g.square("decoder.1.conv_in", "latent", c.Nd, c.latent_dim, 3)
    x = g.resnet("decoder.1.mid_block.resnets.0", x, c.Nd)
    x = g.attention("decoder.1.mid_block.attentions.0", x, c.Nd)
    x = g.resnet("decoder.1.mid_block.resnets.1", x, c.Nd)
    for k in range(3):
        x = g.resnet(f"decoder.1.up_blocks.0.resnets.{k}", x, c.Nd)
    x = g.silu(g.group_norm("decoder.1.conv_norm_out", x, c.Nd))
    g.end(g.square("decoder.1.conv_out", x, c.inner, c.Nd, 3), "bands")
    return g, "bands", [1, c.inner, "h", "w"]


def sound(c, state):
    """Latents to samples."""
    g, latent = Decoder(state), c.latent_dim
    hidden = latent * (c.Nd // latent)
    x = g.line("decoder.1.conv1", hidden, latent, 7)("latent")
    for k, (inside, outside) in enumerate([(hidden, hidden), (hidden, latent)]):
        name = f"decoder.1.block.{k}"
        x = g.snake(f"{name}.snake1", x, inside)
        # Transposed, of 2 taps and padded by 1: each output is of its own input and the next.
        w = g.normalised(f"{name}.conv_t1", inside, outside, 2).flip(2).transpose(0, 1)[:, :, None]
        b = g.weight(f"{name}.conv_t1.bias", outside)
        x = g.op("Conv", x, g.number(w), g.number(b), kernel_shape=[1, 2])
        for unit, dilation in ((1, 1), (2, 3), (3, 9)):
            x = g.unit(f"{name}.res_unit{unit}", x, outside, dilation)
    x = g.snake("decoder.1.snake1", x, latent)
    x = g.line("decoder.1.conv2", c.inner, latent, 7, bias=False)(x)
    x = g.synthesis(x, c.channels, c.J)
    if c.post:
        size = 129
        w, b = g.weight("post.weight", c.channels, c.channels, size), g.weight("post.bias", c.channels)
        x = g.op("Conv", x, g.number(w[:, :, None]), g.number(b), kernel_shape=[1, size], pads=[0, size // 2] * 2)
    g.end(x, "samples")
    return g, "samples", [1, c.channels, 1, "n"]


def write(c, state, codec_id, path):
    """Writes the decoder and runs it once."""
    g, role, shape = (sound if c.sound else pictures)(c, state)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    latent = value("latent", [1, c.latent_dim, 1 if c.sound else "h", "w"])
    made = helper.make_graph(g.nodes, "walloc", [latent], [value(role, shape)], g.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="tamis")
    facts = {"role": role, "decoder": codec_id, "size": "default", "channels": c.latent_dim, "licence": "that of the checkpoint"}
    helper.set_model_props(model, {f"tamis.{key}": str(value) for key, value in facts.items()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"latent": np.ones((1, c.latent_dim, 1 if c.sound else 5, 7), np.float32)})[0]
    if not np.isfinite(found).all():
        raise SystemExit(f"{path}: gives values that are no finite numbers")
