"""Inputs: valid contents with realistic and with malicious changes."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from .generated import expression, texts
from .models import change_onnx
from .readers import READERS, WORDS

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_TEXT = re.compile(rb'"[^"\n]*"')
_NAME = re.compile(rb"(?<==)[\w*+/()-]+")
_NUMBERS = (
    *("0", "1", "-1", "2", "3", "7", "0.5", "64", "1e3", "-0.0", "1000000", "4294967296"),
    *("9223372036854775808", "1e999", "-1e999", "nan", "NaN", "inf", "Infinity", "1e-320"),
    *("9" * 40, "9" * 5000, "0x" + "f" * 400, "1_000", "0=1", "²", "٣", "1e400", "--1", "true"),
)
_TEXTS = (
    *("", "a", "null", "c1", "h/2", "../../etc/passwd", "/dev/zero", "\\u0000", "\\ud800"),
    *("\x1b[31m", "=1+1", "a" * 300, "é", "\u202e", "\ufeff", "float32", "relu", "0 s", "1 GB/s"),
    *("1e999 GB/s", "9" * 400 + " Hz", "host", "sqrt(c)", "Max(a,b,c,d)", "conv2d?size=9"),
)
_PIECES = ("[", "{", "(", '"', "'", "\n", ",", "=", "#", "a.", "-", "[[", '{"a":', "\\", "&", "?")
_LARGE = (100, 3_000, 100_000)
_MOST = 2**20


def mutated(name: str, seeds: list[bytes], rng: random.Random) -> bytes:
    """Return one input for the reader called ``name``: at most 1 MiB.

    Examples
    --------
    >>> mutated("expression", [b"a + 2"], random.Random(2)) != b""
    True
    """
    content = rng.choice(seeds)
    if name == "onnx" and rng.random() < 0.8:
        return change_onnx(content, rng)
    if rng.random() < 0.35:
        return _gentle(content, rng)
    if rng.random() < 0.1 and (made := texts(WORDS)):
        return rng.choice(made).encode()
    if READERS[name].suffix in (".json", ".jsonl") and rng.random() < 0.6:
        return _tree_changed(content, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        content = _changed(content, seeds, rng)
    return content[:_MOST]


def _gentle(content: bytes, rng: random.Random) -> bytes:
    """Return a content that is likely still valid: another number, or nothing."""
    found = list(_NUMBER.finditer(content))
    if not found or rng.random() < 0.2:
        return content
    place = rng.choice(found)
    number = str(rng.choice((1, 2, 4, 8, 16, 32, 64, 100))).encode()
    return content[: place.start()] + number + content[place.end() :]


def _changed(content: bytes, seeds: list[bytes], rng: random.Random) -> bytes:
    size = len(content)
    at = rng.randrange(size + 1)
    to = min(size, at + rng.choice((1, 2, 8, 40, 300)))
    match rng.randrange(12):
        case 0:
            return content[:at] + content[to:]
        case 1:
            return content[:to] + content[at:to] + content[to:]
        case 2:
            return _put(content, _NUMBER, rng.choice(_NUMBERS), rng)
        case 3:
            return _put(content, _TEXT, f'"{rng.choice(_TEXTS)}"', rng)
        case 4:
            return content[:at] + rng.choice((*WORDS, *_TEXTS)).encode() + content[at:]
        case 5:
            return content[:at] + rng.randbytes(rng.choice((1, 1, 4))) + content[at + 1 :]
        case 6 if rng.random() < 0.3:
            piece = rng.choice((*_PIECES, *WORDS)).encode()
            return content[:at] + piece * rng.choice(_LARGE) + content[at:]
        case 7:
            other = rng.choice(seeds)
            return content[:at] + other[rng.randrange(len(other) + 1) :]
        case 8 if rng.random() < 0.1:
            lines = content.split(b"\n")
            line = rng.choice(lines)
            return content + (b"\n" + line) * (_MOST // (len(line) + 1) // rng.choice((1, 10, 100)))
        case 9:
            return _put(content, _NAME, expression(rng), rng)
        case 10:
            return _put(content, _TEXT, f'"{expression(rng)}"', rng)
        case 11:
            lines = content.split(b"\n")
            place = rng.randrange(len(lines))
            lines[place : place + 1] = lines[place : place + 1] * rng.choice((0, 2))
            return b"\n".join(lines)
    return content[:at] + rng.choice(_PIECES).encode() + content[at:]


def _put(content: bytes, what: re.Pattern[bytes], instead: str, rng: random.Random) -> bytes:
    found = list(what.finditer(content))
    if not found:
        return content + instead.encode()
    place = rng.choice(found)
    return content[: place.start()] + instead.encode() + content[place.end() :]


def _tree_changed(content: bytes, rng: random.Random) -> bytes:
    """Return JSON (one document, or one per line) with some of its values changed."""
    lines = content.split(b"\n") if b'"schema"' in content.split(b"\n")[0] else [content]
    at = rng.randrange(len(lines))
    try:
        tree = json.loads(lines[at])
    except ValueError:
        return content
    places = list(_places(tree))
    for _ in range(rng.choice((1, 1, 2, 5))):
        owner, key = rng.choice(places)
        owner[key] = _value(rng, rng.choice(places))
    lines[at] = json.dumps(tree).encode()
    return b"\n".join(lines)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return the location of a value in a tree: its owner and its key."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        owner = waiting.pop()
        keys = list(owner) if isinstance(owner, dict) else range(len(owner))
        for key in keys:
            found.append((owner, key))
            if isinstance(owner[key], dict | list):
                waiting.append(owner[key])
    return found


def _value(rng: random.Random, other: tuple[Any, Any]) -> Any:
    """Return a value from another location, or one that is rarely valid."""
    owner, key = other
    plain: tuple[Any, ...] = (
        None,
        True,
        -1,
        0,
        1,
        2,
        3,
        0.5,
        1e308,
        2**63,
        10**40,
        "",
        "a",
        [],
        {},
        [[]],
        [1, 2],
    )
    if rng.random() < 0.3 and key in (owner if isinstance(owner, dict) else range(len(owner))):
        found = owner[key]
        return json.loads(json.dumps(found)) if len(str(found)) < 500 else found.__class__()
    if rng.random() < 0.35:
        return {"expr": rng.choice((*_TEXTS, expression(rng), expression(rng)))}
    return rng.choice((*plain, *_TEXTS, rng.choice(WORDS)))
