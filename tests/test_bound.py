"""Bounds of the hardware: no model lies below, no fitted parameter undercuts them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import costmodel as cm
from costmodel.graph import Builder
from costmodel.hardware import hardware_names, load_hardware
from costmodel.hardware.model import FACTS_ONLY
from costmodel.kernels import Product, lower
from costmodel.platforms.machine import machine_for
from costmodel.runtimes import load_runtime, runtime_names
from costmodel.testing import Case, Template, cases, templates
from costmodel.timing.bound import least_multiply_adds, least_seconds
from costmodel.timing.network import kernel_terms
from costmodel.timing.reuse import workloads
from costmodel.timing.workload import Workload

ONLY_GPU = ("cuda-graphs", "cuda-library")
GPU_RUNTIMES = (*ONLY_GPU, "paper", "torch-compile", "torch-eager", "tvm")
GPU = cm.load_platform("gtx-1080-ti/paper", calibrated=False)
VGG = cm.network("vgg16?batch=16")
DEPTHWISE = cm.network("depthwise?n=16&size=56&c=256")


def platforms() -> list[str]:
    """Return every platform of the shipped hardware and runtimes, CPUs on one core and on all."""
    found = []
    for name in hardware_names():
        hardware = load_hardware(name)
        for runtime in runtime_names():
            if hardware.architecture in FACTS_ONLY:
                continue
            if (hardware.kind == "gpu" and runtime in GPU_RUNTIMES) or (
                hardware.kind == "accelerator" and runtime == "accelerator"
            ):
                found.append(f"{name}/{runtime}")
            elif hardware.kind == "cpu" and runtime not in (*ONLY_GPU, "accelerator"):
                cores = sum(c.units for c in hardware.clusters)
                found += [f"{name}/{runtime}", f"{name}/{runtime}?threads={cores}"]
    return found


@cache
def loaded(name: str) -> cm.Platform:
    return cm.load_platform(name, calibrated=False)


@settings(max_examples=200)
@given(case=cases(), scale=st.sampled_from([1, 1, 7, 64]), data=st.data())
def test_no_model_with_shipped_priors_lies_below_its_bound(
    case: Case, scale: int, data: st.DataObject
) -> None:
    """On the unclamped terms: a clamp at the bound would always pass."""
    if not case.inputs:
        return
    b = Builder()
    grown = [t.with_shape(scale * t.shape[0], *t.shape[1:]) for t in case.inputs if t.rank]
    inputs = grown if scale > 1 and _fits(case, grown) else case.inputs
    values = [b.input(t.shape, dtype=t.dtype) for t in inputs]
    graph = b.finish(b.add_many(case.op, *values)[0]) if case.op.infer(*inputs) else b.finish()
    for name in data.draw(st.lists(st.sampled_from(platforms()), min_size=8, max_size=8)):
        where = loaded(name)
        for w in workloads(lower(graph, where.runtime)):
            found = kernel_terms(w, machine_for(where, w.dtype), where.fitted.theta)
            assert found.model >= found.bound * (1 - 1e-9), (name, case.op, w)


def _fits(case: Case, inputs: list[cm.Tensor]) -> bool:
    try:
        case.op.check_arity(inputs)
        case.op.infer(*inputs)
    except cm.CostModelError:
        return False
    return True


@pytest.mark.parametrize("network", ["shufflenet_v2", "vgg16", "vit"])
def test_no_kernel_of_a_network_lies_below_its_bound(network: str) -> None:
    graph = cm.network(network)
    below = [
        (name, k.kernel.name, float(k.terms.model / k.terms.bound))
        for name in platforms()[:: 1 if network == "shufflenet_v2" else 3]
        for k in cm.latency(graph, loaded(name)).kernels
        if k.terms.model < k.terms.bound * (1 - 1e-9)
    ]
    assert not below, below[:10]


@pytest.mark.parametrize("dtype", ["float64", "tf32", "float16", "bfloat16", "int8"])
def test_no_kernel_of_a_converted_network_lies_below_its_bound(dtype: str) -> None:
    """Windows of a depthwise convolution run on lanes that are fewer for float64."""
    for name in platforms():
        where = replace(loaded(name), dtype=dtype)
        for k in cm.latency(DEPTHWISE, where).kernels:
            assert k.terms.model >= k.terms.bound * (1 - 1e-9), (name, k.kernel.kind)


def test_vgg16_on_the_papers_gpu_may_take_the_time_that_was_measured() -> None:
    assert cm.latency(VGG, GPU).bound_seconds < 41.2e-3


def test_winograd_lowers_the_bound_where_the_runtime_has_it() -> None:
    machine = machine_for(GPU, "float32")
    without = replace(machine, algorithms=frozenset({"implicit_gemm"}))
    p = Product(1, 64, 56 * 56, 64 * 9, 56, 56, 9, winograd=True)
    assert least_multiply_adds(p, without) == p.dense
    assert least_multiply_adds(p, machine) == p.dense / 4
    # Blocks of 4 x 4 outputs stick out over an image of 5 x 5; those of 2 x 2 less so.
    small = replace(p, n=25, height=5, width=5)
    assert least_multiply_adds(small, machine) == min(4 * 36, 9 * 16) * 64 * 64
    one = replace(p, n=1, height=1, width=1)
    assert least_multiply_adds(one, machine) == one.dense
    plain = replace(p, winograd=False)
    assert least_multiply_adds(plain, machine) == plain.dense
    # Of two algorithms that may run, the cheaper one counts: 2 of 9 by Fourier transforms.
    assert least_multiply_adds(replace(p, fourier=True), machine) == p.dense * 2 / 9


def test_cpus_have_larger_winograd_blocks() -> None:
    """ncnn's F(6x6, 3x3): 64 products for 36 outputs instead of 324."""
    p = Product(1, 64, 48 * 48, 64 * 9, 48, 48, 9, winograd=True)
    machine = machine_for(loaded("raspberry-pi-4/ncnn"), "float32")
    assert least_multiply_adds(p, machine) == p.dense * 64 / 324


