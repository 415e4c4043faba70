"""Reading untrusted files: bounded, with one kind of error for every fault in the text.

All readers of the package use this module, so limits and messages are defined in one place.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from costmodel.errors import DataError, sentence

MAX_TOML_BYTES = 2**18
"""Maximum size of a TOML file. [byte]"""
MAX_DEPTH = 32
"""Maximum nesting of tables and lists in a TOML file, and of parts in a dotted key."""
MAX_INT = 2**63
"""Limit of TOML integers."""
_CHUNK = 2**20
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Comments and strings; an unclosed one ends with its line.
_TEXT = re.compile(
    r"""#[^\n]*|\"{3}.*?(?:\"{3}|\Z)|'{3}.*?(?:'{3}|\Z)|"(?:[^"\\\n]++|\\.)*+"?|'[^'\n]*'?""", re.S
)
_DOTTED = re.compile(rf"(?<![\w-])[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++){{{MAX_DEPTH}}}")


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the content of a file of at most ``most`` bytes.

    The limit applies to the bytes read, because devices and pipes do not state their size. Pipes
    and terminals are rejected: opening one may block forever.

    Raises
    ------
    DataError
        If the file cannot be read or is larger; the message names it.

    Examples
    --------
    >>> read_bytes("/dev/zero", 100)
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: /dev/zero: is larger than 100 bytes
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as stream:
            mode = os.fstat(handle).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(handle):
                raise DataError(f"{path}: cannot be read: it is a pipe or a terminal, not a file")
            parts, left = [], most + 1
            while left > 0 and (part := stream.read(min(left, _CHUNK))):
                parts.append(part)
                left -= len(part)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:  # a NUL in the name, or a lone surrogate
        raise DataError(f"{path!r}: cannot be read: {error}") from None
    if left <= 0:
        raise DataError(f"{path}: is larger than {most} bytes")
    return b"".join(parts)


def read_text(path: str | os.PathLike[str], most: int, encoding: str = "utf-8") -> str:
    """Return the text of a file of at most ``most`` bytes.

    Raises
    ------
    DataError
        If the file cannot be read, is larger, or is not UTF-8 text; the message names it.
    """
    try:
        return read_bytes(path, most).decode(encoding)
    except UnicodeDecodeError:
        raise DataError(f"{path}: cannot be read: not UTF-8 text") from None


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file exists at ``path``; False if the text cannot be a path.

    Examples
    --------
    >>> is_file("a" * 300), is_file("nul" + chr(0))
    (False, False)
    """
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def parse_json(text: str | bytes) -> Any:
    """Return the value of JSON text with finite numbers, unique keys and encodable strings.

    Raises
    ------
    DataError
        In one sentence, without the name of the file.

    Examples
    --------
    >>> parse_json('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: not JSON: the key 'a' is given twice
    """
    try:
        whole = text.decode("utf-8") if isinstance(text, bytes) else text
        found = json.loads(
            whole,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_once,
        )
        if _SURROGATE.search(whole):
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise DataError("not JSON: it is nested too deep") from None
    except UnicodeError:
        raise DataError("not JSON: a text in it is not Unicode") from None
    except ValueError as error:
        raise DataError(f"not JSON: {_without_advice(error)}") from None
    return found


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of TOML text; integers are within TOML's own limits.

    Raises
    ------
    DataError
        In one sentence, without the name of the file.

    Examples
    --------
    >>> parse_toml("a = [1, 2.5]")
    {'a': [1, 2.5]}
    >>> parse_toml("a = " + "[" * 100_000)
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: is not TOML: it is nested too deep
    """
    if len(text) > MAX_TOML_BYTES:
        raise DataError(f"not read: it is larger than {MAX_TOML_BYTES} bytes")
    # Time and memory of tomllib grow with the square of the number of parts in a key.
    if _DOTTED.search(_TEXT.sub("q", text)):
        raise DataError("is not TOML: it is nested too deep")
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise DataError("is not TOML: it is nested too deep") from None
    except ValueError as error:
        raise DataError(f"is not TOML: {_without_advice(error)}") from None
    for value, depth in _values(found):
        if depth > MAX_DEPTH:
            raise DataError("is not TOML: it is nested too deep")
        if isinstance(value, int) and not -MAX_INT <= value < MAX_INT:
            raise DataError("is not TOML: an integer has more than 64 bits")
    return found


class Deadline:
    """A limit on the processor time for reading one text.

    Parameters
    ----------
    seconds : float
        From now on, of the current thread. [s]

    Examples
    --------
    >>> Deadline(10).check("the graph")
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.thread_time() + seconds
        self._seconds = seconds

    def check(self, what: str) -> None:
        """Raise ``DataError`` if the time is used up."""
        if time.thread_time() > self._end:
            raise DataError(f"{what} takes more than {self._seconds:g} s to read: it is too large")


def _values(tree: Any) -> Iterator[tuple[Any, int]]:
    """Yield every value in nested tables and lists, with its depth."""
    waiting = [(tree, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            waiting += [(entry, depth + 1) for entry in value.values()]
        elif isinstance(value, list):
            waiting += [(entry, depth + 1) for entry in value]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _without_advice(error: ValueError) -> str:
    """Return the message of a parser without Python's advice on its settings."""
    text = sentence(str(error))
    return "an integer has too many digits" if "integer string conversion" in text else text
