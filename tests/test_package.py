"""The distribution: what it installs, and that it works away from the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_validation_names_itself_by_relative_imports_only() -> None:
    """It is ``validation`` in the repository and ``costmodel_validation`` where it is installed."""
    named = []
    for path in (ROOT / "validation").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            own = [n for n in names if n.split(".")[0] in ("validation", "costmodel_validation")]
            named += [f"{path.relative_to(ROOT)}:{node.lineno}" for _ in own]
    assert not named


def test_strings_that_are_imported_do_not_name_the_folder() -> None:
    pattern = re.compile(r"""["'](?:from |import )?validation\.[a-z_.]+(?: import|:|["'])""")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "validation").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if pattern.search(line)
    ]
    assert not found


def test_one_version_and_date_of_the_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    changes = re.findall(r"^## \[(\d\S*)\] - (\S+)$", text, re.M)
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert changes[0][0] == project["version"]
    assert f"version: {changes[0][0]}\ndate-released: {changes[0][1]}\n" in citation
    assert [date for _, date in changes] == sorted((date for _, date in changes), reverse=True)


def test_changelog_has_the_headings_of_its_format() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= allowed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    if find_spec("hatchling"):  # else pip fetches it
        words.append("--no-build-isolation")
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def commands(wheel: Path) -> Path:
    """Folder of the commands of an environment that has the wheel and this one's libraries."""
    folder = wheel.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    target = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    words = ["-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, *words], check=True)
    libraries = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    # Not as .pth of theirs: an editable install there would put the repository on the path.
    (Path(target) / "libraries.pth").write_text("\n".join(libraries))
    return folder / "bin"


@pytest.mark.slow
def test_a_wheel_installs_two_packages_of_its_own_name(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in files}
    packages = {t for t in tops if not t.endswith(".dist-info")}
    assert packages == {"costmodel", "costmodel_validation"}
    for data in ("arm/bench/src", "scores/paper.json", "onnx_nodes.toml", "__main__.py"):
        assert any(name.startswith(f"costmodel_validation/{data}") for name in files), data


INSTALLED = {
    ("report", "resnet18", "--json"): "multiply_adds",
    ("validate", "--help"): "predicted beside what is measured",
    ("measure", "--help"): "measure",
    ("board", "--help"): "board",
    ("calibrate", "--help"): "calibrate",
    ("validation", "score", "--help"): "score",
}


@pytest.mark.slow
@pytest.mark.parametrize(("words", "said"), INSTALLED.items(), ids=lambda w: " ".join(w)[:30])
def test_commands_of_the_wheel_run_away_from_the_repository(
    commands: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in run(commands, tmp_path, *words)


@pytest.mark.slow
def test_the_wheel_measures_under_torch_in_a_process_of_its_own(
    commands: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    words = ("validate", "linear", "--backend", "torch", "--no-kernels", "--precision", "100%")
    assert "linear" in run(commands, tmp_path, *words)


def run(commands: Path, folder: Path, *words: str) -> str:
    environment = {"HOME": str(folder), "COSTMODEL_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [commands / "costmodel", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    where = subprocess.run(
        [commands / "python", "-c", "import costmodel_validation as v; print(*v.__path__)"],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(commands.parent) in where
    return done.stdout
