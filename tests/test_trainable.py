"""Trainable parameters are told apart from frozen ones, operator by operator, as torch does."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.errors import DataError, GraphError
from costmodel.graph.convert import converted
from costmodel.graph.serialize import from_json, to_json
from costmodel.report import collect

torch = pytest.importorskip("torch")
nn = torch.nn

IMAGE, TOKENS, ROWS = (1, 3, 16, 16), (1, 5), (2, 6, 16)
NETWORKS = {
    "convolution, norm, head": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU(8), nn.Flatten(), nn.Linear(1568, 4)
        ),
        IMAGE,
    ),
    "transposed, grouped, group norm": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(3, 6, 2), nn.GroupNorm(3, 6), nn.Conv2d(6, 6, 1, groups=3)
        ),
        IMAGE,
    ),
    "LSTM": (lambda: nn.LSTM(16, 8, num_layers=2, bidirectional=True, proj_size=4), ROWS),
    "GRU without bias": (lambda: nn.GRU(16, 8, bias=False), ROWS),
    "embedding": (lambda: nn.Sequential(nn.Embedding(7, 16), nn.LayerNorm(16)), TOKENS),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), ROWS),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(16, 4)), ROWS),
}
FREEZE = {
    "nothing": lambda name: False,
    "everything": lambda name: True,
    "all but biases": lambda name: "bias" not in name,
    "biases": lambda name: "bias" in name,
    "the first module": lambda name: name.startswith(("0.", "weight_ih", "self_attn")),
}


def example(shape: tuple[int, ...]) -> object:
    return torch.zeros(shape, dtype=torch.int64 if shape == TOKENS else torch.float32)


@pytest.mark.parametrize("freeze", FREEZE.values(), ids=FREEZE)
@pytest.mark.parametrize(("make", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_trainable_parameters_are_those_of_torch(make, shape, freeze) -> None:
    module = make()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not freeze(name))
    graph = cm.from_torch(module, example(shape))
    assert cm.params(graph) == sum(p.numel() for p in module.parameters())
    wanted = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert cm.trainable_params(graph) == wanted
    assert cm.trainable_params(from_json(to_json(graph))) == wanted
    assert collect(graph).totals.trainable_params == wanted


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(7, 16), nn.Linear(16, 7)
        self.head.weight = self.table.weight
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, x: object) -> object:
        return self.head(self.table(x) * self.scale)


@pytest.mark.parametrize("frozen", ["table.weight", "head.bias", "scale"])
def test_tied_and_plain_parameters(frozen: str) -> None:
    module = Tied()
    dict(module.named_parameters())[frozen].requires_grad_(False)
    graph = cm.from_torch(module, example(TOKENS))
    wanted = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert cm.trainable_params(graph) == wanted


def test_symbolic_sizes_and_other_dtypes_keep_them() -> None:
    module = NETWORKS["convolution, norm, head"][0]()
    module[0].requires_grad_(False)
    graph = cm.from_torch(module, example(IMAGE), dynamic={"n": 0})
    wanted = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert cm.trainable_params(graph) == wanted
    assert cm.trainable_params(converted(cm.at(graph, n=2), "float16")) == wanted


def test_a_source_that_does_not_say_is_an_error_and_null() -> None:
    graph = cm.zoo.resnet18()
    with pytest.raises(DataError, match="nothing says which parameters of .* are trainable"):
        cm.trainable_params(graph)
    result = CliRunner().invoke(app, ["report", "resnet18", "--json"])
    assert json.loads(result.stdout)["totals"]["trainable_params"] is None
    assert "trainable" not in CliRunner().invoke(app, ["report", "resnet18"]).stdout


def test_reports_have_a_row_for_what_is_frozen(tmp_path, monkeypatch) -> None:
    (tmp_path / "tuned.py").write_text(
        "import torch\n"
        "def net():\n"
        "    made = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Linear(4, 2))\n"
        "    made[0].requires_grad_(False)\n"
        "    return made\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["report", "python:tuned.py:net", "--input", "1x8"]
    text = CliRunner().invoke(app, words).output
    CliRunner().invoke(app, [*words, "--html", "page.html"])
    assert "trainable parameters" in text
    assert "36 frozen" in text
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "trainable parameters" in page
    assert "10 (36 frozen)" in page


@pytest.mark.parametrize("flags", [[1, 0], "yes", {"a": True}, ["true"]], ids=str)
def test_files_with_other_flags_are_refused(flags: object) -> None:
    graph = cm.from_torch(nn.Linear(4, 2), torch.zeros(1, 4))
    document = json.loads(to_json(graph))
    for node in document["nodes"]:
        if "trainable" in node:
            node["trainable"] = flags
    with pytest.raises(GraphError, match="trainable must be a tuple of booleans"):
        from_json(json.dumps(document))
