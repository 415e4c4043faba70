"""Names in a file: in messages, as symbols, as locations in the modules of a network."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Any

_LONGEST = 80
"""Longest name that is shown whole. [character]"""
_LONGEST_SCOPES = 4096
_LONGEST_MODULE = 200
_UNNAMED = frozenset({"", "None", "none", "unk", "unknown", "dynamic"})
"""Placeholders that exporters write for unnamed sizes."""


def shown(name: str) -> str:
    """Return a name as messages show it: one line, not too long.

    >>> shown("a" * 100)[-8:], shown("two" + chr(10) + "lines")
    ('aaaaa...', 'two?lines')
    """
    text = "".join(c if c.isprintable() else "?" for c in name[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names as one text, the end of a long list as a count.

    >>> listed(["b", "a", "c"], 2), listed([])
    ('a, b and 1 more', 'none')
    """
    found = sorted(map(shown, names))
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return f"{', '.join(found[:most])}{rest}" or "none"


def some(names: Iterable[str]) -> list[str]:
    """Return the first few of ``names`` as a message shows them.

    >>> some({"b", "a"})
    ['a', 'b']
    """
    return [shown(name) for name in sorted(names)[:8]]


def is_named(name: str) -> bool:
    """Return whether the name of a size is a real name and not a placeholder.

    >>> is_named("batch"), is_named("?"), is_named("None")
    (True, False, False)
    """
    return name not in _UNNAMED and any(c.isalnum() for c in name)


def identifier(name: str) -> str:
    """Return an identifier that is close to ``name``.

    >>> identifier("batch size"), identifier("2*seq"), identifier("lambda")
    ('batch_size', 'n_2_seq', 'lambda_')
    """
    text = re.sub(r"\W+", "_", name[:_LONGEST]).strip("_")
    text = f"n_{text}" if not text[:1].isalpha() else text
    return f"{text}_" if keyword.iskeyword(text) or not text.isidentifier() else text


def full_name(node: Any) -> str:
    """Return the operator type of a node with its domain."""
    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    return shown(f"{domain}{node.op_type}")


def place(node: Any) -> str:
    """Return the name of a node, or of its result."""
    return shown(node.name or (node.output[0] if node.output else "") or "a node without name")


def module_of(node: Any) -> str:
    """Return the module path that torch's exporters note in metadata or in the name of a node.

    >>> from types import SimpleNamespace as S
    >>> module_of(S(metadata_props=[], name="/layer1/layer1.0/conv1/Conv"))
    'layer1.0.conv1'
    >>> note = S(key="pkg.torch.onnx.name_scopes", value="['', 'layer1', 'layer1.0', 'conv2d']")
    >>> module_of(S(metadata_props=[note], name="n"))
    'layer1.0'
    """
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes = re.findall(r"'([^'\\]*)'|\"([^\"\\]*)\"", entry.value[:_LONGEST_SCOPES])
            return _path("".join(scopes[-2])) if len(scopes) > 1 else ""
    parts: list[str] = []
    if not node.name.startswith("/"):
        return ""
    for part in node.name[: 4 * _LONGEST_MODULE].split("/")[1:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts[-1] = part
        else:
            parts.append(part)
    return _path(".".join(part for part in parts if part))


def _path(text: str) -> str:
    return "".join(c for c in text[:_LONGEST_MODULE] if c.isprintable()).strip(". ")
