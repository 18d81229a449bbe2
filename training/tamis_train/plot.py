"""Lines over two axes, as SVG."""

import math

COLOURS = ("#0a6", "#c60", "#06c", "#a3c", "#c33", "#888", "#960", "#099", "#e6a", "#333", "#9a0", "#63f", "#5bf", "#000")


def ticks(low, high, count=6):
    """Round numbers within a range."""
    step = 10 ** math.floor(math.log10((high - low) / count))
    step = next(step * k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= count)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def lines(series, across_words, down_words, width=720, height=440, margin=52, room=130):
    """A line with dots for each of `series`, name -> [(x, y), ...], its name beside the right end. x from 0."""
    xs, ys = zip(*(p for points in series.values() for p in points))
    right, low, high = max(xs), min(ys), max(ys)
    high += high == low
    across = lambda x: margin + x / right * (width - margin - room)
    down = lambda y: height - margin - (y - low) / (high - low) * (height - 2 * margin)
    words = lambda x, y, anchor, text, fill="#444": f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{fill}">{text}</text>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        words((margin + width - room) / 2, height - 10, "middle", across_words),
        words(8, 20, "start", down_words),
    ]
    for x in ticks(0, right):
        parts.append(f'<path d="M{across(x):.1f} {margin}V{height - margin}" stroke="#eee"/>')
        parts.append(words(across(x), height - margin + 16, "middle", f"{x:g}"))
    for y in ticks(low, high):
        parts.append(f'<path d="M{margin} {down(y):.1f}H{width - room}" stroke="#eee"/>')
        parts.append(words(margin - 6, down(y) + 4, "end", f"{y:g}"))
    # Names in the order of the lines' ends, none on another.
    ends = sorted(series, key=lambda name: -max(series[name])[1])
    place = margin - 14.0
    for name in ends:
        points, colour = sorted(series[name]), COLOURS[list(series).index(name) % len(COLOURS)]
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
        place = max(place + 15, down(points[-1][1]) + 4)
        parts.append(words(width - room + 8, place, "start", name, colour))
    return "\n".join([*parts, "</svg>"]) + "\n"
