"""Images with the channels last under eager PyTorch on a CPU: kernels, copies, measured times."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.counting.subject import nodes_of
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.kernels import Kernel, images
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.prediction.table import lowered
from costmodel.specs import network
from costmodel.timing import cpu, cpu_channels_last
from costmodel.timing.workload import Workload

PLAIN = load_platform("xeon-gold-6240/torch-eager", calibrated=False)
LAST = load_platform("xeon-gold-6240/torch-eager?layout=nhwc", calibrated=False)
MEASURED = Path(__file__).parents[1] / "docs" / "data" / "host_layouts.csv"

Body = Callable[[Builder, Value], Value]


def graph_of(body: Body, shape: tuple[int, ...] = (1, 24, 8, 6)) -> nx.DiGraph:
    b = Builder("images")
    return b.finish(body(b, b.input(shape)))


def kernel_of(body: Body, shape: tuple[int, ...] = (1, 24, 8, 6)) -> Kernel:
    return lowered(graph_of(body, shape), LAST).kernels[-1]


def of(*chain: ops.Op) -> Body:
    def body(b: Builder, x: Value) -> Value:
        for op in chain:
            x = b.add(op, x)
        return x

    return body


def shuffled(b: Builder, x: Value) -> Value:
    return b.add(ops.ChannelShuffle(2), x)


def half(b: Builder, x: Value) -> Value:
    first, _ = b.add_many(ops.Split(1, 2), x)
    return first


def mixed(b: Builder, x: Value) -> Value:
    return b.add(ops.Concat(1), shuffled(b, x), x)


def both(b: Builder, x: Value) -> Value:
    return b.add(ops.Concat(1), x, b.add(ops.Elementwise("relu"), x))


def shuffled_then(*chain: ops.Op) -> Body:
    return lambda b, x: of(*chain)(b, shuffled(b, x))


def half_then(*chain: ops.Op) -> Body:
    return lambda b, x: of(*chain)(b, half(b, x))


ROWS = (ops.Transpose((0, 2, 3, 1)), ops.LayerNorm())
ELEMENTS = 24 * 8 * 6
ORDERS: list[tuple[str, Body, bool, int]] = [
    # whether torch returns an image with the channels last; elements copied one by one
    ("conv", of(ops.Conv(8, (3, 3), padding=1)), True, 0),
    ("conv of plain", shuffled_then(ops.Conv(8, (1, 1))), True, ELEMENTS),
    ("conv of a part", half_then(ops.Conv(8, (1, 1))), True, 0),
    ("batch_norm", of(ops.BatchNorm()), True, 0),
    ("batch_norm of a part", half_then(ops.BatchNorm()), True, ELEMENTS // 2),
    ("batch_norm of plain", shuffled_then(ops.BatchNorm()), False, 0),
    ("relu", of(ops.Elementwise("relu")), True, 0),
    ("max", of(ops.Pool("max", (3, 3), (2, 2), 1)), True, 0),
    ("avg", of(ops.Pool("avg", (2, 2), (2, 2))), True, 0),
    ("max of plain", shuffled_then(ops.Pool("max", (3, 3), (2, 2), 1)), False, 0),
    ("adaptive", of(ops.AdaptivePool("avg", (2, 2))), True, 0),
    ("nearest", of(ops.Resize((16, 12))), True, 0),
    ("bicubic", of(ops.Resize((16, 12), "bicubic")), True, 0),
    ("concat", both, True, 0),
    ("concat of both layouts", mixed, False, ELEMENTS),
    ("shuffle", shuffled, False, ELEMENTS),
    ("pixel_shuffle", of(ops.PixelShuffle(2)), True, 0),
    ("softmax", of(ops.Softmax(1)), False, ELEMENTS),
    ("layer_norm", of(ops.LayerNorm()), False, ELEMENTS),
    ("layer_norm of rows", of(*ROWS), False, 0),
    ("group_norm", of(ops.GroupNorm(4)), True, 0),
    ("back to an image", of(*ROWS, ops.Transpose((0, 3, 1, 2)), ops.Conv(8, (1, 1))), True, 0),
    ("flatten", of(ops.Reshape((1, -1)), ops.Linear(5)), False, ELEMENTS),
    (
        "tokens",
        of(ops.Reshape((1, 24, 48)), ops.Transpose((0, 2, 1)), ops.Linear(5)),
        False,
        0,
    ),
]


@pytest.mark.parametrize(("name", "body", "last", "turned"), ORDERS, ids=[c[0] for c in ORDERS])
def test_the_copies_of_a_layout(name: str, body: Body, last: bool, turned: int) -> None:
    kernel = kernel_of(body)
    assert kernel.turned == turned
    conv, rows = "conv" in name or "image" in name, name in ("batch_norm", "batch_norm of a part")
    pools = name in ("max", "avg", "adaptive", "nearest")
    assert kernel.channels_last == (conv or rows or pools)
    assert not any(k.turned or k.channels_last for k in lowered(graph_of(body), PLAIN).kernels)


@pytest.mark.parametrize(("name", "body", "last", "turned"), ORDERS, ids=[c[0] for c in ORDERS])
def test_torch_returns_the_same_layout(name: str, body: Body, last: bool, turned: int) -> None:
    torch = pytest.importorskip("torch", reason="the package torch is not installed")
    from costmodel_validation.backends.graph_to_torch import random_inputs, to_torch

    graph = graph_of(body)
    module = to_torch(graph).to(memory_format=torch.channels_last)
    given = [x.contiguous(memory_format=torch.channels_last) for x in random_inputs(graph)]
    with torch.inference_mode():
        y = module(*given)[0] if isinstance(module(*given), tuple) else module(*given)
    if y.dim() == 4:
        assert y.is_contiguous(memory_format=torch.channels_last) == last
    nodes = nodes_of(graph)
    (source,) = nodes[-1].sources
    assert (images._Orders(nodes)._order[source] == "last") == last


def test_an_image_of_one_pixel_has_either_layout() -> None:
    gate = of(ops.AdaptivePool("avg"), ops.Conv(8, (1, 1)), ops.Reshape((1, -1)), ops.Linear(3))
    assert [k.turned for k in lowered(graph_of(gate), LAST).kernels] == [0, 0, 0]


def workload(spec: str, platform: cm.Platform = LAST) -> Workload:
    return lowered(network(spec), platform).workloads[0]


def seconds(spec: str, platform: cm.Platform = LAST) -> float:
    w = workload(spec, platform)
    return float(cpu.terms(w, machine_for(platform, w.dtype), platform.fitted.theta).seconds)


@pytest.mark.parametrize(
    "spec",
    [
        "conv2d?cin=64&cout=64&size=56&k=3",
        "conv2d?cin=63&cout=61&size=28&k=5&stride=2",
        "conv2d?cin=3&cout=32&size=224&k=3&stride=2",
        "conv2d?cin=128&cout=128&size=28&k=3&groups=4",
        "depthwise?c=100&size=28&k=3",
    ],
)
def test_no_image_is_copied_into_blocks(spec: str) -> None:
    w, theta = workload(spec), LAST.fitted.theta
    found = cpu_channels_last.channels_last(w, machine_for(LAST, "float32"), theta)
    assert found
    assert (found.copied, found.spilled) == (theta["reorder"] * w.weights.bytes, 0)
    assert found.calls < theta["window_call"]
    assert seconds(spec) < seconds(spec, PLAIN)


def test_the_layout_does_not_choose_the_library() -> None:
    """Measured on a Zen 5 core: 933 and 935 us, 60 and 47 us, in either layout."""
    for spec in ("conv2d?cin=512&cout=128&size=28&k=1", "conv2d?cin=32&cout=32&size=14&k=3"):
        assert seconds(spec) == pytest.approx(seconds(spec, PLAIN), rel=0.35)


def test_vectors_of_products_hold_outputs() -> None:
    """Sizes of a vector that pixels fill and channels do not, and the reverse."""
    narrow, wide = (f"conv2d?cin=512&cout={m}&size={s}&k=1" for m, s in ((8, 32), (512, 2)))
    assert seconds(narrow) > 1.3 * seconds(narrow, PLAIN)
    assert seconds(wide) < seconds(wide, PLAIN)


def test_pools_and_resizing_have_vectors_along_the_channels() -> None:
    """Measured on a Zen 5 core: 17 times as fast for maxima, 13 times for means."""
    for spec in (
        "pool?kind=max&c=192&size=28&k=3&stride=1&padding=1",
        "pool?kind=avg&c=192&size=28&k=3&stride=1&padding=1",
        "pool?kind=max&c=64&size=56&k=2&stride=2",
    ):
        assert seconds(spec) < 0.35 * seconds(spec, PLAIN)


def test_wide_depthwise_windows_need_no_columns() -> None:
    """Measured on a Zen 5 core: 15 x 15 taps take 14.4 ms, and 0.6 ms with the channels last."""
    assert seconds("depthwise?c=64&size=56&k=15") < 0.1 * seconds(
        "depthwise?c=64&size=56&k=15", PLAIN
    )


def test_groups_that_no_block_divides_are_padded() -> None:
    """Measured on a Zen 5 core: 48 channels in 8 groups take 212 us, and 78 us."""
    odd = "conv2d?cin=48&cout=48&size=28&k=3&groups=8"
    assert seconds(odd) < 0.6 * seconds(odd, PLAIN)


def test_a_layout_is_a_setting_where_the_library_gets_the_layout_of_the_caller() -> None:
    assert LAST.name.endswith("torch-eager?layout=nhwc")
    assert load_platform("xeon-gold-6240/torch-eager?layout=nchw").name == PLAIN.name
    for name in ("raspberry-pi-4/ncnn", "xeon-gold-6240/torch-compile", "raspberry-pi-4/paper"):
        with pytest.raises(DataError, match="no layout to choose"):
            load_platform(f"{name}?layout=nhwc")


def test_runs_of_few_channels_are_short_copies() -> None:
    """Measured on a Zen 5 core at 4.1 GHz: 236 and 172 us in windows of 3x3, nothing padded."""
    host = f"{MEASURED.with_name('zen5-vm.toml')}/torch-eager?layout=nhwc"
    for channels, size, measured in ((2, 100, 236e-6), (3, 80, 172e-6)):
        graph = cm.zoo.conv2d(1, channels, size, 16, 3, padding=0)
        seconds = float(cm.latency(graph, load_platform(host, calibrated=False)).seconds)
        assert seconds == pytest.approx(measured, rel=0.5)


def test_symbols_have_the_values_of_numbers() -> None:
    def timed(channels: cm.Dim) -> cm.Dim:
        chain = ops.Conv(channels, (3, 3), padding=1), ops.BatchNorm(), ops.Pool("max", (3, 3))
        return cm.latency(graph_of(lambda b, x: of(*chain)(b, shuffled(b, x))), LAST).seconds

    c = cm.dim("c")
    for n in (16, 40):
        assert float(timed(c).subs({c: n})) == pytest.approx(float(timed(n)))


def rows(layout: str) -> dict[str, float]:
    with MEASURED.open(newline="") as file:
        found = [row for row in csv.DictReader(file) if row["layout"] == layout]
    return {row["network"]: float(row["seconds"]) for row in found}


SINGLE = (
    *("conv2d", "depthwise", "batch_norm", "pool", "elementwise", "concat", "channel_shuffle"),
    *("softmax", "layer_norm"),
)


def errors(platform: cm.Platform, layout: str) -> np.ndarray:
    """Return the errors on networks, of which ``SINGLE`` operators are none."""
    known = {n: s for n, s in rows(layout).items() if n.partition("?")[0] not in SINGLE}
    found = [float(cm.latency(network(name), platform).seconds) for name in known]
    return np.array(found) / np.array(list(known.values())) - 1


@pytest.mark.slow
def test_networks_in_either_layout_are_those_measured() -> None:
    """A host calibrated on operators with contiguous images predicts networks in both layouts."""
    host = f"{MEASURED.with_name('zen5-vm.toml')}/torch-eager"
    measured = rows("contiguous")
    fitted = [cm.Measurement(n, s) for n, s in measured.items() if n.partition("?")[0] in SINGLE]
    plain = cm.calibrate(fitted, host).platform
    last = replace(load_platform(f"{host}?layout=nhwc", calibrated=False), fitted=plain.fitted)
    for platform, layout in ((plain, "contiguous"), (last, "channels_last")):
        off = errors(platform, layout)
        assert np.mean(np.abs(off)) < 0.08, (layout, off)
