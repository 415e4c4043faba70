"""Theory pages use the symbols of one table, each with one meaning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
PAGES = sorted(GUIDE.glob("theory-*.md"))
GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "pi",
    "rho",
    "sigma",
    "varsigma",
    "tau",
    "ell",
]
INDICES = frozenset("ijl")


def formulas(text: str) -> list[str]:
    """Return the formulas of a page, displayed and in lines."""
    text = re.sub(r"```python.*?```", "", text, flags=re.S)
    displayed = re.findall(r"```\{math\}\n(?::label:[^\n]*\n)?(.*?)```", text, re.S)
    return [*displayed, *re.findall(r"\{math\}`([^`]*)`", text)]


def letters(formula: str) -> set[str]:
    """Return the symbols of a formula without words, indices and bold letters."""
    text = re.sub(r"\\(?:text|operatorname|mathrm|mathbf)\{[^}]*\}", " ", formula)
    text = re.sub(r"_(?:\{[^}]*\}|\\[A-Za-z]+|\w)", " ", text)
    words = set(re.findall(r"\\([A-Za-z]+)", text)) & set(GREEK)
    return words | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", text)))


def table() -> tuple[set[str], dict[str, set[str]]]:
    """Return the symbols of all pages, and those of one page by its name."""
    text = (GUIDE / "nomenclature.md").read_text("utf-8").split("## Symbols")[1]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| {")]
    own = {}
    for row in rows:
        if page := re.search(r"\{doc\}`([^`]+)`", row[1]):
            own[page[1]] = set().union(*map(letters, formulas(row[2])))
    general = [row for row in rows if "{math}" in row[1]]
    return set().union(*(letters(f) for row in general for f in formulas(row[1]))), own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_symbol_is_in_the_table(page: Path) -> None:
    general, own = table()
    known = general | own.get(page.stem, set()) | INDICES
    # Letters of a complex number are not symbols of the page.
    found = {s for f in formulas(page.read_text("utf-8")) if "bi)" not in f for s in letters(f)}
    assert found <= known, f"{sorted(found - known)} must be in nomenclature.md"


def test_symbols_of_one_page_do_not_shadow_others() -> None:
    general, own = table()
    shadowed = {page: found & general for page, found in own.items() if found & general}
    assert not shadowed, "a symbol of one page has another meaning elsewhere"


def test_the_reader_of_formulas_sees_symbols() -> None:
    text = r"\frac{B_{\min}}{\pi} + \text{serial} \cdot t_c + \mathbf{C}"
    assert letters(text) == {"B", "pi", "t"}
    assert letters(r"2\sqrt{hwB}") == {"h", "w", "B"}
