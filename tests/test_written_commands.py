"""Every command that the README and the guide show: read alike by shells, parsed, and run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

import costmodel as cm
from costmodel.calibration.measurement import Measurement, write_measurements
from costmodel.cli.app import app

ROOT = Path(__file__).parents[1]
SHELLS = [shell for shell in ("bash", "zsh") if shutil.which(shell)]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "index.md"]
PAGES += sorted((ROOT / "docs" / "guide").glob("*.md"))
COMMAND = re.compile(r"^ *(?:\$ |```\{command\} )?((?:costmodel|python -m validation) [a-z].*)$")
MEASURES = ("validate", "measure", "board")
"""Commands that measure: they are parsed, not run."""


def commands(page: Path) -> list[str]:
    """Return the commands of a page, each in one line, without remarks."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^ *```[^\n]*\n.*?^ *```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    found = [match[1] for line in lines if (match := COMMAND.match(line))]
    return [re.sub(r"\s+#.*$", "", command).strip() for command in found]


def directives(page: Path) -> list[str]:
    """Return the commands that run when a page is built."""
    return re.findall(r"^ *```\{command\} (.*?) *$", page.read_text("utf-8"), re.M)


WRITTEN = sorted({command for page in PAGES for command in commands(page)})


def measures(command: str) -> bool:
    words = shlex.split(command)
    return words[0] == "python" or words[1] in MEASURES or "--backend" in words


def test_commands_are_found() -> None:
    assert len(WRITTEN) >= 25
    assert sum(map(measures, WRITTEN)) < len(WRITTEN) / 2


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_read_the_words_of_python(shell: str, tmp_path: Path) -> None:
    """A word that a shell expands, such as one with "?" or "*", must be quoted."""
    lines = "\n".join(f"printf '%s\\n' {command} ." for command in WRITTEN)
    done = subprocess.run(
        [shell, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    words = [word for command in WRITTEN for word in (*shlex.split(command), ".")]
    assert done.stdout.splitlines() == words


@pytest.mark.parametrize("command", WRITTEN)
def test_written_commands_are_parsed(command: str) -> None:
    """Names, options and their types are those of the program."""
    words = shlex.split(command)
    if words[0] == "python":
        pytest.importorskip("torch")
        from costmodel_validation.__main__ import app as other

        group, words = get_command(other), words[3:]
    else:
        group, words = get_command(app), words[1:]
    context = group.make_context(group.name, words, resilient_parsing=True)
    while hasattr(group, "get_command"):
        found = group.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        group, words = found, words[1:]
        context = group.make_context(found.name, list(words), parent=context)


BUILT = {command for page in PAGES for command in directives(page)}
"""Commands whose output the pages show: they run whenever the pages are built."""
RUN = [command for command in WRITTEN if not measures(command) and command not in BUILT]


MINE = """
import costmodel as cm

try:
    from torch import nn
except ImportError:
    pass
else:

    class Net(nn.Module):
        def __init__(self, width=1):
            super().__init__()
            self.conv, self.table = nn.Conv2d(3, 8 * width, 3), nn.Embedding(100, 8)

        def forward(self, images, ids):
            return self.conv(images), self.table(ids)


def net():
    return cm.zoo.pointwise(28, 28, 16, 32)
"""


def write_onnx(file: Path, batch: int | str, size: int) -> None:
    """Write two convolutions of images."""
    from onnx import TensorProto, helper, numpy_helper, save

    shapes = {"v": (8, 3, 3, 3), "w": (8, 8, 1, 1)}
    weights = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in shapes.items()]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, channels, side, side])
        for name, channels, side in (("images", 3, size), ("y", 8, size - 2))
    ]
    nodes = [helper.make_node("Conv", ["images", "v"], ["x"])]
    nodes += [helper.make_node("Conv", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    opset = helper.make_opsetid("", 17)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), str(file))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages speak of: networks, tables, and files of devices."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "docs" / "data", folder, dirs_exist_ok=True)
    (folder / "my_models.py").write_text(
        "import torch\n\n\ndef make_net():\n    return torch.nn.Conv2d(3, 8, 3)\n"
    )
    (folder / "mine.py").write_text(MINE)
    if find_spec("onnx"):
        write_onnx(folder / "model.onnx", 1, 224)
        write_onnx(folder / "net.onnx", "batch", 640)
    networks = [f"shufflenet_v2?width=0.5&size={size}" for size in range(64, 225, 16)]

    def seconds(spec: str) -> float:
        return 1.3 * float(cm.latency(cm.network(spec), "raspberry-pi-5/tflite").seconds)

    rows = [Measurement(spec, seconds(spec)) for spec in networks]
    write_measurements(folder / "mine.csv", rows)
    # A command whose output the pages show writes it: that one runs when they are built.
    cm.calibrate(rows, "raspberry-pi-5/tflite").save(folder / "zen4.toml")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN)
def test_written_commands_run(command: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    monkeypatch.syspath_prepend(files)
    monkeypatch.setenv("COSTMODEL_HOME", str(files / "home"))
    words = shlex.split(command)[1:]
    if "python:my_models:make_net" in words:
        pytest.importorskip("torch")
    if any(word.startswith("python:mine.py:Net") for word in words):
        pytest.importorskip("torch")
    if any(word.endswith(".onnx") for word in words):
        pytest.importorskip("onnx")
    result = CliRunner().invoke(app, words, prog_name="costmodel", env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()
    sys.modules.pop("my_models", None)
