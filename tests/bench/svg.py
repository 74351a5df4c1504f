"""A bar chart as SVG, made by hand: a few lines of text that are read by people and by browsers alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

_LEFT, _WIDTH, _ROW, _TOP = 230, 460, 20, 44


def bars(title: str, rows: Mapping[str, float], *, unit: str) -> str:
    """One bar for each row, on a logarithmic scale from the next lower power of ten."""
    positive = [value for value in rows.values() if value > 0]
    low = math.floor(math.log10(min(positive, default=1.0)))
    high = max(math.ceil(math.log10(max(positive, default=1.0))), low + 1)
    height = _TOP + _ROW * len(rows) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 110}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<text x="10" y="18" font-size="14">{escape(title)} ({escape(unit)}, logarithmic)</text>',
    ]
    for power in range(low, high + 1):
        x = _LEFT + _WIDTH * (power - low) / (high - low)
        lines.append(f'<path d="M{x:.0f} {_TOP - 6}V{height - 8}" stroke="#ccc"/>')
        lines.append(f'<text x="{x:.0f}" y="{_TOP - 10}" text-anchor="middle" fill="#666">{10.0**power:g}</text>')
    for number, (name, value) in enumerate(rows.items()):
        y = _TOP + _ROW * number
        length = _WIDTH * (math.log10(max(value, 10.0**low)) - low) / (high - low)
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        lines.append(f'<rect x="{_LEFT}" y="{y + 3}" width="{length:.0f}" height="13" fill="#3b6ea5"/>')
        lines.append(f'<text x="{_LEFT + length + 5:.0f}" y="{y + 13}">{value:.3g}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"
