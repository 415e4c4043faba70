"""Which library of eager PyTorch runs a convolution, against the choice that torch itself makes."""

from __future__ import annotations

import math

import pytest

from costmodel.graph.builder import Builder
from costmodel.kernels import lower
from costmodel.ops import Conv, Pool
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing import cpu, cpu_eager
from costmodel.timing.reuse import workloads
from costmodel.timing.workload import Workload

X86 = load_platform("xeon-gold-6240/torch-eager", calibrated=False)
CASES = [
    # shape, outputs, kernel, stride, groups: whether the images stay in the caller's layout
    ((1, 64, 8, 28, 28), 64, 3, 1, 1, True),
    ((1, 64, 16, 28, 28), 64, 3, 1, 1, False),
    ((1, 64, 10, 32, 32), 64, 3, 1, 1, True),
    ((1, 64, 10, 33, 33), 64, 3, 1, 1, False),
    ((1, 64, 8, 28, 28), 64, 1, 1, 1, True),
    ((1, 16, 4, 14, 14), 16, 5, 1, 1, False),
    ((2, 64, 8, 28, 28), 64, 3, 1, 1, False),
    ((1, 64, 8, 28, 28), 64, 3, 1, 2, False),
    ((1, 16, 1024), 16, 31, 1, 1, True),
    ((1, 64, 1024), 64, 31, 1, 1, False),
    ((1, 16, 1024), 16, 3, 1, 1, True),
    ((1, 32, 14, 14), 32, 3, 1, 1, True),
    ((1, 64, 56, 56), 64, 3, 1, 1, False),
    ((1, 16, 14, 14), 16, 5, 1, 1, False),
    ((1, 64, 56, 56), 64, 1, 1, 1, True),
]


def workload(
    shape: tuple[int, ...], cout: int, k: int, stride: int, groups: int, padding: int | None = None
) -> Workload:
    b = Builder("alone")
    x = b.input(shape)
    axes = len(shape) - 2
    half = k // 2 if padding is None else padding
    y = b.add(Conv(cout, (k,) * axes, stride=(stride,) * axes, padding=half, groups=groups), x)
    (w,) = workloads(lower(b.finish(y), X86.runtime))
    return w


def seconds(w: Workload) -> float:
    return float(cpu.terms(w, machine_for(X86, "float32"), X86.fitted.theta).seconds)


@pytest.mark.parametrize(("shape", "cout", "k", "stride", "groups", "plain"), CASES)
def test_the_choice_of_a_library(
    shape: tuple[int, ...], cout: int, k: int, stride: int, groups: int, plain: bool
) -> None:
    w = workload(shape, cout, k, stride, groups)
    machine = machine_for(X86, "float32")
    assert cpu_eager.stays(w, machine, X86.fitted.theta) == plain


@pytest.mark.parametrize(("shape", "cout", "k", "stride", "groups", "plain"), CASES)
def test_torch_chooses_the_same(
    shape: tuple[int, ...], cout: int, k: int, stride: int, groups: int, plain: bool
) -> None:
    torch = pytest.importorskip("torch", reason="the package torch is not installed")
    axes = len(shape) - 2
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        chosen = torch._C._select_conv_backend(
            torch.zeros(shape),
            torch.zeros(cout, shape[1] // groups, *[k] * axes),
            None,
            (stride,) * axes,
            (k // 2,) * axes,
            (1,) * axes,
            False,
            (0,) * axes,
            groups,
            None,
        )
    finally:
        torch.set_num_threads(threads)
    assert ("Mkldnn" not in str(chosen)) == plain


def test_volumes_that_are_unrolled_take_many_times_their_arithmetic() -> None:
    """Measured on a Zen 5 core: 38 ms where oneDNN takes 11 ms for twice the work."""
    unrolled = seconds(workload((1, 64, 8, 28, 28), 64, 3, 1, 1))
    larger = seconds(workload((1, 64, 16, 28, 28), 64, 3, 1, 1))
    assert unrolled > 2 * larger


def test_depthwise_windows_with_a_wide_border_are_products_of_columns() -> None:
    """Measured on a Zen 5 core: 15 taps take 11 times as long as 13, 15 x 15 take 50 x 13 x 13."""
    line = [seconds(workload((1, 256, 1024), 256, k, 1, 256)) for k in (3, 13, 15, 31)]
    image = [seconds(workload((1, 64, 56, 56), 64, k, 1, 64)) for k in (13, 15)]
    assert line[1] < 2 * line[0]
    assert line[2] > 4 * line[1]
    assert line[3] / line[2] == pytest.approx(31 / 15, rel=0.15)
    assert image[1] > 20 * image[0]


def test_groups_without_a_block_are_unrolled_element_by_element() -> None:
    """oneDNN 3.x on a Zen 5 core: 2.0 ms for 8 to 2 channels a group, 0.2 ms for 16 to 4."""
    few = seconds(workload((1, 32, 112, 112), 8, 3, 1, 4))
    blocked = seconds(workload((1, 64, 56, 56), 16, 3, 1, 4))
    assert few > 4 * blocked
    assert few == pytest.approx(2.0e-3, rel=0.4)


def largest(k: int, stride: int, runtime: str = "torch-eager") -> float:
    """Return the time of a maximum of windows, per window [s]."""
    where = load_platform(f"xeon-gold-6240/{runtime}", calibrated=False)
    b = Builder("alone")
    x = b.input((1, 64, 57, 57))
    (w,) = workloads(lower(b.finish(b.add(Pool("max", (k, k), stride=stride), x)), where.runtime))
    found = cpu.terms(w, machine_for(where, "float32"), where.fitted.theta)
    return float(found.compute) / (float(w.writes.bytes) / 4)


def test_overlapping_maxima_are_predicted_better_by_the_core() -> None:
    """Measured on a Zen 5 core: 17.7, 22.1 and 23.4 ns a window; 2x2 12.4 and 15.0 ns."""
    one, two, three = (largest(3, stride) for stride in (1, 2, 3))
    assert one / three == pytest.approx(17.7 / 23.4, rel=0.06)
    assert two / three == pytest.approx(22.1 / 23.4, rel=0.06)
    assert largest(2, 1) / largest(2, 2) == pytest.approx(12.4 / 15.0, rel=0.06)
    assert largest(3, 1, "xnnpack") == pytest.approx(largest(3, 3, "xnnpack"), rel=1e-6)


def test_each_library_has_a_share_of_the_peak_of_its_own() -> None:
    theta = dict(X86.fitted.theta)
    machine = machine_for(X86, "float32")
    blocked = workload((1, 256, 56, 56), 256, 3, 1, 1)
    plain = workload((1, 256, 14, 14), 256, 1, 1, 1)
    for name, changed, same in (("blocked", blocked, plain), ("gemm", plain, blocked)):
        half = {**theta, name: theta[name] / 2}
        assert cpu.terms(same, machine, half) == cpu.terms(same, machine, theta)
        ratio = (
            cpu.terms(changed, machine, half).compute / cpu.terms(changed, machine, theta).compute
        )
        assert ratio == pytest.approx(2, rel=0.2)
    bounds = {p.name: p for p in X86.fitted.parameters}
    assert bounds["blocked"].upper > 1
    assert bounds["gemm"].lower < 0.5


def test_an_image_of_any_rank_has_its_pixels() -> None:
    for shape, k in (((1, 8, 12), 3), ((1, 8, 6, 12), 3), ((1, 8, 4, 6, 12), 3)):
        p = workload(shape, 4, k, 1, 1).product
        assert p.height * p.width == math.prod(shape[2:]) == p.n
        assert (p.axes, p.width) == (len(shape) - 2, 12)
