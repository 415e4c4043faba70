"""Advice and widths of networks in which several layers have the same learned tensors."""

from __future__ import annotations

import pytest

import costmodel as cm
from costmodel.errors import DataError, GraphError
from costmodel.guidelines import Case, free_widths
from costmodel.guidelines.branches import added_branches, merged_siblings
from costmodel.guidelines.drafts import drafts_of, rebuilt, with_ops
from costmodel.guidelines.elementwise import folded_norms, needless_shuffles
from costmodel.ops import BatchNorm, ChannelShuffle, Concat, Conv, Elementwise
from costmodel.platforms import load_platform

PI = "raspberry-pi-4/ncnn"


def network(steps):
    """Return a row of layers, each an operator and the name of its weights, or "" for its own."""
    b = cm.Builder("shared")
    x = b.input((1, 3, 8, 8))
    for op, weights in steps:
        x = b.add(op, x, weights=weights or None)
    return b.finish(b.add(Conv(4, (1, 1)), x, name="last"))


def rewrites(rule, graph):
    return list(rule(Case(graph, load_platform(PI))))


def test_layers_that_share_weights_keep_one_width():
    dense, own = Conv(16, (1, 1)), Conv(16, (1, 1))
    graph = network([(own, ""), (dense, "c"), (dense, "c"), (own, ""), (dense, "c")])
    free, now, layers = free_widths(graph)
    # Each reads and makes what the others do, and so does all that lies between them.
    assert list(now.values()) == [16]
    assert sum(map(len, layers.values())) == 5
    wide = cm.at(free, c1=24)
    assert cm.params(wide) == 3 * 24 + 2 * 24 * 24 + 24 * 4


def test_a_width_stays_where_one_layer_reads_what_has_none():
    siamese = cm.Builder("siamese")
    ends = []
    for _ in range(2):
        x = siamese.input((1, 3, 8, 8))
        ends.append(siamese.add(Conv(16, (1, 1)), x, weights="c"))
    both = siamese.add(Concat(1), *ends)
    _, now, layers = free_widths(siamese.finish(siamese.add(Conv(4, (1, 1)), both)))
    assert now == {"c1": 16}
    assert len(layers["c1"]) == 2
    # One use of "c" reads what a layer makes, twice over, the other an input of fixed width.
    mixed = cm.Builder("mixed")
    x = mixed.add(Conv(8, (1, 1)), mixed.input((1, 16, 8, 8)))
    y = mixed.add(Conv(8, (1, 1)), mixed.add(Concat(1), x, x), weights="c")
    z = mixed.add(Conv(8, (1, 1)), mixed.input((1, 16, 8, 8)), weights="c")
    with pytest.raises(DataError, match="no width of mixed is free"):
        free_widths(mixed.finish(y, z))


def test_a_change_of_one_of_two_layers_with_the_same_weights_is_refused():
    conv = Conv(8, (1, 1))
    graph = network([(Conv(8, (1, 1)), ""), (conv, "c"), (conv, "c")])
    drafts = drafts_of(graph)
    first, second = (n for n, d in drafts.items() if d.weights == "c")
    changed = with_ops(drafts, {second: conv.with_fields(bias=True)})
    with pytest.raises(GraphError, match=f"nodes '{first}' and '{second}' must have the same"):
        rebuilt(changed, graph)
    both = with_ops(changed, {first: conv.with_fields(bias=True)})
    assert cm.params(rebuilt(both, graph)) == cm.params(graph) + 8


@pytest.mark.parametrize(("norm", "folds"), [("n", 2), ("", 0)])
def test_norms_are_folded_into_shared_weights_where_all_uses_have_the_same(norm, folds):
    conv = Conv(3, (3, 3), padding="same")
    graph = network([(conv, "c"), (BatchNorm(), norm), (conv, "c"), (BatchNorm(), norm)])
    found = rewrites(folded_norms, graph)
    assert [len(r.layers) for r in found] == ([folds] if folds else [])


@pytest.mark.parametrize(("weights", "proposed"), [("", 1), ("c", 0)])
def test_weights_that_another_layer_needs_are_not_merged_added_or_shuffled(weights, proposed):
    # The last layer has the weights of one of those that a change would alter.
    def made(join):
        b = cm.Builder("branches")
        x = b.input((1, 8, 8, 8))
        ends = [b.add(Conv(8, (1, 1)), x, weights=w or None) for w in (weights, "")]
        y = b.add(join, *ends)
        return b.finish(b.add(Conv(8, (1, 1)), b.add(Conv(8, (1, 1)), y), weights=weights or None))

    assert len(rewrites(added_branches, made(Elementwise("add")))) == proposed
    assert len(rewrites(merged_siblings, made(Concat(1)))) == proposed
    steps = [(Conv(8, (1, 1)), ""), (ChannelShuffle(2), ""), (Conv(8, (1, 1)), weights)]
    steps += [(Elementwise("relu"), ""), (Conv(8, (1, 1)), weights)]
    assert len(rewrites(needless_shuffles, network(steps))) == proposed
