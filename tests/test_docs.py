"""The pages: snippets run, citations exist, links lead somewhere, words are the right ones."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
import shutil
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.kinds import KINDS
from costmodel.timing.parameters import priors

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts and p.name != "README.md")
EXAMPLES = sorted((DOCS / "examples").glob("*/plot_*.py"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _name(path: Path) -> str:
    return str(path.relative_to(DOCS))


def _blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of a kind, indentation taken off."""
    fence = re.compile(rf"^( *)```{re.escape(kind)}(.*?)\n(.*?)^\1```$", re.M | re.S)
    return [
        f"{head.strip()}\n{textwrap.dedent(body)}".strip("\n")
        for _, head, body in fence.findall(page.read_text("utf-8"))
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with the data of the pages; nobody's calibrations are used."""
    shutil.copytree(DOCS / "data", tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- snippets


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch and onnx warn about themselves
@pytest.mark.parametrize("page", [p for p in PAGES if _blocks(p, "python")], ids=_name)
def test_snippets_run_and_print_what_the_page_says(page, folder):
    text = "\n".join(_blocks(page, "python"))
    for package in ("torch", "onnx"):
        if f"import {package}" in text:
            pytest.importorskip(package)
    assert ">>>" in text, "a snippet without prompts would not be checked"
    test = doctest.DocTestParser().get_doctest(text, {}, _name(page), _name(page), 0)
    failures: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=failures.append)
    assert not failures, "".join(failures)


COMMANDS = [
    (page, block) for page in PAGES for block in _blocks(page, "{command}") if block.strip()
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "block"), COMMANDS, ids=lambda v: str(v).split("\n")[0][-60:])
def test_commands_of_the_pages_end_as_the_page_says(page, block, folder):
    wanted = re.search(r"^:exit: (\d+)$", block, re.M)
    for line in block.splitlines():
        if line and not line.startswith(":"):
            code, output = _extension("command").run(line, folder)
            assert code == (int(wanted[1]) if wanted else 0), output