def test_a_window_of_five_may_take_the_time_that_fourier_transforms_took() -> None:
    """DeepBench, V100: 0.192 ms by cuDNN's FFT_TILING."""
    spec = "conv2d?n=16&cin=192&h=28&w=28&cout=32&k=5x5&padding=2x2"
    with_fft, without = (
        cm.latency(cm.network(f"{spec}&stride={stride}"), loaded("v100-sxm2-16gb/torch-eager"))
        for stride in ("1x1", "2x2")
    )
    assert with_fft.bound_seconds < 0.192e-3
    (k,) = without.kernels  # cuDNN has none for strides
    machine = machine_for(loaded("v100-sxm2-16gb/torch-eager"), "float32")
    assert k.terms.bound == pytest.approx(k.kernel.multiply_adds / machine.ceiling)


def test_a_tensor_that_fits_a_cache_may_be_there() -> None:
    machine = machine_for(GPU, "float32")
    ratio = []
    for size in (2**18, 2**24):
        (w,) = workloads(lower(cm.zoo.elementwise(shape=(1, size)), GPU.runtime))
        ratio.append(w.bytes / least_seconds(w, machine) / machine.bandwidth)
    assert ratio[0] > 2
    assert 1 < ratio[1] < 1.05


def test_the_peak_of_the_dtype_bounds() -> None:
    half, full = (
        cm.latency(
            cm.network(f"matmul?m=4096&k=4096&n=4096&dtype={d}"), "a100-pcie-80gb/torch-eager"
        )
        for d in ("float16", "float32")
    )
    assert full.bound_seconds / half.bound_seconds == pytest.approx(312 / 19.5, rel=0.01)


