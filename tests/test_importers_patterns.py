"""Patterns of what exporters take apart: every way to write them, near misses, other takers."""

from __future__ import annotations

import dataclasses

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from near_misses import NEAR_MISSES, learned_groups, mean_of_another, wrong_scale
from numeric import evaluate
from written import FORMS, SHAPE, SLOPED, Form, Writer, centred, layer_norm, normalized

import costmodel as cm
import costmodel.importers.onnx_file.reader
from costmodel.importers import onnx_file  # noqa: F401  (loads the patterns)
from costmodel.importers.emitter import Emitter, Stored
from costmodel.importers.patterns.pieces import EXPORTED, Note
from costmodel.importers.patterns.shuffle import channel_shuffle
from costmodel.importers.patterns.together import put_together
from costmodel.ops import (
    AdaptivePool,
    Cast,
    Conv,
    Elementwise,
    GroupNorm,
    LayerNorm,
    Op,
    Parameter,
    Reduce,
    Split,
)
from costmodel.ops.tensor import Tensor

PATTERNS = {"channel_shuffle": channel_shuffle, **dict(EXPORTED.items())}


_ACTIVATIONS = [
    name for name, (_, op) in FORMS.items() if isinstance(op, Elementwise) and name not in SLOPED
]
_NUMBERS = (0.5, 1, 3, 6, 1 / 6, 0.70710678, 0.044715, 0.79788456)
_MIXED = ("erf", "relu6", "sigmoid", "softplus", "tanh", "hard_sigmoid")


def written(form: Form, *more: str) -> nx.DiGraph:
    """Return a graph of ``form`` between two operators; the values of ``more`` are outputs too."""
    w = Writer()
    a = w.builder.input(SHAPE)
    # What is taken is a product itself, and positive in one half.
    last = w.sub(form(w, w.mul(a, w.abs(a))), 1)
    return w.builder.finish(last, *(w.made[name] for name in more))


def together(graph: nx.DiGraph, notes: dict[str, Note] | None = None) -> nx.DiGraph:
    """Return ``graph`` put together; whatever was found, it must compute what it did."""
    before, params = evaluate(graph), cm.params(graph)
    graph = put_together(graph, PATTERNS, notes or {})
    cm.validate(graph)
    for old, new in zip(before, evaluate(graph), strict=True):
        scale = np.abs(old).max()
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-4 * scale)
    assert cm.params(graph) == params
    return graph


def ops(graph: nx.DiGraph) -> list[Op]:
    return [op for _, op in graph.nodes(data="op")]


def inner(name: str) -> list[str]:
    """Return the nodes of a form that compute something, but for the last."""
    graph = written(FORMS[name][0])
    return [n for n in list(graph)[3:-3] if not isinstance(graph.nodes[n]["op"], Parameter)]


def numbers(name: str) -> list[str]:
    """Return the nodes of a form with a number that decides; limits and epsilons do not."""
    graph = written(FORMS[name][0])
    values = {n: getattr(graph.nodes[n]["op"], "value", None) for n in list(graph)[3:-2]}
    return [n for n, value in values.items() if value not in (None, 0, 20, 1e-5, 1e-6)]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_one_operator(name: str) -> None:
    form, whole = FORMS[name]
    graph = written(form)
    graph = put_together(graph, PATTERNS, {}) if name in SLOPED else together(graph)
    assert ops(graph)[3:-2] == [whole]


@pytest.mark.parametrize(("name", "more"), [(n, piece) for n in FORMS for piece in inner(n)])
def test_what_is_an_output_is_not_swallowed(name: str, more: str) -> None:
    graph = together(written(FORMS[name][0], more))
    assert [type(op).__name__ for op in ops(graph)].count("Output") == 2


@pytest.mark.parametrize(("name", "node"), [(n, node) for n in FORMS for node in numbers(n)])
def test_a_near_miss_of_a_number_does_not_match(name: str, node: str) -> None:
    graph = written(FORMS[name][0])
    op = graph.nodes[node]["op"]
    wrong = dataclasses.replace(op, value=op.value * 1.02)
    graph.nodes[node]["op"] = wrong
    assert wrong in ops(together(graph))


