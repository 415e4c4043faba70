"""The gallery: every thumbnail has its title as alternative text, and figures are sharp."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

_CARD = re.compile(
    r"(:alt:)(\n\n  :(?:doc|ref):`[^`]*`\n\n\.\. raw:: html\n\n *"
    r'<div class="sphx-glr-thumbnail-title">)([^<]*)(</div>)'
)
_DPI = 150


def describe(text: str) -> str:
    """Return the list of a gallery with the title of each card as the text of its thumbnail."""
    return _CARD.sub(lambda card: f"{card[1]} {card[3]}{card[2]}{card[3]}{card[4]}", text)


def sharp(conf: dict[str, Any], file: str) -> None:
    """Draw figures once, with enough pixels for dense screens; called before each example."""
    import matplotlib as mpl

    mpl.rcParams["figure.dpi"] = _DPI


def _describe_all(app: Sphinx) -> None:
    for file in (Path(app.srcdir) / "gallery").rglob("index.rst"):
        text = file.read_text("utf-8")
        described = describe(text)
        if described != text:
            file.write_text(described, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Describe the thumbnails once the gallery has written its lists."""
    app.connect("builder-inited", _describe_all, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