def test_there_are_commands_and_snippets():
    assert len(COMMANDS) > 8
    assert sum(len(_blocks(p, "python")) for p in PAGES) > 8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_every_figure_of_the_gallery_can_be_drawn(example, monkeypatch, tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    monkeypatch.chdir(example.parent)
    source = example.read_text("utf-8")
    assert ast.get_docstring(ast.parse(source)), "the docstring is the text of the page"
    try:
        exec(compile(source, str(example), "exec"), {"__name__": "__main__"})
        assert plt.get_fignums()
        for number in plt.get_fignums():
            figure = plt.figure(number)
            figure.draw_without_rendering()
            for ax in figure.axes:
                assert not ax.axison or ax.get_xlabel() or ax.get_title(), "an axis without a name"
    finally:
        plt.close("all")


def test_thumbnails_have_their_titles_as_alternative_text() -> None:
    pytest.importorskip("sphinx")
    card = (
        ".. image:: /gallery/thumb.png\n    :alt:\n\n  :doc:`/gallery/{}`\n\n.. raw:: html\n\n"
        '      <div class="sphx-glr-thumbnail-title">{}</div>\n    </div>\n'
    )
    describe = _extension("gallery").describe
    listed = card.format("a", "G1: equal width") + card.format("b", "The scoreboard")
    described = describe(listed)
    assert re.findall(r":alt:(.*)", described) == [" G1: equal width", " The scoreboard"]
    assert describe(described) == described


def test_figures_of_the_landing_page_are_described() -> None:
    text = (DOCS / "index.md").read_text("utf-8")
    for figure in re.findall(r"```\{image\} (\S+)\n(.*?)```", text, re.S):
        assert len(re.search(r"^:alt: (.*)$", figure[1], re.M)[1]) > 40
        stem = re.fullmatch(r"gallery/(\w+)/images/sphx_glr_(\w+)_\d{3}\.png", figure[0])
        assert (DOCS / "examples" / stem[1] / f"{stem[2]}.py").exists()


# ---- formulas


def test_formulas_are_written_as_the_renderer_reads_them() -> None:
    """What makes MathML of TeX takes "12" behind a fraction for one argument, and shows "\\_"."""
    for source in [*PAGES, *(ROOT / "costmodel").rglob("*.py")]:
        text = source.read_text("utf-8")
        assert not re.search(r"\\[td]?frac *\d", text), source
        assert not re.search(r"\\text\{[^}]*\\_", text), source


def test_a_font_for_formulas_comes_with_the_pages() -> None:
    style = (DOCS / "_static" / "costmodel.css").read_text("utf-8")
    (file,) = re.findall(r'url\("([^"]+)"\)', style)
    assert (DOCS / "_static" / file).read_bytes()[:4] == b"wOFF"
    assert re.search(r'math \{[^}]*font-family: "Costmodel Math"', style)
    assert "SIL OPEN FONT LICENSE" in (DOCS / "_static/fonts/LICENSE.txt").read_text("utf-8")


# ---- citations

CITATION = re.compile(r":cite:[a-z]+:`([^`]+)`|\{cite:[a-z]+\}`([^`]+)`")


def _sources() -> list[Path]:
    code = [p for name in ("costmodel", "validation") for p in (ROOT / name).rglob("*.py")]
    return [*code, *PAGES, *EXAMPLES, *(DOCS / "examples").rglob("*.rst")]


def test_every_citation_is_in_the_bibliography_and_every_entry_is_cited():
    text = (DOCS / "references.bib").read_text("utf-8")
    entries = re.findall(r"^@\w+\{([^,]+),$", text, re.M)
    assert len(entries) == len(set(entries))
    cited = {
        key.strip()
        for source in _sources()
        for groups in CITATION.findall(source.read_text("utf-8"))
        for key in "".join(groups).split(",")
    }
    assert cited - set(entries) == set()
    assert set(entries) - cited == set()


def test_every_entry_says_who_what_when_and_where():
    text = (DOCS / "references.bib").read_text("utf-8")
    for entry in re.split(r"^@", text, flags=re.M)[1:]:
        for field in ("author", "title", "year"):
            assert re.search(rf"^  {field} = ", entry, re.M), entry
        assert re.search(r"doi|arXiv|institution|journal|ICML", entry), entry


# ---- words

FORBIDDEN = {
    r"\b[GMkT]?MACs\b": "multiply-adds (MAC is memory access cost)",
    r"\b[GMT]MACs?(/s)?\b": "multiply-adds",
    r"multiply-accumulate": "multiply-adds",
    r"\b[GMTP]FLOPS\b|\d ?FLOPS\b": "FLOPs for a number, FLOP/s for a speed",
}
# Where the other words are quoted to say that they are not used.
QUOTED = {"nomenclature.md", "0001-mac-means-memory-access-cost.md"}


def _texts() -> list[Path]:
    found = [p for end in ("py", "toml", "json") for p in (ROOT / "costmodel").rglob(f"*.{end}")]
    found += (ROOT / "validation").rglob("*.py")
    found += [p for p in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if p.exists()]
    return [*found, *PAGES, *EXAMPLES]


@pytest.mark.parametrize(("pattern", "right"), FORBIDDEN.items())
def test_nomenclature_is_kept(pattern, right):
    hits = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in _texts()
        if path.name not in QUOTED
        for line in path.read_text("utf-8").splitlines()
        if re.search(pattern, line)
    ]
    assert not hits, f"use {right}: " + "; ".join(hits[:5])


def test_the_nomenclature_test_can_fail():
    assert all(
        any(re.search(pattern, wrong) for pattern in FORBIDDEN)
        for wrong in ("146 MMACs", "GMACs", "2 GMAC/s", "MACs", "multiply-accumulate", "TFLOPS")
    )
    assert not any(re.search(p, "MAC in elements, 3 TFLOP/s, FLOPs") for p in FORBIDDEN)


# ---- completeness


def test_the_reference_lists_every_public_name():
    listed = set(re.findall(r"^   (\w+)$", (DOCS / "api" / "index.rst").read_text("utf-8"), re.M))
    source = ast.parse(Path(cm.__file__).read_text("utf-8"))
    public = {
        alias.asname
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname and not alias.asname.startswith("_")
    }
    assert public - listed == set()