@pytest.mark.parametrize(("name", "node"), [(n, node) for n in FORMS for node in inner(n)])
def test_an_operator_that_computes_something_else_does_not_match(name: str, node: str) -> None:
    """A number on the other side (``2 / x``), another slope: only a note says so."""
    graph = written(FORMS[name][0])
    op = graph.nodes[node]["op"]
    if isinstance(op, Elementwise):
        assert op in ops(together(graph, {node: Note.OTHER}))


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses_stay_apart(name: str) -> None:
    graph = written(NEAR_MISSES[name])
    before = ops(graph)
    assert ops(together(graph)) == before


@given(st.data())
def test_networks_of_pieces_compute_what_they_did(data: st.DataObject) -> None:
    """Any mixture of the pieces, with any sharing: what is found must be what was written."""
    w = Writer()
    values = [w.builder.input(SHAPE)]
    for _ in range(data.draw(st.integers(4, 12))):
        x, y = (data.draw(st.sampled_from(values[-4:])) for _ in range(2))
        kind = data.draw(st.sampled_from((*_MIXED, "add", "mul", "mul", "form")))
        if kind == "form":
            values.append(FORMS[data.draw(st.sampled_from(_ACTIVATIONS))][0](w, x))
        elif kind in _MIXED:
            values.append(getattr(w, kind)(x))
        else:
            values.append(getattr(w, kind)(x, data.draw(st.sampled_from((y, *_NUMBERS)))))
    together(w.builder.finish(*values[-2:]))


def test_a_scale_of_another_shape_stays() -> None:
    found = ops(together(written(wrong_scale)))
    assert LayerNorm(affine=False, bias=False) in found
    assert Parameter((4, 1)) in found


def test_the_mean_of_another_stays() -> None:
    """Without its own mean, the difference is what a root mean square norm takes."""
    found = ops(together(written(mean_of_another)))
    assert LayerNorm(affine=False, rms=True, bias=False) in found
    assert Reduce("mean", (3,), True) in found


@pytest.mark.parametrize("shape", [(4, 4), (4,)])
def test_means_without_their_axis_stay(shape: tuple[int, ...]) -> None:
    w = Writer()
    x, mean = w.builder.input(shape), Reduce("mean", (-1,))
    y = w.sub(x, w(mean, x))
    graph = w.builder.finish(w.div(y, w.sqrt(w.add(w(mean, w.square(y)), 1e-5))))
    before = ops(graph)
    assert ops(put_together(graph, PATTERNS, {})) == before


def test_a_pool_to_every_pixel_is_no_mean() -> None:
    w = Writer()
    x = w.builder.input(SHAPE)
    y = w.sub(x, w(AdaptivePool("avg", (4, 4)), x))
    squares = w(AdaptivePool("avg", (4, 4)), w.square(y))
    graph = w.builder.finish(w.div(y, w.sqrt(w.add(squares, 1e-5))))
    before = ops(graph)
    assert ops(put_together(graph, PATTERNS, {})) == before


@pytest.mark.parametrize("kind", ["add", "mul"])
def test_groups_with_a_scale_or_a_shift_alone_keep_it(kind: str) -> None:
    w = Writer()
    x = w.builder.input(SHAPE)
    y = w.reshaped(w(GroupNorm(2, affine=False), w.reshaped(x, 2, 2, 64)), *SHAPE)
    graph = w.builder.finish(getattr(w, kind)(y, w.learned(8, 1, 1)))
    found = ops(put_together(graph, PATTERNS, {}))
    assert found[1:-1] == [GroupNorm(2, affine=False), Parameter((8, 1, 1)), Elementwise(kind)]


def test_an_untrained_instance_norm_keeps_its_parameters() -> None:
    w = Writer()
    y = w(GroupNorm(8), w.builder.input((2, 8, 16)))
    graph = put_together(w.builder.finish(y), PATTERNS, {y.node: Note.PLAIN})
    assert ops(graph)[1:-1] == [GroupNorm(8)]


