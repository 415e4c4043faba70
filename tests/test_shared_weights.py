"""Layers that share weights by name: counted once where they can share, refused where not."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

import costmodel as cm
from costmodel.errors import GraphError
from costmodel.graph import from_json, to_json
from costmodel.ops import Conv, Elementwise, Embedding, LayerNorm, Linear, MatMul, Op
from costmodel.report import collect

WORDS, FEATURES = 100, 8


def chain(*layers: tuple[Op, str | None], shape: tuple = (1, 8, 7, 7)) -> nx.DiGraph:
    b = cm.Builder("chain")
    x = b.input(shape)
    for op, weights in layers:
        x = b.add(op, x, weights=weights)
    return b.finish(x)


def tied(bias: bool, features: object = FEATURES) -> nx.DiGraph:
    b = cm.Builder("tied")
    x = b.add(Embedding(WORDS, features), b.input((1, 4), "int64"), name="table")
    return b.finish(b.add(Linear(WORDS, bias), x, weights="table"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Conv(8, (3, 3), padding=1), Conv(16, (3, 3))),
        (Conv(8, (3, 3), padding=1), Conv(8, (1, 1))),
        (Conv(8, (3, 3), padding=1), Conv(8, (3, 3), groups=8)),
        (Conv(8, (1, 1)), LayerNorm(1)),
        (Elementwise("relu"), Conv(8, (1, 1))),
    ],
)
def test_weights_of_other_shapes_cannot_be_shared(first: Op, second: Op) -> None:
    with pytest.raises(GraphError, match="share the weights 'w'") as error:
        chain((first, "w"), (second, "w"))
    names = [list(chain((op, None)))[1] for op in (first, second)]
    assert all(name in str(error.value) for name in names)


def test_a_graph_made_by_hand_or_read_is_refused(tmp_path: Path) -> None:
    g = chain((Conv(8, (3, 3), padding=1), None), (Conv(16, (3, 3)), None))
    g.nodes["conv_2"]["weights"] = "conv"
    words = "nodes 'conv' and 'conv_2' share the weights 'conv'"
    for call in (cm.validate, cm.params, collect):
        with pytest.raises(GraphError, match=words):
            call(g)
    with pytest.raises(GraphError, match=words):
        from_json(json.loads(json.dumps(to_json(g))))


def test_layers_of_one_shape_count_once() -> None:
    g = chain((Conv(8, (3, 3), padding=1), "w"), (Conv(8, (3, 3), padding=1), "w"))
    assert cm.params(g) == 8 * 8 * 9


@pytest.mark.parametrize("features", [FEATURES, cm.dim("d")])
def test_a_tied_table_counts_once_and_the_bias_of_its_layer_too(features: object) -> None:
    assert cm.params(tied(False, features)) == WORDS * features
    assert cm.params(tied(True, features)) == WORDS * features + WORDS


def test_the_bias_of_a_tied_layer_is_in_bytes_and_rows_and_trainable() -> None:
    g = tied(True)
    assert cm.params(g, unit="bytes") == 4 * (WORDS * FEATURES + WORDS)
    assert [row.params for row in collect(g).operators] == [WORDS * FEATURES, WORDS]
    g.nodes["table"]["trainable"] = (True,)
    g.nodes["linear"]["trainable"] = (True, False)
    assert cm.trainable_params(g) == WORDS * FEATURES


def test_a_layer_may_be_the_transposed_of_another() -> None:
    g = chain((Linear(32, bias=False), "w"), (Linear(8, bias=False), "w"), shape=(1, 8))
    assert cm.params(g) == 8 * 32
    wide = chain((Linear(32), "w"), (Linear(8), "w"), shape=(1, 8))
    assert cm.params(wide) == 8 * 32 + 32 + 8


def test_computed_weights_are_those_of_their_producer() -> None:
    b = cm.Builder("computed")
    x, y = b.input((8, 8, 1, 1)), b.input((1, 8, 7, 7), name="image")
    kernel = b.add(Elementwise("relu"), x, name="kernel")
    g = b.finish(b.add(Conv(8, (1, 1)), y, weights="kernel"), kernel)
    assert cm.params(g) == 0


def test_operators_without_weights_may_have_any_name() -> None:
    b = cm.Builder("product")
    x = b.input((8, 8))
    y = b.add(Linear(8, bias=False), x, weights="w")
    assert cm.params(b.finish(b.add(MatMul(), y, y, weights="w"))) == 64
