"""Products with zero behind a converter that first multiplies them into weights."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.graph.builder import Value
from costmodel.kernels import lower
from costmodel.ops import BatchNorm, Conv, Elementwise, Pool
from costmodel.runtimes import load_runtime

SHAPE = (1, 8, 4, 4)
RELU, ADD, PLAIN = Elementwise("relu"), Elementwise("add"), Conv(8, (1, 1))
AVERAGE = Pool("avg", (3, 3), 1, 1)


def names(graph: nx.DiGraph, runtime: str) -> list[tuple[str, ...]]:
    return [kernel.nodes for kernel in lower(graph, load_runtime(runtime))]


def times_zero(b: cm.Builder, x: Value) -> Value:
    return b.add(Elementwise("mul", 0.0), x)


@pytest.mark.parametrize("norm", [False, True])
def test_a_product_with_zero_goes_into_the_weights_before_it(norm: bool) -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    y = b.add(PLAIN, x, name="scaled")
    y = b.add(BatchNorm(), y) if norm else y
    g = b.finish(b.add(ADD, b.add(PLAIN, x, name="other"), times_zero(b, y)))
    assert names(g, "tflite") == [("other",)]
    assert [nodes[0] for nodes in names(g, "tflite-toco")] == ["scaled", "other", "add"]


@pytest.mark.parametrize("op", [AVERAGE, RELU, ops.ConvTranspose(8, (1, 1))])
def test_an_operator_without_weights_to_scale_is_dropped(op: ops.Op) -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    g = b.finish(b.add(ADD, b.add(PLAIN, x, name="other"), times_zero(b, b.add(op, x))))
    assert names(g, "tflite-toco") == [("other",)]


def test_weights_are_not_scaled_if_another_operator_reads_the_result() -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    y = b.add(PLAIN, x)
    dead = times_zero(b, b.add(ADD, y, x))
    g = b.finish(b.add(ADD, b.add(ADD, b.add(RELU, x, name="other"), times_zero(b, y)), dead))
    assert names(g, "tflite-toco") == [("other",)]


def test_pools_of_constants_run_where_none_are_computed_in_advance() -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    zero = b.add(AVERAGE, times_zero(b, x), name="pool")
    g = b.finish(b.add(ADD, b.add(PLAIN, x, name="other"), zero))
    assert names(g, "tflite") == [("other",)]
    assert sorted(names(g, "tflite-toco")) == [("add",), ("other",), ("pool",)]


# Operations that run in a cell, as times on a Pixel 3 tell. [ms] There x alone takes 1.48, and an
# operation adds to it: 1x1 0.8, 3x3 6.5, a pool 1.7.
@pytest.mark.parametrize(
    ("cell", "runs"),
    [
        ("1+nn+3nn", "13"),  # 9.00
        ("1+ns+3nn", "13"),  # 8.94
        ("s+n1+nnn", "1"),  # 2.19
        ("3+n1+nnn", "13"),  # 8.72
        ("n+1s+snn", "1"),  # 2.36
        ("1+pn+1ns", "11p"),  # 4.92
        ("3+sn+sn3", "33"),  # 14.76
        # A sum that is itself multiplied by zero takes the last product with it.
        ("1+sn+1nn", "1"),  # 2.19
        ("3+3n+1nn", "1"),  # 2.19
        ("1+pn+snn", ""),  # 1.48
        # Two operators read the convolution.
        ("3+3s+1nn", "1"),  # 2.19
        ("p+nn+1nn", "1"),  # 2.19
        ("n+sn+spn", "p"),  # 3.18
    ],
)
def test_edges_that_run_on_a_pixel_3(cell: str, runs: str) -> None:
    edges = {"n": "none", "s": "skip_connect", "p": "avg_pool_3x3"}
    edges |= {k: f"nor_conv_{k}x{k}" for k in "13"}
    arch = "+".join(
        "".join(f"|{edges[kind]}~{i}" for i, kind in enumerate(node)) + "|"
        for node in cell.split("+")
    )
    g = cm.network(f"nasbench201?cells=1&arch_str={arch}")
    found = lower(g, load_runtime("tflite-toco"))
    kinds = Counter(k.kind for k in found if k.name.startswith("stage1"))
    own = {"pointwise": "1", "convolution": "3", "pool": "p"}
    assert "".join(short * kinds[kind] for kind, short in own.items()) == runs
