"""Totals of other tools: those that the tools themselves print, and what they are made of."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.report.like import TOOLS, like
from costmodel.report.tables import print_likeness

# What the tools print for torchvision's networks: fvcore 0.1.5, thop 0.1.1, ptflops 0.7.5.
PRINTED = {
    ("resnet18", "torch"): 3_628_146_688,
    ("resnet18", "fvcore"): 1_819_065_856,
    ("resnet18", "thop"): 1_824_033_792,
    ("resnet18", "ptflops"): 1_825_313_768,
}


@pytest.mark.parametrize(("network", "tool"), PRINTED)
def test_totals_are_those_that_tools_print(network, tool):
    found = like(cm.network(network), tool)
    # The pooling in front of the classifier is the zoo's own, as torchvision has it.
    assert found.total == PRINTED[network, tool]


def test_layers_of_every_kind_count_as_the_tools_count_them():
    torch = pytest.importorskip("torch")
    from torch import nn

    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.GroupNorm(2, 8),
        nn.PReLU(),
        nn.ConvTranspose2d(8, 4, 3, stride=2),
        nn.AvgPool2d(2),
        nn.Upsample(scale_factor=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.BatchNorm2d(4, affine=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ).eval()
    graph = cm.from_torch(net, torch.zeros(1, 3, 32, 32))
    totals = {tool: like(graph, tool).total for tool in TOOLS}
    printed = {"torch": 907_240, "fvcore": 849_620, "thop": 2_097_672, "ptflops": 851_077}
    assert totals == printed
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, 32, 32))
    assert counter.get_total_flops() == totals["torch"]


def attention(causal: bool):
    b = cm.Builder("attention")
    q, k, v = (b.input((1, 4, 16, 8)) for _ in range(3))
    return b.finish(b.add(cm.ops.Attention(causal=causal), q, k, v))


def test_the_causal_half_and_attention_that_is_not_seen_are_told():
    whole = 2 * 4 * 16 * 16 * 8
    half = 2 * 4 * (16 * 17 // 2) * 8
    found = like(attention(causal=True), "torch")
    assert (found.multiply_adds, found.total) == (half, 2 * whole)
    (difference,) = found.differences
    assert "causal mask" in difference.reason
    assert like(attention(causal=False), "torch").differences == ()
    for tool in ("fvcore", "thop", "ptflops"):
        found = like(attention(causal=True), tool)
        assert found.total == 0
        assert "counts as nothing" in found.differences[0].reason


def test_recurrent_layers_without_a_rule_are_named():
    b = cm.Builder("recurrent")
    x = b.add(cm.ops.Recurrent("lstm", 8), b.input((5, 1, 8)), name="lstm")
    graph = b.finish(x)
    assert like(graph, "thop").untold == ("lstm",)
    assert like(graph, "torch").total == 0
    stream = io.StringIO()
    print_likeness(Console(file=stream, width=80), "recurrent", like(graph, "ptflops"))
    assert "No rule is known here for recurrent layers" in stream.getvalue()


def test_an_unknown_tool_is_refused():
    with pytest.raises(DataError, match="known are torch, fvcore, thop, ptflops"):
        like(cm.zoo.resnet18(), "tool")


@pytest.mark.parametrize("tool", TOOLS)
def test_the_command_explains_every_operator(tool):
    arguments = ["report", "shufflenet_v2", "--like", tool]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "60"})
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert f"{like(cm.zoo.shufflenet_v2(), tool).total:,}" in result.stdout
    refused = CliRunner().invoke(app, [*arguments, "--json"])
    assert refused.exit_code == 2
    assert "--like explains a count" in refused.stderr