def fitted_beyond_physics(where: cm.Platform) -> cm.Platform:
    """Return a platform whose products run far above the peak."""
    parameters = tuple(
        replace(p, value=100.0, upper=100.0) if p.name in ("gemm", "power") else p
        for p in where.fitted.parameters
    )
    return replace(where, fitted=replace(where.fitted, parameters=parameters))


@pytest.mark.parametrize("name", ["raspberry-pi-4/ncnn", "gtx-1080-ti/paper?transfers=no"])
def test_the_bound_decides_where_parameters_would_undercut_physics(name: str) -> None:
    graph = cm.zoo.pointwise(56, 56, 1024, 1024)
    p = cm.latency(graph, fitted_beyond_physics(loaded(name)))
    (k,) = p.kernels
    assert k.terms.model < k.terms.bound == k.seconds
    assert k.waits_for == "bound"
    assert p.waits()["bound"] == k.seconds
    sizes = np.array([1024, 2048])
    many = cm.latency(cm.zoo.pointwise(56, 56, sizes, sizes), fitted_beyond_physics(loaded(name)))
    assert many.bottleneck.tolist() == ["bound", "bound"]
    assert many.seconds[0] == pytest.approx(p.seconds)


def test_reports_say_where_the_bound_decided() -> None:
    where = fitted_beyond_physics(loaded("raspberry-pi-4/ncnn"))
    graph = cm.zoo.pointwise(56, 56, 1024, 1024)
    report = cm.report.collect(graph, cm.latency(graph, where))
    kernel = cm.report.report_document(report)["prediction"]["kernels"][0]
    assert kernel["waits_for"] == "bound"
    assert kernel["bound_seconds"] == kernel["seconds"]


# Products


def times(w: Workload, where: cm.Platform) -> float:
    return float(kernel_terms(w, machine_for(where, w.dtype), where.fitted.theta).compute)


@settings(max_examples=200)
@given(case=cases())
def test_the_products_add_up_to_the_multiply_adds(case: Case) -> None:
    made = case.op.infer(*case.inputs)
    if made and not any(y.elements for y in made):
        return  # nothing is made: no kernel runs
    products = case.op.products(*case.inputs)
    counted = cm.cost(case.op, *case.inputs).multiply_adds
    assert sum(p.multiply_adds for p in products) == counted
    assert all(p.needed is None or p.needed <= p.dense for p in products)


@pytest.mark.parametrize("name", sorted(cm.ops.OPERATORS))
@settings(max_examples=60)
@given(data=st.data())
def test_products_of_arrays_and_symbols_are_those_of_numbers(
    name: str, data: st.DataObject
) -> None:
    template = data.draw(templates(name))
    expected = [sum(p.multiply_adds for p in c.op.products(*c.inputs)) for c in _numbers(template)]
    op, inputs = template.arrays()
    assert np.array_equal(
        np.broadcast_to(sum(p.multiply_adds for p in op.products(*inputs)), len(expected)), expected
    )
    op, inputs = template.symbolic()
    found = sum(p.multiply_adds for p in op.products(*inputs))
    for values, number in zip(template.variants, expected, strict=True):
        assert cm.algebra.expressions.substitute(found, dict(values)) == number


def _numbers(template: Template) -> list[Case]:
    return [template.concrete(i) for i in range(len(template.variants))]


def workload(graph: nx.DiGraph, where: cm.Platform) -> Workload:
    (found,) = workloads(lower(graph, where.runtime))
    return found


def recurrent(op: cm.ops.Recurrent, length: int = 64) -> nx.DiGraph:
    b = Builder()
    return b.finish(b.add(op, b.input((length, 16, 512))))


