"""Sizes that follow from others: taken to divide and to fit, and stated again where marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import costmodel as cm
from costmodel import ops, zoo
from costmodel.algebra.sizes import taken
from costmodel.errors import CostModelError, ShapeError
from costmodel.graph.serialize import from_json, to_json
from costmodel.ops.tensor import Tensor

H, K = cm.symbols("h k")


def test_sizes_that_are_inferred_are_taken_to_divide_and_to_fit() -> None:
    c, h, g = cm.symbols("c h g")
    x = Tensor((1, c, h, h))
    assert ops.Conv(8, (5, 5)).infer(x)[0].shape == (1, 8, h - 4, h - 4)
    assert ops.Conv(g, (1, 1), groups=g).weights(x)[0].shape == (g, c / g, 1, 1)
    assert ops.Split(1, 2).infer(x)[0].shape == (1, c / 2, h, h)
    assert ops.PixelShuffle(2).infer(x)[0].shape == (1, c / 4, 2 * h, 2 * h)
    assert ops.ConvTranspose(8, (1, 1), padding=3).infer(x)[0].shape == (1, 8, h - 6, h - 6)
    with pytest.raises(ShapeError, match="not divisible by 2"):
        ops.Split(1, 2).infer(Tensor((1, 2 * c + 1)))
    with pytest.raises(ShapeError, match="does not fit"):
        ops.Conv(8, (5, 5)).infer(Tensor((1, 3, np.array([9, 3]), 9)))


def halves(c: Any) -> Any:
    """Return a network that halves its channels and states the half again."""
    b = cm.Builder("halves")
    x = b.input((1, c, 9, 9))
    left, right = b.add_many(ops.Split(1, 2), x)
    half = taken(right.shape[1])
    y = b.add(ops.Conv(half, (3, 3), groups=half), right)
    y = b.add(ops.Reshape(taken((1, c / 2 * 49 if isinstance(c, sympy.Expr) else -1))), y)
    return b.finish(left, y)


def test_a_size_that_is_taken_may_be_stated_again() -> None:
    c = cm.dim("c")
    graph = halves(c)
    conv = graph.nodes["conv"]["op"]
    assert (conv.out_channels, conv.groups) == (c / 2, c / 2)  # plain expressions
    cm.validate(graph)
    assert cm.mac(graph).subs(c, 8) == cm.mac(halves(8)) == cm.mac(cm.at(graph, c=8))
    assert cm.mac(cm.at(graph, c=np.array([8, 12]))).tolist() == [
        cm.mac(halves(8)), cm.mac(halves(12)),
    ]  # fmt: skip
    wide = cm.at(graph, c=2 * K + 4)
    assert wide.nodes["conv"]["op"].out_channels == K + 2
    with pytest.raises(CostModelError, match="node 'split': Split size 7 is not divisible by 2"):
        cm.at(graph, c=7)
    assert conv.with_fields(bias=True).groups == c / 2


def test_only_an_expression_can_be_taken() -> None:
    for value in (0, 3.0, True, -H, (2 * K + 1) / 2, np.array([0]), sympy.nan, sympy.Symbol("h")):
        with pytest.raises(ShapeError):
            ops.Linear(taken(value))
    assert ops.Linear(taken(8)).out_features == 8
    assert ops.Conv(8, (3, 3), padding=taken(((0, H - 2), (0, 0)))).padding == ((0, H - 2), (0, 0))


@pytest.mark.parametrize(
    "graph",
    [
        halves(cm.dim("c")),
        zoo.shufflenet_v2(channels=cm.symbols("c1 c2 c3 c4 c5"), size=32 * K),
        zoo.g3_stack("2-fragment-parallel", cm.dim("c"), blocks=1),
        zoo.g4_stack(cm.dim("c"), blocks=1),
        zoo.bert(layers=1, hidden=cm.dim("d"), heads=cm.dim("a")),
    ],
    ids=lambda graph: graph.name,
)
def test_networks_that_take_sizes_come_back_from_json(graph: Any) -> None:
    text = to_json(graph)
    again = from_json(text)
    assert to_json(again) == text
    assert cm.mac(again) == cm.mac(graph)
    assert '"taken"' in text
    with pytest.raises(CostModelError, match="node "):
        from_json(text.replace('"taken"', '"expr"'))


def test_part_of_the_symbols_of_a_network_that_takes_sizes_may_be_put_in() -> None:
    graph = zoo.shufflenet_v2(channels=cm.symbols("c1 c2 c3 c4 c5"))
    part = cm.at(graph, c1=24, c3=232, c5=1024)
    assert cm.multiply_adds(cm.at(part, c2=116, c4=464)) == cm.multiply_adds(zoo.shufflenet_v2(1.0))
    with pytest.raises(CostModelError, match="node "):
        cm.at(part, c2=20, c4=464)  # 20 - 24 channels
