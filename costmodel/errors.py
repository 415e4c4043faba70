"""Errors that users can cause: one sentence with the fault, its location and the correction."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

LONGEST = 320
"""Maximum length of an error message with its paths: two lines of a wide terminal [character].

The words of this project alone fit on two lines of 80 (``tests/test_cli_errors.py``).
"""
LONGEST_PATH = 150
"""Maximum length of a path in a message [character]."""
LONGEST_WORD = 60
"""Maximum length of a name or value in a message [character]."""
LONGEST_LIST = 10
"""Maximum number of names in a message."""
_WIDEST_LIST = 48
"""Maximum length of the known names in a message [character]."""


class CostModelError(Exception):
    """Base of all errors that ``costmodel`` raises on bad input.

    Parameters
    ----------
    message : str
        One sentence. It may contain text from files, so :func:`sentence` shortens and cleans it
        here, in one place for all errors.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(sentence(message))


class GraphError(CostModelError):
    """A graph violates the schema: a cycle, a dangling edge, an empty slot; names the node."""


class ShapeError(GraphError):
    """An operator does not accept its input tensors; the message gives the shapes."""


class UnknownOperatorError(CostModelError):
    """A source network has operators unknown to ``costmodel``; the message lists all of them."""


class DataError(CostModelError):
    """A file or table has an invalid value; the message names the file and the field or row."""


class UnitError(DataError):
    """A quantity has no unit or a wrong one."""


class MissingPackageError(CostModelError, ImportError):
    """A package that one part needs is not installed; the extra that brings it is named."""


EXTRAS = {
    "hypothesis": "testing",
    "matplotlib": "plot",
    "ncnn": "ncnn",
    "onnx": "onnx",
    "torch": "torch",
}
"""The extra of the distribution that brings each optional package."""


def missing(error: ImportError, what: str) -> MissingPackageError | None:
    """Return the error that says how to install what an import lacks; None for other packages.

    Parameters
    ----------
    error : ImportError
        What the import raised.
    what : str
        What needs the package.

    Examples
    --------
    >>> str(missing(ModuleNotFoundError("", name="onnx.helper"), "net.onnx"))
    'net.onnx needs the package onnx: pip install "nn-costmodel[onnx]"'
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return MissingPackageError(
        f'{what} needs the package {package}: pip install "nn-costmodel[{EXTRAS[package]}]"'
    )


def sentence(text: str) -> str:
    r"""Return ``text`` on one line without control characters; long words and texts are cut.

    Examples
    --------
    >>> sentence("no file\n'a\x1b[2J'")
    "no file 'a\\x1b[2J'"
    >>> len(sentence("x" * 500)), len(sentence("x/" * 500)), len(sentence("x " * 500))
    (60, 150, 320)
    """
    words = str(text).split()
    short = (cut(word, LONGEST_PATH if "/" in word else LONGEST_WORD) for word in words)
    return cut(printable(" ".join(short)), LONGEST)


def printable(text: str) -> str:
    r"""Return ``text`` with control and unencodable characters escaped.

    Examples
    --------
    >>> printable("\x1b[31mred")
    '\\x1b[31mred'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, longest: int) -> str:
    """Return ``text`` with its middle left out if it is longer than ``longest`` characters.

    Examples
    --------
    >>> cut("abcdefghijklmnop", 12)
    'abcdef...nop'
    """
    if len(text) <= longest:
        return text
    tail = longest // 3 - 1
    return f"{text[: longest - tail - 3]}...{text[-tail:]}"


def listed(names: Iterable[object], most: int = LONGEST_LIST, between: str = ", ") -> str:
    """Return names separated by commas; a long list ends with the number of names left out.

    Examples
    --------
    >>> listed("abc"), listed(range(100), most=3)
    ('a, b, c', '0, 1, 2 and 97 more')
    """
    texts = [cut(str(name), LONGEST_WORD) for name in names]
    more = len(texts) - most
    return between.join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def suggest(name: object, names: Iterable[object]) -> str:
    """Return the hint of a message about an unknown name: the names near it, else the known ones.

    Parameters
    ----------
    name : object
        The unknown name; values of other types have no near ones.
    names : iterable
        The known names.

    Examples
    --------
    >>> suggest("flot32", ["float64", "float32", "int8"]), suggest("?", ["float64", "int8"])
    ('did you mean float32 or float64?', 'known are float64, int8')
    >>> suggest(3, range(100, 200))
    'known are 100, 101, 102, 103, 104, 105, 106, 107, 108 and 91 more'
    """
    texts = list(map(str, names))
    if isinstance(name, str):
        from difflib import get_close_matches

        if near := get_close_matches(name[:LONGEST_WORD], texts, n=3):
            return f"did you mean {' or '.join(near)}?"
    ends = accumulate(len(text) + 2 for text in texts)
    fitting = sum(end <= _WIDEST_LIST for end in ends)
    return f"known are {listed(texts, max(1, min(fitting, LONGEST_LIST)))}"
