"""What a compiler fuses around rows, and attention whose scores are added to."""

from __future__ import annotations

import networkx as nx
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.kernels import Kernel, lower
from costmodel.ops import Elementwise
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.runtimes import load_runtime
from costmodel.timing.network import kernel_terms
from costmodel.timing.reuse import workloads

ADD = Elementwise("add")
ROWS = (64, 768)
BYTES = 64 * 768 * 4


def residual(last: ops.Op) -> nx.DiGraph:
    """Return ``last`` over a sum that is needed again behind it."""
    b = cm.Builder()
    x, y = b.input(ROWS), b.input(ROWS)
    total = b.add(ADD, x, y, name="sum")
    rows = b.add(last, total, name="rows")
    return b.finish(b.add(ADD, b.add(ops.Linear(768), rows, name="linear"), total, name="again"))


def kernels(graph: nx.DiGraph, runtime: str) -> dict[tuple[str, ...], Kernel]:
    return {kernel.nodes: kernel for kernel in lower(graph, load_runtime(runtime))}


@pytest.mark.parametrize("last", [ops.LayerNorm(), ops.Softmax()], ids=["norm", "softmax"])
def test_a_compiler_adds_where_rows_are_loaded_and_writes_the_sum_besides(last: ops.Op) -> None:
    eager = kernels(residual(last), "torch-eager")
    assert list(eager) == [("sum",), ("rows",), ("linear",), ("again",)]
    compiled = kernels(residual(last), "torch-compile")
    assert list(compiled) == [("sum", "rows"), ("linear",), ("again",)]
    both = compiled["sum", "rows"]
    assert both.kind == eager["rows",].kind
    assert (both.read_bytes, both.write_bytes) == (2 * BYTES, 2 * BYTES)
    assert both.pieces == eager["rows",].pieces
    assert both.merged == eager["rows",].merged
    assert both.elementwise == eager["sum",].elementwise + eager["rows",].elementwise


def test_a_mean_behind_an_activation_reads_its_image_once() -> None:
    b = cm.Builder()
    silu = b.add(Elementwise("silu"), b.input((2, 8, 14, 14)), name="silu")
    mean = b.add(ops.AdaptivePool("avg", (1, 1)), silu, name="mean")
    graph = b.finish(b.add(Elementwise("mul"), silu, mean, name="gate"))
    assert list(kernels(graph, "torch-compile")) == [("silu", "mean"), ("gate",)]
    assert len(kernels(graph, "torch-eager")) == 3


def test_a_window_is_no_reduction() -> None:
    b = cm.Builder()
    relu = b.add(Elementwise("relu"), b.input((2, 8, 14, 14)), name="relu")
    graph = b.finish(b.add(ops.Pool("max", (3, 3)), relu, name="pool"))
    assert list(kernels(graph, "torch-compile")) == [("relu",), ("pool",)]


def test_rows_of_generated_kernels_wait_for_nothing_and_short_ones_are_read_once() -> None:
    def seconds(runtime: str, length: int) -> tuple[float, float]:
        platform = load_platform(f"h200/{runtime}", calibrated=False)
        (w,) = workloads(
            lower(cm.network(f"layer_norm?shape=262144x{length}"), load_runtime(runtime))
        )
        theta = {**platform.fitted.theta, "dram": 0.9, "reach": 0.1}
        found = kernel_terms(w, machine_for(platform, "float32"), theta)
        return float(found.compute), float(found.memory)

    generated, framework = (seconds(name, 1024) for name in ("torch-compile", "torch-eager"))
    assert generated[0] < framework[0] / 2
    assert generated[1] < framework[1]
    once, twice = (seconds("torch-compile", length)[1] for length in (1024, 2048))
    assert twice == pytest.approx(3 * once, rel=0.01)  # twice as long, and read again


def masked(added: bool = True, used_again: bool = False) -> nx.DiGraph:
    b = cm.Builder()
    q, k, v = (b.input((2, 4, 64, 32)) for _ in range(3))
    scores = b.add(ops.AttentionScores(), q, k, name="scores")
    if added:
        scores = b.add(ADD, b.input((1, 4, 64, 64)), scores, name="bias")
    weights = b.add(ops.Softmax(), scores, name="softmax")
    mixed = b.add(ops.AttentionMix(), weights, v, name="mix")
    return b.finish(*((mixed, weights) if used_again else (mixed,)))


@pytest.mark.parametrize("runtime", ["torch-eager", "torch-compile", "cuda-graphs"])
def test_attention_with_a_mask_is_one_kernel(runtime: str) -> None:
    (kernel,) = lower(masked(), load_runtime(runtime))
    assert (kernel.kind, kernel.name) == ("attention", "mix")
    # Neither scores nor mask go through memory; the products are those of the parts.
    assert (kernel.read_bytes, kernel.write_bytes) == (3 * 2 * 4 * 64 * 32 * 4, 2 * 4 * 64 * 32 * 4)
    assert kernel.multiply_adds == 2 * 2 * 4 * 64 * 64 * 32


def test_attention_weights_that_are_needed_keep_their_kernels() -> None:
    assert len(lower(masked(used_again=True), load_runtime("torch-eager"))) == 4
    assert len(lower(masked(added=False), load_runtime("torch-eager"))) == 3
    assert len(lower(masked(), load_runtime("tflite"))) == 4
