"""Plots as inline SVG, drawn by matplotlib; text stays text, so the page's own fonts show it (Japanese too)."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

COLOURS = ("#8b929c", "#1d5fae", "#c26a1b", "#2d8659", "#8a4fa3", "#b23a48", "#4f7d8c")
"""Grey for what others are compared with (the base model), then one colour each."""
INK = "#1c2430"
GRID = "#e4e7eb"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": "#b9c0c8",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
}


def svg(figure: Any, name: str) -> str:
    """The figure as an `<svg>` element without size, so that it fills the page's width; the same bytes each time."""
    stream = io.StringIO()
    nothing = {"Date": None, "Creator": None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # matplotlib's font lacks it, the browser's does not
        figure.savefig(stream, format="svg", bbox_inches="tight", transparent=True, metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # matplotlib numbers groups alike in every plot; nothing refers to them
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\bfont: ([\d.]+px) [^;\"]*", r"font: \1 var(--font)", text)
    width = re.search(r'<svg[^>]*?width="([\d.]+)pt"', text)
    limit = f"{float(width.group(1)) * 4 / 3:.0f}px" if width else "100%"
    head = f'<svg role="img" aria-label="{name}" style="width:100%;max-width:{limit};height:auto" '
    return re.sub(
        r'<svg ([^>]*?)(?:height|width)="[\d.]+pt"([^>]*?)(?:height|width)="[\d.]+pt"', head + r"\1\2", text, count=1
    )


def panels(name: str, width: float, height: float, columns: int = 1) -> Any:
    """Axes side by side in a figure of `width` by `height` inches, in the pages' look; `name` tells plots apart."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update(_STYLE | {"svg.hashsalt": name})
    return Figure(figsize=(width, height), layout="constrained").subplots(1, columns, squeeze=False)[0]