@pytest.mark.parametrize("kind", ["cpu", "gpu", "accelerator"])
def test_the_theory_explains_every_parameter(kind):
    text = (DOCS / "guide" / f"theory-{kind}.md").read_text("utf-8")
    names = {p.name for p in priors(kind)}
    if kind == "accelerator":  # a parameter of each kind of kernel is explained once
        names = {re.sub(rf"_({'|'.join(KINDS)})$", "_KIND", name) for name in names}
    missing = [name for name in names if not re.search(rf"[`{{]{name}[`}}]", text)]
    assert not missing, f"docs/guide/theory-{kind}.md says nothing of {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    targets = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text)
    targets += [f"{t}.*" for t in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", text)]
    for target in targets:
        base = DOCS if target.startswith("/") else page.parent
        place = base / target.lstrip("/")
        if "generated" in place.parts or "gallery" in place.parts:
            place = _source_of(place)
        assert list(place.parent.glob(place.name)), f"{target} does not exist"


def _source_of(place: Path) -> Path:
    """Return the file that a generated page is made of."""
    if "generated" in place.parts:
        return DOCS / "api" / "index.rst"
    if place.name.startswith("index"):
        return DOCS / "examples" / "GALLERY_HEADER.rst"
    return DOCS / "examples" / place.parent.name / place.name


def _extension(name: str):
    pytest.importorskip("sphinx")
    found = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_no_two_pages_of_the_api_have_one_file_where_case_is_ignored() -> None:
    listed = re.findall(
        r"^   (?:~?)(costmodel[\w.]*|[A-Za-z_]\w*)$", (DOCS / "api/index.rst").read_text(), re.M
    )
    names = [name if name.startswith("costmodel") else f"costmodel.{name}" for name in listed]
    settings: dict[str, dict[str, str]] = {}
    text = (DOCS / "conf.py").read_text("utf-8")
    (assigned,) = re.findall(r"^autosummary_filename_map = \{.*?^\}", text, re.M | re.S)
    exec(assigned, settings)
    files = [settings["autosummary_filename_map"].get(name, name).lower() for name in names]
    assert len(files) > 30
    assert [file for file in set(files) if files.count(file) > 1] == []


def _pages() -> set[str]:
    return set(re.findall(r"^   ([A-Za-z_][\w.]*)$", (DOCS / "api/index.rst").read_text(), re.M))


def test_every_public_name_has_a_page() -> None:
    from costmodel import public

    assert {name for name in vars(public) if not name.startswith("_")} - {"zoo"} <= _pages()


@pytest.mark.parametrize("package", ["calibration", "counting", "kernels", "timing"])
def test_every_module_that_states_formulas_has_a_page(package: str) -> None:
    files = sorted((DOCS.parent / "costmodel" / package).glob("*.py"))
    pages = {module for module in _pages() if module.startswith(f"{package}.")}
    stating = {
        f"{package}.{file.stem}"
        for file in files
        if re.search(r":math:|\.\. math::", ast.get_docstring(ast.parse(file.read_text())) or "")
    }
    assert stating
    assert stating <= pages
    assert all((DOCS.parent / "costmodel" / f"{p.replace('.', '/')}.py").exists() for p in pages)


def test_every_module_that_a_page_links_to_has_a_page() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    linked = set(re.findall(r"\{py:mod\}`costmodel\.([\w.]+)`", text))
    assert linked
    assert linked <= _pages()


def test_the_reference_holds_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(DOCS / "_ext")
    found = {" ".join(words): text for words, text in _extension("reference").helps(["costmodel"])}
    for command in (
        "report",
        "formula",
        "advise",
        "calibrate",
        "zoo",
        "platforms",
        "platforms show",
    ):
        assert f"Usage: costmodel {command}" in found[f"costmodel {command}"]
    assert len(found) >= 10


def test_the_readme_shows_what_the_report_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    text = (ROOT / "README.md").read_text("utf-8")
    block = text.partition("gtx-1080-ti/paper\n")[2].partition("\n...\n")[0]
    arguments = ["report", "shufflenet_v2?width=1.0", "--platform", "gtx-1080-ti/paper"]
    printed = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"}).stdout
    expected = [line.rstrip() for line in printed.splitlines()]
    shown = block.splitlines()
    assert len(shown) > 20
    assert shown == expected[: len(shown)]
