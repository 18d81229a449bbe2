"""A plain vision transformer: patches, a class token, pre-norm blocks; and what only training needs."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    """Source: Dosovitskiy et al. 2021, equations 2 and 3. Shape: [b, n, width] -> the same."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, n, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, width)
        x = x + self.out(attended)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    """Shape: [b, inputs, h, w] -> [b, labels]. `grid` counts patches."""

    def __init__(self, inputs, patch, grid, labels, width=192, depth=6, heads=3):
        super().__init__()
        self.grid = grid
        self.embed = nn.Conv2d(inputs, width, patch, patch)
        self.first = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + grid[0] * grid[1], width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, 1e-6)
        self.answer = nn.Linear(width, labels)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def tokens(self, x, kept=None, places=None):
        """Tokens behind the last norm, the class first. -> [b, 1 + k, width].

        `kept`, int64 [b, k]: of the patches only these. `places`, int64 [b, n]: `x` is a part of a picture, whose patches
        stand at these places of the whole grid.
        """
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = x + (self.positions[:, 1:] if places is None else self.positions[0, 1:][places])
        if kept is not None:
            x = x.gather(1, kept[:, :, None].expand(-1, -1, x.shape[2]))
        x = torch.cat([(self.first + self.positions[:, :1]).expand(len(x), -1, -1).to(x.dtype), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, x):
        return self.answer(self.tokens(x)[:, 0])

    def begin_with(self, other, grid):
        """Takes over weights that were trained on another grid or for other labels: positions are blown up, answers
        start anew."""
        state = {k: v for k, v in other.items() if not k.startswith("answer.")}
        patches = state["positions"][:, 1:].transpose(1, 2).unflatten(2, grid)
        patches = F.interpolate(patches, size=self.grid, mode="bicubic", align_corners=False).flatten(2)
        state["positions"] = torch.cat([state["positions"][:, :1], patches.transpose(1, 2)], 1)
        self.load_state_dict(state, strict=False)


def energy(latent):
    """A latent and how strong it is: what a texture is made of is how strong channels are, not their signs.

    Shape: [b, channels, h, w] -> [b, 2 channels, h, w].
    """
    return torch.cat([latent, 0.5 * torch.log1p(8 * latent.abs())], 1)


class OfEnergy(nn.Module):
    """A transformer of latents that sees their energy. Shape: [b, channels, h, w] -> [b, labels]."""

    def __init__(self, vit):
        super().__init__()
        self.vit = vit

    def forward(self, x):
        return self.vit(energy(x))


class Masked(nn.Module):
    """Pretraining: the inputs of masked patches from the visible ones.

    Source: He et al. 2022 (arXiv 2111.06377); patterns of smooth noise after ColorMAE (arXiv 2407.13036).
    """

    def __init__(self, vit, inputs, patch, depth=2):
        super().__init__()
        self.vit, self.patch = vit, patch
        width, heads = vit.norm.normalized_shape[0], vit.blocks[0].heads
        self.missing = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + vit.grid[0] * vit.grid[1], width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.guess = nn.LayerNorm(width, 1e-6), nn.Linear(width, inputs * patch * patch)

    def loss(self, x, order, visible):
        """`order`: patches of each picture, the visible ones first, int64 [b, n]."""
        shown = self.vit.tokens(x, order[:, :visible])
        b, n = order.shape
        width = shown.shape[2]
        every = torch.cat([shown[:, 1:], self.missing.expand(b, n - visible, -1).to(shown.dtype)], 1)
        every = torch.zeros_like(every).scatter(1, order[:, :, None].expand(-1, -1, width), every)
        y = torch.cat([shown[:, :1], every], 1) + self.positions
        for block in self.blocks:
            y = block(y)
        y = self.guess(self.norm(y[:, 1:]))
        target = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
        target = (target - target.mean(2, keepdim=True)) / (target.std(2, keepdim=True) + 1e-3)
        hidden = order[:, visible:, None]
        y, target = (v.gather(1, hidden.expand(-1, -1, v.shape[2])) for v in (y, target))
        return F.mse_loss(y.float(), target.float())


def patterns(b, grid, device):
    """Orders of patches by band-passed noise, so that what is visible lies in clusters. -> int64 [b, n]."""
    x = torch.randn(b, 1, *grid, device=device)
    x = F.avg_pool2d(x, 3, 1, 1) - 0.7 * F.avg_pool2d(x, 7, 1, 3)
    return x.flatten(1).argsort(1)
