"""Messages of libraries about wrong options, as sentences."""

from __future__ import annotations

import re
from collections.abc import Callable


def _no_command(found: re.Match[str]) -> str:
    near = (found[2] or "").replace("'", "")
    return f"there is no command {found[1]}" + (f"; did you mean {near}?" if near else "")


def _no_option(found: re.Match[str]) -> str:
    near = found[3] or found[4]
    return f"there is no option {found[1]}" + (f"; did you mean {near}?" if near else "")


_WORDS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"Value error, ", ""),
    (
        r"Input should be a valid integer(, unable to parse string as an integer)?",
        "{must} a whole number",
    ),
    (r"Input should be a valid number(, unable to parse string as a number)?", "{must} a number"),
    (r"Input should be greater than or equal to (\S+)", r"{must} at least \1"),
    (r"Input should be less than or equal to (\S+)", r"{must} at most \1"),
    (r"Input should be (greater|less) than (\S+)", r"{must} \1 than \2"),
    (r"'(\S+)' is not a valid integer( range)?", r"{must} a whole number, not '\1'"),
    (r"(\S+) is not in the range x>=(\S+?)", r"{must} at least \2, not \1"),
    (r"Invalid value for '([^']*)': \{must\}", r"\1 must be"),
    (r"Invalid value for '([^']*)': ('.*' is not one of .*)", r"\1 \2"),
    (r"Invalid value: ", ""),
    (r"No such option: (\S+?)( \(Possible options?: (.*)\)| Did you mean (.*)\?)?$", _no_option),
    (r"No such command '([^']*)'(?:\. Did you mean (.*)\?)?", _no_command),
    (r"Missing argument '([^']*)'", r"the argument \1 is missing"),
    (r"Missing option '([^']*)'(?: / '[^']*')*", r"the option \1 is missing"),
    (r"Option '(\S+)' requires an argument", r"the option \1 needs a value"),
    (r"Got unexpected extra arguments? ?\(s?\)? ?\((.*)\)", r"more was given than is taken: \1"),
    (r"\.$", ""),
)
"""Messages of libraries about wrong options, and the corresponding sentences."""


def in_words(text: str) -> str:
    """Return the message of a library about a wrong option as a sentence.

    Examples
    --------
    >>> in_words("Invalid value for '--of': Value error, 'mca' is not one of 'mac', 'span'.")
    "--of 'mca' is not one of 'mac', 'span'"
    >>> in_words("Invalid value for '--depth': Input should be greater than or equal to 1")
    '--depth must be at least 1'
    >>> in_words("No such command 'reprot'. Did you mean 'report'?")
    'there is no command reprot; did you mean report?'
    >>> in_words("Missing option '--platform' / '-p'.")
    'the option --platform is missing'
    """
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    return text.replace("{must}", "must be")
