"""ONNX branches and loops: the branch that is taken, the runs that are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import HANDLERS, Body, Call, Items, Made, Result
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Concat, Slice

_MOST_RUNS = 10_000
"""Most runs of a loop that is written out. [1]"""


@HANDLERS.register("If")
def _if(call: Call) -> Result:
    """Walk over the branch that is taken, if that is known; else over one that costs nothing."""
    condition = call.peek(0)
    branches = [call.attribute("then_branch"), call.attribute("else_branch")]
    if any(branch is None for branch in branches):
        raise UnsupportedFormError("a branch that is missing")
    if condition is None:
        if any(_costs(branch) for branch in branches):
            raise UnsupportedFormError("a branch that depends on data")
        taken = branches[0]
    else:
        taken = branches[0] if bool(condition.item()) else branches[1]
    body = call.walk.body(taken)
    body.run()
    return _handed_on(call, [body.result(name) for name in body.outputs])


_FREE = frozenset({"Constant", "Identity", "Shape", "Size"})


def _costs(branch: Any) -> bool:
    return any(node.op_type not in _FREE for node in branch.node)


def _handed_on(call: Call, results: list[tuple[Made | None, Any]]) -> list[Made | None]:
    """Record the known properties of the results, and return their tensors."""
    for name, (_, known) in zip(call.node.output, results, strict=False):
        if name and known is not None:
            call.walk.note_known(name, known)
    return [made for made, _ in results]


@HANDLERS.register("Loop")
def _loop(call: Call) -> Result:
    """Write out the runs of a loop of known length."""
    most = call.peek(0)
    condition = call.peek(1) if call.has(1) else np.asarray(True)
    if call.has(0) and most is None:
        raise UnsupportedFormError("as many runs as the data says")
    if condition is None:
        raise UnsupportedFormError("a condition that depends on data")
    limit = _runs(most.item()) if most is not None else _MOST_RUNS + 1
    state: list[tuple[Made | None, Any]] = [
        (call.made(slot), call.peek(slot)) for slot in range(2, len(call.node.input))
    ]
    graph = call.attribute("body")
    scanned: list[list[Operand]] = []
    run = 0
    while run < limit and bool(condition.item()):
        if run >= _MOST_RUNS:
            raise UnsupportedFormError(f"more than {_MOST_RUNS} runs")
        body = call.walk.body(graph)
        _give(body, [(None, np.asarray(run, np.int64)), (None, condition), *state])
        body.run()
        results = [body.result(name) for name in body.outputs]
        condition = results[0][1]
        if condition is None:
            raise UnsupportedFormError("an end that depends on data")
        state, rest = results[1 : 1 + len(state)], results[1 + len(state) :]
        scanned = _appended(scanned, rest, first=run == 0)
        run += 1
    return [*_handed_on(call, state), *(_stacked(call, parts, 0) for parts in scanned)]


def _runs(value: Any) -> int:
    if not isinstance(value, int):
        raise UnsupportedFormError("as many runs as a symbol says; give it a number")
    return min(value, _MOST_RUNS + 1)


def _give(body: Body, values: list[tuple[Made | None, Any]]) -> None:
    for name, (made, known) in zip(body.inputs, values, strict=True):
        body.bind(name, made, known)


def _appended(
    scanned: list[list[Operand]], results: list[tuple[Made | None, Any]], first: bool
) -> list[list[Operand]]:
    made = [x for x, _ in results if x is not None and not isinstance(x, Items)]
    if len(made) != len(results):
        raise UnsupportedFormError("lists that are put together")
    if first:
        return [[x] for x in made]
    return [[*before, x] for before, x in zip(scanned, made, strict=True)]


def _stacked(call: Call, parts: list[Operand], axis: int) -> Operand:
    """Put the results of all runs together along a new axis."""
    apart = [call.emit.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in parts]
    return call.emit.add(Concat(axis), *apart) if len(apart) > 1 else apart[0]


@HANDLERS.register("Scan")
def _scan(call: Call) -> Result:
    """Write out the runs over slices of the inputs that are scanned."""
    count = call.attribute("num_scan_inputs")
    if call.version < 9:
        raise UnsupportedFormError("its first version, with a batch axis")
    if not isinstance(count, int) or not 0 < count <= len(call.node.input):
        raise UnsupportedFormError("no inputs to scan")
    states = len(call.node.input) - count
    state: list[tuple[Made | None, Any]] = [
        (call.made(slot), call.peek(slot)) for slot in range(states)
    ]
    over = [call.operand(slot) for slot in range(states, len(call.node.input))]
    axes = call.attribute("scan_input_axes") or [0] * count
    axes = [axis % max(1, len(x.shape)) for axis, x in zip(axes, over, strict=True)]
    length = over[0].shape[axes[0]]
    if not isinstance(length, int) or not 0 < length <= _MOST_RUNS:
        raise UnsupportedFormError(f"{length} runs; give the axis a size up to {_MOST_RUNS}")
    graph = call.attribute("body")
    scanned: list[list[Operand]] = []
    for run in range(length):
        body = call.walk.body(graph)
        slices = [(_row(call, x, axis, run), None) for x, axis in zip(over, axes, strict=True)]
        _give(body, [*state, *slices])
        body.run()
        results = [body.result(name) for name in body.outputs]
        state, rest = results[:states], results[states:]
        scanned = _appended(scanned, rest, first=run == 0)
    ends = call.attribute("scan_output_axes") or [0] * len(scanned)
    put = [
        _stacked(call, parts, axis % (len(parts[0].shape) + 1))
        for parts, axis in zip(scanned, ends, strict=True)
    ]
    return [*_handed_on(call, state), *put]


def _row(call: Call, x: Operand, axis: int, run: int) -> Operand:
    one = call.emit.add(Slice(axis, run, 1), x)
    return call.emit.reshape(one, (*x.shape[:axis], *x.shape[axis + 1 :]))


@HANDLERS.register("SequenceMap")
def _sequence_map(call: Call) -> Result:
    """Walk over the body once for every tensor of a list."""
    first = call.made()
    if not isinstance(first, Items):
        raise UnsupportedFormError("a tensor in place of a list")
    others = [call.made(slot) for slot in range(1, len(call.node.input))]
    columns: list[list[Operand]] = []
    for i, tensor in enumerate(first.tensors):
        body = call.walk.body(call.attribute("body"))
        given = [x.tensors[i] if isinstance(x, Items) else x for x in others]
        _give(body, [(tensor, None), *((x, None) for x in given)])
        body.run()
        columns = _appended(columns, [body.result(name) for name in body.outputs], i == 0)
    return [Items(tuple(column)) for column in columns] or [Items(())]