def test_groups_that_are_scaled_by_one_are_found_by_their_note() -> None:
    graph = written(learned_groups)
    (norm,) = (n for n, op in graph.nodes(data="op") if isinstance(op, GroupNorm))
    graph = put_together(graph, PATTERNS, {norm: Note.PLAIN})
    assert GroupNorm(2, affine=False) in ops(graph)


@pytest.mark.parametrize("number", [(), (0.5,)], ids=["powers", "numbers"])
def test_long_products_are_read_without_end(number: tuple[float, ...]) -> None:
    w = Writer()
    x = w.builder.input((2,))
    for _ in range(3000):
        x = w.mul(x, *number or (x,))
    graph = w.builder.finish(x)
    assert len(put_together(graph, PATTERNS, {})) == 3002


def test_a_gate_around_an_activation_stays() -> None:
    w = Writer()
    gate, x = w.builder.input(SHAPE), w.builder.input(SHAPE)
    graph = together(w.builder.finish(w.mul(gate, w.mul(x, w.sigmoid(x)))))
    assert ops(graph)[2:-1] == [Elementwise("silu"), Elementwise("mul")]


def test_outputs_of_one_node_are_told_apart() -> None:
    w = Writer()
    first, second = w.builder.add_many(Split(1, 2), w.builder.input(SHAPE))
    crossed, own = w.mul(second, w.sigmoid(first)), w.mul(second, w.sigmoid(second))
    graph = put_together(w.builder.finish(crossed, own), PATTERNS, {})
    cm.validate(graph)
    assert list(graph) == ["input", "split", "sigmoid", "mul", "silu", "output", "output_2"]
    assert graph.edges["split", "silu"]["links"] == ((1, 0),)


def test_a_casted_input_stays_where_the_result_is_not_cast_back() -> None:
    w = Writer()
    x = w(Cast("float64"), w.builder.input(SHAPE))
    graph = put_together(w.builder.finish(normalized(w, centred(w, x, 3), 3)), PATTERNS, {})
    assert ops(graph)[1:-1] == [Cast("float64"), LayerNorm(affine=False, bias=False)]


def test_nodes_are_named_as_a_builder_names_them() -> None:
    w = Writer()
    x = w.builder.input(SHAPE)
    with w.builder.module("block.act"):
        x = w.mul(x, w.sigmoid(x))
        x = w.mul(x, w.sigmoid(x))
    with w.builder.module("block.norm"):
        x = layer_norm(w, x)
    graph = put_together(w.builder.finish(x), PATTERNS, {})
    names = ["block.act.silu", "block.act.silu_2", "block.norm.layer_norm"]
    assert list(graph)[1:-1] == names
    # The name of the scale goes with the operator.
    weights = [graph.nodes[name]["weights"] for name in names]
    assert weights == [*names[:2], "block.norm.parameter"]
    assert {graph.nodes[name]["module"] for name in names} == {"block.act", "block.norm"}


def test_a_shared_scale_serves_every_norm() -> None:
    w = Writer()
    x, scale, shift = w.builder.input(SHAPE), w.learned(4), w.learned(4)
    for _ in range(2):
        x = w.add(w.mul(normalized(w, centred(w, x, 3), 3), scale), shift)
    graph = together(w.builder.finish(x))
    assert ops(graph)[1:-1] == [LayerNorm(), LayerNorm()]


def test_weights_that_are_computed_keep_the_node_that_they_are_named_after() -> None:
    """A convolution takes its kernel by name and not by an edge."""
    emit = Emitter("net")
    x = emit.input(SHAPE, "float32", "x")
    stored = Stored("conv.weight", Tensor((4, 8, 3, 3)), learned=True)
    kernel = emit.add(Elementwise("mul"), stored, emit.add(Elementwise("sigmoid"), stored))
    y = emit.add(Conv(4, (3, 3)), x, weights=emit.weight_name(kernel))
    graph = emit.finish([y], EXPORTED.items())
    assert Elementwise("silu") not in ops(graph)
    assert cm.params(graph) == 4 * 8 * 9
