"""Simulation of a large network by its distinct operators, each in its position."""

from __future__ import annotations

from dataclasses import replace

from ..bench.program import Call, Spec
from .core import load_core
from .count import Counted, count
from .simulate import DEFAULT_CORE, Simulated, apply_core

_FLOAT = 4  # bytes
_WEIGHTED = {"conv1x1", "conv3x3", "winograd3x3", "conv", "depthwise", "deconv", "linear"}
_WINDOWS = {"conv3x3": 3, "winograd3x3": 4}  # Winograd keeps 16 numbers for nine weights
_KEPT = 3  # of operators alike: the third finds its memory as those after it do


def simulate_distinct(
    spec: Spec, core_name: str = DEFAULT_CORE, compiler: str | None = None, *, warm: bool = False
) -> Simulated:
    """Simulate a network on a core; operators alike in all but their weights run thrice at most.

    The others take the counts of the third. Weights come from memory, as they do in a network whose
    weights do not fit in the caches; where all that the network touches does fit, and it is run
    again and again (``warm``), they come from the caches, as an earlier pass has left them there.

    Parameters
    ----------
    spec
        The network.
    core_name
        One of ``core.core_names()``.
    compiler
        A key of ``build.ARM_COMPILERS``.
    warm
        Whether it runs again and again, rather than once.
    """
    core = load_core(core_name)
    short, source = shorten(spec)
    passes = int(warm and footprint(spec) <= core.l2.bytes)
    timed = short.timed(warmup=passes, repeats=1, budget_ms=1000)
    counted = count(timed, core.l1, core.l2, compiler)
    operators = tuple(counted.operators[index] for index in source)
    return apply_core(core, spec, Counted(operators, counted.result, counted.program))


def footprint(spec: Spec) -> int:
    """Return the bytes of all tensors and weights of a network.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel_validation.arm.translate.lower import lower
    >>> footprint(lower(zoo.pointwise(7, 7, 16, 8)))  # 784 in, 392 out, 128 weights
    5216
    """
    tensors = sum(buffer.elements for buffer in spec.buffers if buffer.base is None)
    return _FLOAT * (tensors + sum(_weights(spec, call) for call in spec.calls))


def _weights(spec: Spec, call: Call) -> int:
    """Return how many weights a call reads; scales and shifts are too few to count."""
    if call.kernel not in _WEIGHTED:
        return 0
    x, y = spec.buffers[call.inputs[0]].shape, spec.buffers[call.outputs[0]].shape
    if call.kernel == "linear":
        return x[1] * x[2] * x[3] * y[1]
    window = int(call.params.get("k", 0)) or _WINDOWS.get(call.kernel, 1)
    kh, kw = (int(call.params.get(key, window)) for key in ("kh", "kw"))
    groups = x[1] if call.kernel == "depthwise" else int(call.params.get("groups", 1))
    taps = kh * kw * int(call.params.get("kd", 1))
    if "depth" not in call.params:
        return y[1] * x[1] // groups * taps
    depth, pad = int(call.params["depth"]), int(call.params.get("pd", 0))
    apart, step = (int(call.params.get(key, 1)) for key in ("dilation_d", "stride_d"))
    reach = apart * (int(call.params.get("kd", 1)) - 1) + 1
    deep = (depth + pad + int(call.params.get("pd_end", pad)) - reach) // step + 1
    return (y[1] // deep) * (x[1] // depth) // groups * taps


def shorten(spec: Spec) -> tuple[Spec, list[int]]:
    """Leave out the fourth and later operators of a kind; say where each finds its counts."""
    places: dict[object, list[int]] = {}
    kept: list[Call] = []
    source = []
    for call in spec.calls:
        known = places.setdefault(_kind(spec, call), [])
        if len(known) < _KEPT:
            known.append(len(kept))
            kept.append(call)
        source.append(known[-1])
    # what a left-out operator would have written is filled instead
    buffers = tuple(b if b.base is not None else replace(b, seed=b.seed or 0) for b in spec.buffers)
    return replace(spec, calls=tuple(kept), buffers=buffers, dumps=()), source


def _kind(spec: Spec, call: Call) -> object:
    shapes = tuple(spec.buffers[number].shape for number in (*call.inputs, *call.outputs))
    params = tuple(sorted((k, str(v)) for k, v in call.params.items() if k != "seed"))
    return call.kernel, len(call.inputs), shapes, params
