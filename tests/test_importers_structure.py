"""How the importers are built: no circles of imports, and handlers that are found by listing."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import networkx as nx
import pytest

import costmodel
from costmodel.importers.ncnn import handlers as ncnn_handlers
from costmodel.importers.ncnn import load  # noqa: F401  (loads the handlers)
from costmodel.importers.onnx_file import handlers as onnx_handlers
from costmodel.importers.onnx_file import reader  # noqa: F401  (loads the handlers)
from costmodel.importers.patterns import exported
from costmodel.importers.registry import load_modules
from costmodel.importers.torch_module import handlers as torch_handlers
from costmodel.importers.torch_module import trace  # noqa: F401  (loads the handlers)

ROOT = Path(costmodel.__file__).parent
PACKAGES = [ncnn_handlers, onnx_handlers, torch_handlers, exported]
REGISTRIES = {
    "ncnn/handlers": ("ncnn.call", "LAYERS"),
    "onnx_file/handlers": ("onnx_file.call", "HANDLERS"),
    "torch_module/handlers": ("torch_module.call", "ATEN"),
    "patterns/exported": ("patterns.pieces", "EXPORTED"),
}


def imports(root: Path, prefix: str) -> nx.DiGraph:
    """Return who imports whom below ``root``, also inside functions and for type checkers only."""
    modules = {}
    for file in root.rglob("*.py"):
        name = ".".join((prefix, *file.relative_to(root).with_suffix("").parts))
        modules[name.removesuffix(".__init__")] = file
    graph = nx.DiGraph()
    for name, file in modules.items():
        for line in ast.walk(ast.parse(file.read_text())):
            wanted = []
            if isinstance(line, ast.Import):
                wanted = [alias.name for alias in line.names]
            elif isinstance(line, ast.ImportFrom):
                wanted = [f"{line.module}.{alias.name}" for alias in line.names]
                wanted = [w if w in modules else str(line.module) for w in wanted]
            graph.add_edges_from((name, w) for w in wanted if w in modules)
    return graph


def test_no_circles_of_imports() -> None:
    graph = imports(ROOT / "importers", "costmodel.importers")
    assert list(nx.simple_cycles(graph)) == []


def test_circles_of_imports_are_seen(tmp_path: Path) -> None:
    root = tmp_path / "package"
    root.mkdir()
    (root / "a.py").write_text("if TYPE_CHECKING:\n    from package.b import one\n")
    (root / "b.py").write_text("def f():\n    from package import a\n")
    assert len(list(nx.simple_cycles(imports(root, "package")))) == 1


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_of_the_folder_is_loaded(package: ModuleType) -> None:
    (folder,) = map(Path, package.__path__)
    written = {f"{package.__name__}.{file.stem}" for file in folder.glob("[!_]*.py")}
    assert written
    assert written <= set(sys.modules)


def test_a_new_file_is_found(tmp_path: Path) -> None:
    """A copy of the package with one more file in each folder, in a process of its own."""
    shutil.copytree(ROOT, tmp_path / "costmodel", ignore=shutil.ignore_patterns("__pycache__"))
    readers = ("ncnn.load", "onnx_file.reader", "torch_module.trace")
    checks = [f"import costmodel.importers.{name}" for name in readers]
    for folder, (place, registry) in REGISTRIES.items():
        line = f"from costmodel.importers.{place} import {registry}"
        file = tmp_path / "costmodel" / "importers" / folder / "brand_new.py"
        file.write_text(f"{line}\n{registry}.register('BrandNew')(print)\n")
        checks += [line, f"assert 'BrandNew' in {registry}, '{folder}'"]
    subprocess.run([sys.executable, "-c", "\n".join(checks)], cwd=tmp_path, check=True)


def test_modules_are_found_in_a_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "zipped.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped_handlers/__init__.py", "")
        file.writestr("zipped_handlers/one.py", "made = 1")
    monkeypatch.syspath_prepend(str(archive))
    import zipped_handlers

    assert load_modules(zipped_handlers) == ("zipped_handlers.one",)
    assert zipped_handlers.one.made == 1
