"""Simulate a large network by its distinct operators, each in its place."""

from __future__ import annotations

from dataclasses import replace

from validation.arm.bench.program import Call, Spec
from validation.arm.simulator.core import load_core
from validation.arm.simulator.count import Counted, count
from validation.arm.simulator.simulate import DEFAULT_CORE, Simulated, apply_core

_KEPT = 2  # of operators alike: the second is preceded by what usually precedes it


def simulate_distinct(
    spec: Spec, core_name: str = DEFAULT_CORE, compiler: str | None = None
) -> Simulated:
    """Simulate a network on a core; operators alike in all but their weights run twice at most.

    The others take the counts of the second. Weights are taken to come from memory, as they do in a
    network whose weights do not fit in the caches.

    Parameters
    ----------
    spec
        The network.
    core_name
        One of ``core.core_names()``.
    compiler
        A key of ``build.ARM_COMPILERS``.
    """
    core = load_core(core_name)
    short, source = shorten(spec)
    counted = count(short.timed(warmup=0, repeats=1, budget_ms=1000), core.l1, core.l2, compiler)
    operators = tuple(counted.operators[index] for index in source)
    return apply_core(core, spec, Counted(operators, counted.result, counted.program))


def shorten(spec: Spec) -> tuple[Spec, list[int]]:
    """Leave out the third and later operators of a kind; say where each finds its counts."""
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
