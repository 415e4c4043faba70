"""FLOPs are two a multiply-add, on every surface."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.report import collect, page, report_document


@pytest.mark.parametrize("network", ["resnet18", "shufflenet_v2", "vit"])
def test_flops_are_twice_the_multiply_adds_everywhere(network):
    graph = cm.network(network)
    madds = cm.multiply_adds(graph)
    assert cm.flops(graph) == 2 * madds == 2 * cm.cost(graph).multiply_adds
    assert cm.intensity(graph) == cm.flops(graph) / cm.mac(graph, unit="bytes")
    totals = report_document(collect(graph))["totals"]
    assert (totals["flops"], totals["multiply_adds"]) == (cm.flops(graph), madds)
    assert collect(graph).totals.flops == cm.flops(graph)
    said = CliRunner().invoke(app, ["report", network, "--json"])
    assert json.loads(said.stdout)["totals"]["flops"] == cm.flops(graph)


def test_formulas_follow_the_same_rule():
    graph = cm.zoo.pointwise(*cm.symbols("h w c1 c2"))
    for of, expected in (("flops", cm.flops(graph)), ("multiply-adds", cm.multiply_adds(graph))):
        printed = CliRunner().invoke(app, ["formula", "pointwise", "--of", of]).stdout.strip()
        assert printed == str(expected)


def test_pages_say_which_is_which():
    graph = cm.zoo.pointwise(56, 56, 128, 128)
    assert "51.38 M (FLOPs: 102.8 M)" in page(collect(graph))
    with pytest.raises(cm.CostModelError, match="per_multiply_add must be 1 or 2"):
        cm.flops(graph, per_multiply_add=3)
