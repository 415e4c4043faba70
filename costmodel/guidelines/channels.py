"""G1 and G2: the channels and groups of convolutions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from costmodel.algebra.symbols import product
from costmodel.counting.bounds import mac_lower_bound
from costmodel.counting.cost import op_cost
from costmodel.graph.builder import Builder
from costmodel.guidelines.case import Case, Finding
from costmodel.ops import Conv
from costmodel.ops.tensor import Tensor
from costmodel.prediction.latency import latency

_Layer = tuple[Conv, tuple[Tensor, ...]]


def unequal_channels(case: Case) -> Iterator[Finding]:
    """G1: 1x1 convolutions whose input and output differ in channels."""
    for (op, inputs), layers in _alike(case, "pointwise").items():
        (x,) = inputs
        c1, c2 = x.shape[1], op.out_channels
        before = op_cost(op, inputs).cost
        # With a stride the ends differ in pixels: equal tensors, not equal channels, are the least.
        pixels = (product(t.shape[2:]) for t in (x, op.infer(x)[0]))
        stride = math.sqrt(next(pixels) / next(pixels))
        best = [max(1, round(math.sqrt(c1 * c2) * s)) for s in (1 / stride, stride)]
        if best == [c1, c2]:
            continue
        balanced = _resized(x, best[0]), replace(op, out_channels=best[1])
        bound = float(mac_lower_bound(op, x))
        # The bound is for the multiply-adds; a bias is read either way.
        excess = before.mac / bound - 1
        saving = _faster(case, layers, (op, inputs), (balanced[1], (balanced[0],)))
        ratio = max(c1, c2) / min(c1, c2)
        yield case.finding(
            "G1",
            f"1x1 convolution from {c1} to {c2} channels",
            f"{_layers(layers)} from {c1} to {c2} channels (1:{ratio:.3g}): MAC is "
            f"{excess:.1%} above the least for these multiply-adds, which {best[0]} to {best[1]} "
            "channels would reach.",
            layers,
            saving,
            len(layers) * max(0.0, before.mac - bound),
        )


def grouped_convolutions(case: Case) -> Iterator[Finding]:
    """G2: convolutions in groups, against one group with the same multiply-adds."""
    for (op, inputs), layers in _alike(case, "grouped").items():
        (x,) = inputs
        narrow = 1 / math.sqrt(op.groups)
        channels = [max(1, round(c * narrow)) for c in (x.shape[1], op.out_channels)]
        plain = replace(op, out_channels=channels[1], groups=1), (_resized(x, channels[0]),)
        mac = [op_cost(*conv).cost.mac for conv in ((op, inputs), plain)]
        yield case.finding(
            "G2",
            f"convolution in {op.groups} groups",
            f"{_layers(layers)} in {op.groups} groups from {x.shape[1]} to {op.out_channels} "
            f"channels: MAC is {mac[0] / mac[1]:.2f} times that of one group with the same "
            f"multiply-adds ({channels[0]} to {channels[1]} channels).",
            layers,
            _faster(case, layers, (op, inputs), plain),
            len(layers) * max(0.0, mac[0] - mac[1]),
        )


def _alike(case: Case, kind: str) -> dict[_Layer, list[str]]:
    """Return the convolutions of a kind (see ``costmodel.kernels``), equal ones together.

    Those without a multiply-add, of empty tensors, are left out.
    """
    found: dict[_Layer, list[str]] = defaultdict(list)
    for name, node in case.nodes.items():
        if not isinstance(node.op, Conv) or node.op.kernel_kind(*node.inputs) != kind:
            continue
        if op_cost(node.op, node.inputs).cost.multiply_adds:
            found[node.op, node.inputs].append(name)
    return found


def _faster(case: Case, layers: list[str], now: _Layer, then: _Layer) -> float:
    """Return what the network gains if its layers sped up as the one does by itself. [s]."""
    before, after = (_alone(case, *layer) for layer in (now, then))
    part = max(0.0, 1 - after / before)
    here = sum(float(case.kernels[n].seconds) for n in layers if n in case.kernels)
    return case.saved(part * here)


def _alone(case: Case, op: Conv, inputs: tuple[Tensor, ...]) -> float:
    b = Builder("layer")
    x = b.input(inputs[0].shape, inputs[0].dtype)
    return float(latency(b.finish(b.add(op, x)), case.platform).device_seconds)


def _resized(x: Tensor, channels: int) -> Tensor:
    return x.with_shape(x.shape[0], channels, *x.shape[2:])


def _layers(names: list[str]) -> str:
    return f"{len(names)} convolutions" if len(names) > 1 else f"Convolution {names[0]}"
