"""Figures of a head, and the card and the curve made from them, so that no number is written twice."""

import json
import math
from pathlib import Path

import torch

from .bundle import DEFAULT_QUALITY


def interval(right, n, z=1.96):
    """Wilson's 95 % interval of a share."""
    p = right / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


LOST = 0.03  # of all answers, which a rung that a head allows may cost against the default


def rungs(right, n, channels):
    """Prefixes, at the default quality, and the lowest and highest quality, with all channels, between which no more than
    `LOST` goes. right: {(prefix, quality): count}, of `n`."""
    least = right[channels, DEFAULT_QUALITY] - LOST * n
    low = high = DEFAULT_QUALITY
    qualities = sorted(q for p, q in right if p == channels)
    for q in (q for q in qualities if q > high):
        if right[channels, q] < least:
            break
        high = q
    for q in (q for q in reversed(qualities) if q < low):
        if right[channels, q] < least:
            break
        low = q
    prefixes = sorted(p for p, q in right if q == DEFAULT_QUALITY and right[p, q] >= least)
    return {"prefixes": prefixes, "qualities": [low, high]}


def figures(module, bundle, guesses, labels, facts):
    """What is measured, as plain numbers. guesses: {(prefix, quality): [n] classes}; labels [n]."""
    n = len(labels)
    right = {key: int((value == labels).sum()) for key, value in guesses.items()}
    default = guesses[module.CHANNELS, DEFAULT_QUALITY]
    table = torch.zeros(len(module.LABELS), len(module.LABELS), dtype=torch.int64)
    table.index_put_((labels, default), torch.tensor(1), accumulate=True)
    return {
        "task": module.TASK, "bundle": bundle.name, "codec": bundle.codec_id, "n": n,
        "channels": module.CHANNELS, "quality": DEFAULT_QUALITY, "labels": module.LABELS,
        "allowed": rungs(right, n, module.CHANNELS),
        "right": [{"prefix": p, "quality": q, "right": r} for (p, q), r in right.items()],
        "confusion": table.tolist(), **facts,
    }  # fmt: skip


def write(module, out):
    """Writes `README.md` and `curve.svg` beside `figures.json`."""
    out = Path(out)
    facts = json.loads((out / "figures.json").read_text())
    (out / "README.md").write_text(readme(module, facts))
    (out / "curve.svg").write_text(curve(facts))


def readme(module, facts):
    """The card. Shape: facts as `figures` and the command gave them."""
    n, labels = facts["n"], facts["labels"]
    right = {(r["prefix"], r["quality"]): r["right"] for r in facts["right"]}
    prefixes, qualities = sorted({p for p, _ in right}), sorted({q for _, q in right})
    at = right[facts["channels"], facts["quality"]]
    low, high = interval(at, n)
    cells = [" | ".join(str(v or "") for v in row) for row in facts["confusion"]]
    found = [f"| **{name}** | {row} |" for name, row in zip(labels, cells)]
    parts = ["| part | right |", "|---|---|", *(f"| {k} | {r} of {m} |" for k, (r, m) in facts.get("parts", {}).items()), ""]
    if len(parts) == 3:
        parts = []
    allowed = facts["allowed"]
    calls = " in several calls, beside other work" if facts["minutes"] > facts["limit_minutes"] + 0.5 else ""
    lines = [
        f"# Head `{facts['task']}`",
        "",
        module.CARD["what"],
        "",
        f"**{100 * at / n:.1f} %** right ({at} of {n}; 95 % interval {100 * low:.1f} to {100 * high:.1f}) with all "
        f"{facts['channels']} channels at quality {facts['quality']}. Chance is {100 / len(labels):.0f} %.",
        "",
        "The recipe was chosen on these same validation files and there is no third part, so expect somewhat less on "
        "new ones.",
        "",
        f"Reads latents of bundle `{facts['bundle']}`, codec `{facts['codec']}`; trained on quality "
        f"{module.QUALITIES[0]} to {module.QUALITIES[1]} and prefixes {', '.join(map(str, module.PREFIXES))}.",
        f"Its metadata keeps senders to quality {allowed['qualities'][0]} to {allowed['qualities'][1]} and prefixes "
        f"{', '.join(map(str, allowed['prefixes']))}: no more than {100 * LOST:.0f} points are lost there.",
        "",
        "## Accuracy, % right, by channels and quality",
        "",
        "| channels | " + " | ".join(f"q {q}" for q in qualities) + " |",
        "|---|" + "---|" * len(qualities),
        *(f"| {p} | " + " | ".join(f"{100 * right[p, q] / n:.1f}" for q in qualities) + " |" for p in prefixes),
        "",
        f"n = {n} in every cell; one file is {100 / n:.1f} %, and an interval is about {100 * (high - low) / 2:.0f} to "
        f"{100 * (interval(n // 2, n)[1] - interval(n // 2, n)[0]) / 2:.0f} % to each side.",
        "",
        "## By class, all channels, default quality",
        "",
        "Rows are what it is, columns what the head says.",
        "",
        "| | " + " | ".join(labels) + " |",
        "|---|" + "---|" * len(labels),
        *found,
        "",
        *parts,
        "## How it was made",
        "",
        module.CARD["recipe"],
        "",
        f"* Data: {module.CARD['data']}.",
        f"* Command: `{facts['command']}`",
        f"* {facts['steps']} steps{'' if facts['finished'] else ' (stopped by the clock)'}"
        + (f" on {facts['versions']} versions of each picture" if "versions" in facts else "")
        + f", {facts['minutes']:.1f} minutes{calls}, on {facts.get('place', '2 shared CPU cores')}, seed {facts['seed']}.",
        f"* {facts['parameters']} weights, {facts['bytes'] // 1000} kB; the ONNX file differs from torch by at most "
        f"{facts['difference']:.0e} in a logit.",
        f"* Licence of the weights: {module.CARD['licence']}.",
        "",
        "![loss and accuracy over the steps](curve.svg)",
        "",
        "## Limits",
        "",
        *(f"* {limit}" for limit in module.CARD["limits"]),
        "",
        "This page is made from `figures.json` by `python -m tamis_train card`.",
        "",
    ]
    return "\n".join(lines)


def curve(facts, width=640, height=280, margin=44):
    """Loss (left scale) and validation accuracy (right scale) over the steps, as SVG."""
    points = facts["curve"]
    last, top = max(p["step"] for p in points), max(p["loss"] for p in points) * 1.05
    across = lambda step: margin + step / last * (width - 2 * margin)
    down = lambda share: height - margin - share * (height - 2 * margin)
    line = lambda key, scale: " ".join(f"{across(p['step']):.1f},{down(p[key] / scale):.1f}" for p in points)
    words = lambda x, y, anchor, text: f'<text x="{x}" y="{y:.0f}" text-anchor="{anchor}">{text}</text>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" ',
        'font-family="sans-serif" font-size="12" fill="#444">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path d="M{margin} {down(share):.0f}H{width - margin}" stroke="#ddd"/>')
        parts.append(words(margin - 6, down(share) + 4, "end", f"{share * top:.1f}"))
        parts.append(words(width - margin + 6, down(share) + 4, "start", f"{100 * share:.0f} %"))
    parts += [
        f'<polyline points="{line("loss", top)}" fill="none" stroke="#888" stroke-width="2"/>',
        f'<polyline points="{line("val", 1)}" fill="none" stroke="#0a6" stroke-width="2"/>',
        words(margin, 20, "start", f"{facts['task']}: training loss (grey, left), validation accuracy (green, right)"),
        words(width / 2, height - 12, "middle", f"step, to {last}"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
