"""Names as people write them: spellings of a device, and suggestions of similar names.

Capitals, blanks, dashes and the maker in front of a name do not matter. A device file lists other
names as ``aliases``, and the driver's names of a GPU as ``probe``.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from costmodel.errors import cut
from costmodel.reading import MAX_TOML_BYTES, parse_toml, read_text

_HERE = Path(__file__).parent
_LONGEST_NAME = 100
"""Length of the part of a name that is compared."""
_MAKERS = ("nvidia", "geforce", "tesla", "intel", "amd", "arm", "qualcomm", "hisilicon", "aws")
"""Words that are ignored in front of a name."""
_LONGEST_TOLD = 40
"""Length of the part of a name that a message repeats."""
_MOST = 3
"""Number of similar names in a message."""
_SIMILAR = 0.6
"""Ratio of difflib above which a name counts as a misspelling."""
_REMARK = re.compile(r" \(|, ")
GUIDE = "Your board in ten minutes"
"""The guide for a device without a file."""


def key(name: str) -> str:
    """Reduce a name to the part that its spellings have in common.

    Examples
    --------
    >>> key("GTX 1080 Ti") == key("gtx-1080-ti") == key("NVIDIA GeForce GTX 1080 Ti")
    True
    """
    words = _words(name)
    while len(words) > 1 and words[0] in _MAKERS:
        words = words[1:]
    return "".join(words)


def find_device(name: str) -> str | None:
    """Return the name of the shipped device file that a name in any spelling means, or None.

    Examples
    --------
    >>> find_device("Raspberry Pi 4B"), find_device("pi 4"), find_device("RTX 3090")
    ('raspberry-pi-4', 'raspberry-pi-4', 'rtx-3090')
    >>> find_device("raspberry") is None
    True
    """
    found = _spellings().get(key(name[:_LONGEST_NAME]), frozenset())
    return next(iter(found)) if len(found) == 1 else None


def near_devices(name: str) -> list[str]:
    """Return devices with similar names: misspelt, with common words, or else of the same kind.

    Examples
    --------
    >>> near_devices("gtx-1080-to")[0]
    'gtx-1080-ti'
    >>> [device.split("-")[0] for device in near_devices("jetson-tx2")]
    ['jetson', 'jetson', 'jetson']
    >>> near_devices("abacus")
    []
    """
    return near(name, _words_of_devices(), _families())


def near(
    name: str, known: Mapping[str, Collection[str]], families: Mapping[str, Collection[str]]
) -> list[str]:
    """Return the names of ``known`` that are similar to a name, the most similar first.

    Parameters
    ----------
    name : str
        The name that was looked for.
    known : Mapping[str, Collection[str]]
        Names with the words that each is known by.
    families : Mapping[str, Collection[str]]
        Kinds of devices with the words that identify them.
    """
    words = _joined(_words(name[:_LONGEST_NAME]))
    kinds = _kinds(words, families)
    kin = [other for other, own in known.items() if not kinds or kinds & _kinds(own, families)]
    # A rare word identifies better than a common one: "orin" better than "jetson".
    spread = Counter(word for own in known.values() for word in set(own))
    shared = {
        other: sum(1 / spread[word] for word in {*words} & {*known[other]} if len(word) > 1)
        for other in kin
    }
    alike = {other: _alike(key(name[:_LONGEST_NAME]), other) for other in kin}
    best = sorted(kin, key=lambda other: (-shared[other] - alike[other], other))
    told = [other for other in best if shared[other] or alike[other] >= _SIMILAR]
    # Only the kind is known: any device of it is a better suggestion than none.
    return (told or (best if kinds else []))[:_MOST]


def unknown_device(name: str) -> str:
    """Return the error for an unknown device: similar ones, and how to describe a new one.

    Examples
    --------
    >>> unknown_device("jetson-tx2").startswith("there is no hardware 'jetson-tx2'; did you mean j")
    True
    """
    if not name:
        return f"the name of the hardware is empty; see costmodel platforms list (guide: {GUIDE})"
    lacking = f"there is no hardware {cut(name, _LONGEST_TOLD)!r}"
    close = near_devices(name)[:2]
    if not close:
        return f"{lacking} nor a similar one; describe it in a .toml file (guide: {GUIDE})"
    return f"{lacking}; did you mean {' or '.join(close)}, or is it new (guide: {GUIDE})?"


def _alike(joined: str, other: str) -> float:
    return difflib.SequenceMatcher(None, joined, key(other)).ratio()


def _words(name: str) -> list[str]:
    """Split a name into letters and numbers; a plus is a word, because a 3B+ is not a 3B."""
    text = re.sub(r"\((r|tm)\)", " ", name.lower())
    return re.findall(r"[^\W\d_]+|\d+|\+", text)


def _joined(words: list[str]) -> list[str]:
    """Add letters joined with the number after them, because neither part of "a100" is specific."""
    return words + [a + b for a, b in itertools.pairwise(words) if a.isalpha() and b.isdigit()]


def _kinds(words: Collection[str], families: Mapping[str, Collection[str]]) -> set[str]:
    return {kind for kind, telling in families.items() if {*words} & {*telling}}


@cache
def _spellings() -> Mapping[str, frozenset[str]]:
    """Return the devices of each reduced name."""
    found: dict[str, set[str]] = {}
    for device, others in _others().items():
        for spelling in (device, *others):
            found.setdefault(key(spelling), set()).add(device)
    return {spelling: frozenset(devices) for spelling, devices in found.items()}


@cache
def _words_of_devices() -> Mapping[str, tuple[str, ...]]:
    return {
        device: tuple(word for name in (device, *others) for word in _joined(_words(name)))
        for device, others in _others().items()
    }


@cache
def _others() -> Mapping[str, tuple[str, ...]]:
    """Other names of shipped devices: title without remarks, aliases, names of the driver."""
    tables = {path.stem: _table(path) for path in sorted((_HERE / "devices").glob("*.toml"))}
    return {
        name: (_REMARK.split(table["title"])[0], *table.get("aliases", ()), *table.get("probe", ()))
        for name, table in tables.items()
    }


@cache
def _families() -> Mapping[str, tuple[str, ...]]:
    return {kind: tuple(words) for kind, words in _table(_HERE / "families.toml").items()}


def _table(path: Path) -> dict[str, Any]:
    return parse_toml(read_text(path, MAX_TOML_BYTES))
