"""Every operator and network at arrays of sizes, up to the limits of a tensor, as at each entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

import costmodel as cm
from costmodel import ops
from costmodel.algebra.sizes import MAX_DIM
from costmodel.errors import CostModelError, ShapeError
from costmodel.testing import STRATEGIES, Case, Template
from costmodel.testing.opening import figures
from costmodel.zoo.parameters import accepted

EXACT = 2**53
CAPACITY = 10**4
PLATFORMS = ("gtx-1080-ti/torch-eager", "raspberry-pi-4/ncnn")
COUNTS: dict[str, Callable[[nx.DiGraph], Any]] = {
    "flops": cm.multiply_adds,
    "mac": cm.mac,
    "bytes": lambda g: cm.mac(g, unit="bytes"),
    "params": cm.params,
    "parameter bytes": lambda g: cm.params(g, unit="bytes"),
    "work": cm.work,
    "span": cm.span,
    "memory": cm.activation_memory,
    "io_lower_bound": cm.io_lower_bound,
}
QUOTIENTS: dict[str, Callable[[nx.DiGraph], Any]] = {
    "parallelism": cm.parallelism,
    "intensity": cm.intensity,
    "mac_lower_bound": cm.mac_lower_bound,
    "cache_lower_bound": lambda g: cm.cache_lower_bound(g, capacity=CAPACITY),
    **{
        f"seconds on {name}": lambda g, name=name: cm.latency(g, name).seconds for name in PLATFORMS
    },
}


def entry(value: Any, i: int, count: int) -> Any:
    return np.broadcast_to(value, count)[i]


def assert_count(name: str, found: Any, right: int) -> None:
    if right < EXACT:
        assert found == right, name
    else:
        assert abs(int(found) - right) <= 1e-12 * right, name


def assert_agree(wide: nx.DiGraph, each: list[nx.DiGraph]) -> None:
    """Check that all metrics of a graph of arrays are those of each of its entries."""
    for name, count in COUNTS.items():
        found = count(wide)
        for i, graph in enumerate(each):
            assert_count(name, entry(found, i, len(each)), count(graph))
    for name, quotient in QUOTIENTS.items():
        try:
            right = [quotient(graph) for graph in each]
        except CostModelError as error:  # undefined where nothing is computed or moved
            with pytest.raises(type(error)):
                quotient(wide)
            continue
        try:
            found = quotient(wide)
        except ShapeError as error:
            assert "another kind of kernel" in str(error)
            continue
        largest = right
        if "cache" in name:
            largest = [cm.flops(g) / CAPACITY**0.5 for g in each]
        for i, (value, scale) in enumerate(zip(right, largest, strict=True)):
            assert np.isfinite(float(value)), name
            assert value >= 0, name
            assert abs(float(entry(found, i, len(each))) - value) <= 1e-12 * max(value, scale), name


# --- operators ----------------------------------------------------------------------------------


@st.composite
def at_large_sizes(draw: DrawFn, strategy: SearchStrategy[Template]) -> Template:
    """Draw a template whose variants are as large as the operator takes, up to the limits."""
    template = draw(strategy)
    factors = {
        name: draw(st.one_of(st.just(1), st.integers(1, 2**37), st.sampled_from([2**20, 2**37])))
        for name in template.variants[0]
    }
    shift = 0
    while True:
        larger = {name: max(1, factor >> shift) for name, factor in factors.items()}
        variants = tuple(
            {name: size * larger[name] for name, size in sizes.items()}
            for sizes in template.variants
        )
        try:
            found = Template(template.build, variants)
            for i in range(len(variants)):
                figures(*found.concrete(i))
            return found
        except ShapeError:
            assert shift < 60
            shift += 4


def assert_template(template: Template) -> None:
    count = len(template.variants)
    wide = template.arrays()
    found = figures(*wide)
    cases: list[Case] = [template.concrete(i) for i in range(count)]
    for i, case in enumerate(cases):
        right = figures(*case)
        for name, value in right.items():
            assert_count(name, entry(found.get(name, 0), i, count), value)
    assert_agree(wide.graph(), [case.graph() for case in cases])


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_operator_at_large_arrays(name: str) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(template=at_large_sizes(STRATEGIES[name]()))
    def check(template: Template) -> None:
        assert_template(template)

    check()


# --- networks -----------------------------------------------------------------------------------


CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
BATCHES = (48, 2**24 + 1, 2**37)
ARRAYS = np.array(BATCHES)


def batch_of(network: Callable[..., nx.DiGraph]) -> str | None:
    names = accepted(network)
    return next((name for name in ("batch", "n", "b") if name in names), None)


def needed(network: Callable[..., nx.DiGraph]) -> dict[str, Any]:
    """Return a value for each parameter that has no default."""
    values: dict[str, Any] = {"c": 128, "c1": 128, "c2": 64, "h": 28, "w": 28, "groups": 4}
    values |= {"structure": "2-fragment-parallel", "arch_str": CELL}
    empty = inspect.Parameter.empty
    return {n: values[n] for n, p in accepted(network).items() if p.default is empty}


FEW = ("attention", "matmul", "mobilenet_v1", "pointwise", "vgg16", "vit")
"""Networks that are tried on every run."""
DEEPER = ("shufflenet_v1_50", "shufflenet_v2_50")
"""Networks of the blocks of another one, more often."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FEW else pytest.mark.slow)
        for name, network in cm.zoo.NETWORKS.items()
        if batch_of(network) and name not in DEEPER
    ],
)
def test_every_network_at_an_array_of_batches(name: str) -> None:
    network = cm.zoo.NETWORKS[name]
    given_values, key = needed(network), str(batch_of(network))
    each = [network(**given_values, **{key: batch}) for batch in BATCHES]
    assert_agree(network(**given_values, **{key: ARRAYS}), each)


SIZES = st.one_of(st.integers(1, 2**10), st.integers(1, MAX_DIM), st.integers(2**38, MAX_DIM))


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.tuples(*[SIZES] * 5), min_size=1, max_size=4))
def test_a_convolution_of_any_sizes(sizes: list[tuple[int, ...]]) -> None:
    def make(n: Any, c: Any, k: Any, h: Any, w: Any) -> nx.DiGraph:
        b = cm.Builder()
        x = b.input((n, c, h, w))
        y = b.add(ops.Elementwise("relu"), b.add(ops.Conv(k, (1, 1), bias=True), x))
        return b.finish(b.add(ops.BatchNorm(), y))

    columns = [np.array(column) for column in zip(*sizes, strict=True)]
    assert_agree(make(*columns), [make(*entry) for entry in sizes])


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.tuples(*[SIZES] * 4), min_size=1, max_size=4), causal=st.booleans())
def test_an_attention_of_any_sizes(sizes: list[tuple[int, ...]], causal: bool) -> None:
    def make(n: Any, heads: Any, length: Any, keys: Any) -> nx.DiGraph:
        return cm.zoo.attention(n, heads, length, 64, keys, causal=causal)

    columns = [np.array(column) for column in zip(*sizes, strict=True)]
    assert_agree(make(*columns), [make(*entry) for entry in sizes])
