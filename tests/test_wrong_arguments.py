"""Wrong arguments of solve, sweep, find_space and sensitivities: one sentence each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import costmodel as cm
from costmodel.errors import DataError

P = "raspberry-pi-4/ncnn"
GRAPH = cm.zoo.pointwise(56, 56, *cm.symbols("c1 c2"))
WORK = {"multiply_adds": 51e6}
SPACE = cm.find_space("mobilenet_v1", {"width": (0.5, 1.0)})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cm.solve(GRAPH, at_least={"mac": "5"}), "the value of mac must be a positive"),
        (lambda: cm.solve(GRAPH, keep={"c1": "a", "c2": 3}), "the value of c1 must be a positive"),
        (lambda: cm.solve(GRAPH, at_least=5), "at_least must be a mapping of names to values"),
        (lambda: cm.solve(GRAPH, at_most=[1]), "at_most must be a mapping of names to values"),
        (lambda: cm.solve(GRAPH, keep=[1]), "keep must be a mapping of names to values"),
        (lambda: cm.solve(GRAPH, ranges=5), "ranges must be a mapping of names to values"),
        (lambda: cm.solve(GRAPH, ranges={"c1": (1,)}), "the range of c1 must be two integers"),
        (lambda: cm.solve(GRAPH, ranges={"c1": 5}), "the range of c1 must be two integers"),
        (lambda: cm.solve(GRAPH, ranges={"c1": (1, 2.5)}), "the range of c1 must be two integers"),
        (lambda: cm.solve(GRAPH, at_least=WORK, multiple=0), "multiple must be a positive integer"),
        (lambda: cm.solve(GRAPH, at_least=WORK, multiple=1.5), "multiple must be a positive int"),
        (lambda: cm.sweep(SPACE, P, best="1"), "best must be an integer, got '1'"),
        (lambda: cm.sweep(SPACE, P, 5), "where must be a text and front a list of columns"),
        (lambda: cm.sweep(SPACE, P, front="latency"), "where must be a text and front a list of"),
        (lambda: cm.find_space("mobilenet_v1", {"width": 0.5}), "width must be a list, got 0.5"),
        (lambda: cm.find_space("mobilenet_v1", {"width": "1"}), "width must be a list, got '1'"),
        (lambda: cm.meet("resnet18", P, "batch", 1.0), "must be an Axis, as in Axis('batch'"),
        (lambda: cm.crossovers("resnet18", "resnet50", P, ("batch", 1, 8)), "must be an Axis"),
        (lambda: cm.sensitivities(GRAPH, P), "but c1, c2 of pointwise are free: give them values"),
    ],
)
def test_a_wrong_argument_is_one_sentence(call: Callable[[], object], said: str) -> None:
    with pytest.raises(DataError) as error:
        call()
    assert said in str(error.value)
    assert len(str(error.value)) <= 160
