"""Pages, docstrings, comments and messages avoid constructions that read as translated."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Packages and pages whose prose follows the rules; a new one is added here.
PACKAGES = (
    "algebra",
    "calibration",
    "cli",
    "comparison",
    "counting",
    "graph",
    "guidelines",
    "hardware",
    "importers",
    "kernels",
    "ops",
    "platforms",
    "plots",
    "prediction",
    "report",
    "runtimes",
    "solving",
    "spaces",
    "specs",
    "testing",
    "timing",
    "zoo",
)
MODULES = ("arguments.py", "errors.py", "kinds.py", "public.py", "reading.py", "units.py")
PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "docs/*.md",
    "docs/data/*.md",
    "docs/decisions/*.md",
    "docs/examples/**/*.rst",
    "docs/guide/*.md",
)
BANNED = {
    r"(?:^|[.!] )(?:Return )?[Ww]hat (?!: )": "name the thing: 'Return the result of'",
    r"\bSay whether\b": "'Return whether'",
    r"\bas (?:they|it) lies?\b": "the term of the field: 'in the caller's layout'",
    r"\bis no (?:number|size|text|unit|file|list|tuple|graph|tensor)\b": "'is not a'",
    r"\bwithin one another\b": "'nested'",
    r"\btaken for real\b": "'accepted', or 'maximum'",
    r"\bif you ask for\b": "the option: 'with strict=False'",
    r"\bno one should have\b": "'invalid'",
    r"\bone an? (?:axis|element|line|operator|row)\b": "'one per line'",
}


def _files() -> list[Path]:
    package = ROOT / "costmodel"
    code = [p for name in PACKAGES for p in sorted((package / name).rglob("*.py"))]
    code += [package / name for name in MODULES] + sorted((ROOT / "docs/examples").rglob("*.py"))
    return code + [p for pattern in PAGES for p in sorted(ROOT.glob(pattern))]


def _texts(path: Path) -> list[str]:
    """Return the paragraphs of a page, or the docstrings, messages and comments of a module."""
    source = path.read_text("utf-8")
    if path.suffix != ".py":
        text = re.sub(r"^```.*?^```$", "", source, flags=re.M | re.S)
        return re.split(r"\n\s*\n", text)
    constants = [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)]
    strings = [value for value in constants if isinstance(value, str) and " " in value]
    comments = re.findall(r"(?:^|  )# (.+)$", source, flags=re.M)
    return [*comments, *(part for value in strings for part in re.split(r"\n\s*\n", value))]


def _faults(text: str) -> list[str]:
    """Return the banned constructions in a paragraph, with their corrections."""
    joined = " ".join(text.split())
    return [
        f"{found[0]!r} in {joined[:90]!r}: write {right}"
        for pattern, right in BANNED.items()
        if (found := re.search(pattern, joined))
    ]


@pytest.mark.parametrize("path", _files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_prose_is_plain(path: Path) -> None:
    faults = [fault for text in _texts(path) for fault in _faults(text)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "wrong",
    [
        "What a kernel moves.",
        "It is fitted. What remains is noise.",
        "Return what the node makes.",
        "Say whether it fits.",
        "images as they lie",
        "x is no number",
        "a leniency, if you ask for one",
        "all faults, one a line",
    ],
)
def test_banned_constructions_are_found(wrong: str) -> None:
    assert _faults(wrong)


@pytest.mark.parametrize(
    "right", ["Return whether it fits.", "there is no limit", "It states what was wrong."]
)
def test_plain_sentences_pass(right: str) -> None:
    assert not _faults(right)


def test_percentages_have_a_space_before_the_sign() -> None:
    """Python's format of percentages has none: the number is multiplied instead."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("costmodel", "validation")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r":\.\d%\}", line) and '.replace("%", " %")' not in line
    ]
    assert wrong == []