@pytest.mark.parametrize(
    "name", ["gtx-1080-ti/torch-eager", "gtx-1080-ti/paper", "raspberry-pi-4/ncnn", "rtx-3090/tvm"]
)
def test_layers_directions_and_gates_of_recurrent_layers_cost_their_share(name: str) -> None:
    """On the unclamped terms of the arithmetic."""
    where = loaded(name)
    big, small = (
        times(workload(recurrent(op), where), where)
        for op in (cm.ops.Recurrent("lstm", 512, 4, True), cm.ops.Recurrent("rnn", 512))
    )
    assert big >= 20 * small
    lstm = cm.ops.Recurrent("lstm", 512)
    twice, once = (times(workload(recurrent(lstm, n), where), where) for n in (128, 64))
    assert twice == pytest.approx(2 * once, rel=0.15)


def test_the_steps_of_a_recurrence_in_a_graph_have_their_products() -> None:
    b = Builder()
    x = b.input((128, 8, 4 * 512))
    steps = b.finish(b.add(cm.ops.RecurrentSteps("lstm", 512), x))
    for name in ("gtx-1080-ti/torch-eager", "raspberry-pi-4/ncnn"):
        where = loaded(name)
        (w,) = workloads(lower(steps, where.runtime))
        assert w.multiply_adds == 128 * 8 * 4 * 512 * 512
        assert times(w, where) > w.multiply_adds / machine_for(where, "float32").multiply_adds
        # Each step is a launch of its own: it waits for the one before.
        found = kernel_terms(w, machine_for(where, "float32"), where.fitted.theta)
        assert found.launch > 100 * where.fitted.theta["call" if "pi" in name else "launch"]


def test_attention_has_scores_and_mix() -> None:
    spec = "attention?n=64&heads=16&length=1024&depth=64&dtype=float16"
    p = cm.latency(cm.network(spec), "a100-pcie-80gb/torch-eager")
    (k,) = p.kernels
    assert p.bound_seconds == pytest.approx(0.881e-3, rel=1e-3)
    assert k.terms.model > p.bound_seconds
    assert [q.multiply_adds for q in k.kernel.products] == [64 * 16 * 1024 * 1024 * 64] * 2


def test_a_causal_mask_halves_the_products_of_a_long_attention() -> None:
    for name in ("a100-pcie-80gb/torch-eager", "raspberry-pi-4/ncnn"):
        where = loaded(name)
        full, half = (
            sum(
                times(w, where)
                for w in workloads(
                    lower(cm.network(f"attention?length=4096&causal={c}"), where.runtime)
                )
                if w.products
            )
            for c in ("no", "yes")
        )
        assert 0.5 <= half / full < 0.65


def test_the_runtime_of_a_gpu_is_one_that_runs_there() -> None:
    assert all(load_runtime(name).algorithms.get("gpu") for name in GPU_RUNTIMES)


def test_the_bound_counts_what_a_strided_convolution_reads() -> None:
    """A quarter of the pixels must be read; MAC counts them all, and so does the model."""
    x, tall = (64, 256, 56, 56), (64, 256, 28, 28)
    seconds = []
    for shape, stride in ((x, 2), (tall, 1)):
        b = Builder()
        graph = b.finish(b.add(cm.ops.Conv(8, (1, 1), stride), b.input(shape)))
        kernels = lower(graph, GPU.runtime)
        machine = replace(machine_for(GPU, "float32"), ceiling=1e30)
        seconds.append([least_seconds(w, machine) for w in workloads(kernels)])
        assert [k.bytes for k in kernels] == [cm.mac(graph, unit="bytes")]
        assert cm.latency(graph, GPU).seconds >= cm.latency(graph, GPU).bound_seconds
    assert seconds[0] == seconds[1]
    array = np.array([1, 64])
    b = Builder()
    several = b.finish(b.add(cm.ops.Conv(8, (1, 1), 2), b.input((array, *x[1:]))))
    found = cm.latency(several, GPU).bound_seconds
    assert found[0] < found[1] == pytest.approx(_bound_of(x))


def _bound_of(shape: tuple[int, ...]) -> float:
    b = Builder()
    graph = b.finish(b.add(cm.ops.Conv(8, (1, 1), 2), b.input(shape)))
    return float(cm.latency(graph, GPU).bound_seconds)
