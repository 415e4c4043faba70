"""One public check of all properties of an operator, for authors of operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import networkx as nx

from costmodel.counting.bounds import mac_lower_bound
from costmodel.counting.cost import op_cost
from costmodel.counting.io_bounds import io_lower_bound
from costmodel.errors import DataError
from costmodel.graph import from_json, nodes_in_order, to_json
from costmodel.kernels.lowering import lower_nodes
from costmodel.kinds import KINDS
from costmodel.ops import OPERATORS, Op
from costmodel.ops.elementwise import TRANSCENDENTAL
from costmodel.ops.tensor import DTYPE_BYTES, Tensor
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.testing.case import Case
from costmodel.testing.counting import Oracle, count_problems
from costmodel.testing.opening import figures, opened_problems, strategy_problems
from costmodel.timing.network import kernel_terms
from costmodel.timing.reuse import workloads

Tensors: TypeAlias = tuple[Tensor, ...]
Emission: TypeAlias = Callable[[Op, Tensors], None]
"""Runs an operator on inputs in another library, and raises an error if that fails."""
_Check: TypeAlias = Callable[[Op, Tensors], Iterable[str]]

_ROUNDING = 1 + 1e-9
"""Tolerance of a bound with a square root above an integer."""
_PLATFORMS = ("gtx-1080-ti/torch-eager", "raspberry-pi-4/ncnn")
"""Platforms on which kernels are timed: a GPU and a CPU."""


def assert_operator(
    op: Op, *inputs: Tensor, oracle: Oracle | None = None, emit: Emission | None = None
) -> None:
    """Check all properties of an operator, and report all faults at once.

    Its fields (hashable, frozen, of the annotated types), its place in ``costmodel.ops.OPERATORS``,
    its strategy, its number of inputs, its shape rule, its costs on ints, arrays and symbols, its
    bounds, its JSON, the kernel that it starts and its time, and where they are given the loops
    that count and the code of another library.

    Parameters
    ----------
    op : Op
        The operator.
    *inputs : Tensor
        Inputs that it takes, of int sizes; small ones where loops count.
    oracle : callable, optional
        Loops that count: takes the operator and the int shapes of the inputs and returns a
        :class:`~costmodel.testing.Count`.
    emit : callable, optional
        Takes the operator and its inputs, runs it in another library, and raises where that fails.

    Raises
    ------
    AssertionError
        Its message lists every fault, one per line.
    DataError
        If an input has sizes that are not ints.

    Examples
    --------
    >>> from costmodel.ops import Linear
    >>> from costmodel.testing import Count
    >>> assert_operator(Linear(3), Tensor((2, 4)))
    >>> assert_operator(Linear(3), Tensor((2, 4)), oracle=lambda op, x: Count([(2, 3)]))
    Traceback (most recent call last):
    ...
    AssertionError: Linear(out_features=3, bias=True) on float32[2, 4]:
    - counting loops: multiply_adds: the formula says 24, the loops count 0
    - counting loops: elementwise: the formula says 6, the loops count 0
    - counting loops: weight_reads: the formula says 15, the loops count 0
    - counting loops: writes: the formula says 6, the loops count 0
    """
    for x in inputs:
        if not all(type(size) is int for size in x.shape):
            raise DataError(f"assert_operator takes inputs of int sizes, got {x}")
    problems = _all_problems(op, inputs, oracle, emit)
    if problems:
        subject = f"{op!r} on {', '.join(map(str, inputs)) or 'no inputs'}"
        raise AssertionError("\n- ".join([f"{subject}:", *problems]))


def _all_problems(
    op: Op, inputs: Tensors, oracle: Oracle | None, emit: Emission | None
) -> list[str]:
    found: list[str] = []

    def passes(what: str, check: _Check) -> bool:
        before = len(found)
        try:
            found.extend(f"{what}: {problem}" for problem in check(op, inputs))
        except Exception as error:  # whatever a faulty operator raises
            found.append(f"{what}: {type(error).__name__}: {error}")
        return len(found) == before

    passes("fields", _field_problems)
    passes("registration", _registration_problems)
    passes("strategy", _strategy_problems)
    if not (passes("arity", _arity_problems) and passes("shape rule", _shape_problems)):
        return [*found, "nothing that needs the shape rule was checked"]
    if passes("costs", _cost_problems):
        passes("open sizes", opened_problems)
        passes("bounds", _bound_problems)
    else:
        found.append("open sizes and bounds were not checked: they need the costs")
    if passes("kernel", _kernel_problems):
        passes("time", _time_problems)
    passes("JSON", _json_problems)
    if oracle is not None:
        passes("counting loops", lambda op, inputs: _counted_problems(op, inputs, oracle))
    if emit is not None:
        passes("emission", lambda op, inputs: emit(op, inputs) or ())
    return found


def _field_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    if not (dataclasses.is_dataclass(op) and _is_frozen(op)):
        yield f"{type(op).__name__} must be a @dataclass(frozen=True, slots=True)"
    for name, value in op.fields().items():
        try:
            hash(value)
        except TypeError:
            yield f"{name} must be hashable, got {value!r}"
    try:
        op.check_fields()
    except DataError as error:
        yield str(error)
    if type(op)(**op.fields()) != op:
        yield f"another {type(op).__name__} of the same fields must be equal to it"


def _is_frozen(op: Any) -> bool:
    return bool(type(op).__dataclass_params__.frozen)


def _registration_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    name = type(op).__name__
    if OPERATORS.get(name) is not type(op):
        yield f"{name} is not in costmodel.ops.OPERATORS: import it in costmodel/ops/__init__.py"


def _strategy_problems(op: Op, inputs: Tensors) -> tuple[str, ...]:
    return strategy_problems(type(op))


def _arity_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    if op.arity is not None and (type(op.arity) is not int or op.arity < 0):
        yield f"the arity must be a number of inputs, or None for any, got {op.arity!r}"
    else:
        op.check_arity(inputs)


def _shape_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    for rule in ("infer", "weights"):
        name = f"{type(op).__name__}.{rule}"
        first, again = getattr(op, rule)(*inputs), getattr(op, rule)(*inputs)
        if not isinstance(first, tuple) or not all(isinstance(y, Tensor) for y in first):
            yield f"{name} must return a tuple of tensors, got {first!r}"
        elif not all(type(size) is int for y in first for size in y.shape):
            yield f"{name} must give int sizes for int sizes, got {first!r}"
        elif first != again:
            yield f"{name} must give the same each time, got {first!r} and then {again!r}"


def _cost_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    found = figures(op, inputs)
    for name, value in found.items():
        if type(value) is not int or value < 0:
            yield f"{name} must be an int of at least 0, got {value!r}"
    cost = op_cost(op, inputs).cost
    if found["span"] > cost.work:
        yield f"the span {found['span']} must be at most the work {cost.work}"
    if op.is_view and (cost.mac or cost.work):
        yield f"a view must be free, it moves {cost.mac} elements in {cost.work} operations"
    dtypes = {t.dtype for t in (*inputs, *op.weights(*inputs), *op.infer(*inputs))}
    sizes = [DTYPE_BYTES[dtype] for dtype in dtypes] or [1]
    if not min(sizes) * cost.mac <= cost.bytes <= max(sizes) * cost.mac:
        yield f"{cost.bytes} bytes cannot be {cost.mac} elements of {', '.join(sorted(dtypes))}"


def _bound_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    mac = op_cost(op, inputs).cost.mac
    least = {
        "mac_lower_bound": mac_lower_bound(op, *inputs),
        "io_lower_bound": io_lower_bound(Case(op, inputs).graph()),
    }
    for name, bound in least.items():
        if bound > mac * _ROUNDING:
            yield f"{name} {bound} must be at most the memory access cost {mac}"


def _kernel_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    if not op.kernel_kinds or not any(y.elements for y in op.infer(*inputs)):
        return  # it launches nothing
    kind = op.kernel_kind(*inputs)
    if kind not in op.kernel_kinds:
        yield f"it starts a kernel of kind {kind!r}, which kernel_kinds {op.kernel_kinds} lacks"
    products = op.products(*inputs)
    made, counted = sum(p.multiply_adds for p in products), op_cost(op, inputs).cost.multiply_adds
    if made != counted:
        yield f"its products make {made} multiply-adds, its nest {counted}"
    if products and not KINDS[kind].product:
        yield f"a kernel of kind {kind!r} is not one of products, but it has {len(products)}"
    for name, count in op.functions(*inputs).items():
        if name not in TRANSCENDENTAL:
            yield f"it evaluates {name!r}, which TRANSCENDENTAL of costmodel.ops.elementwise lacks"
        elif type(count) is not int or count < 0:
            yield f"it evaluates {name!r} {count!r} times: this must be an int of at least 0"
    pieces = op.pieces(*inputs)
    if type(pieces) is not int or pieces < 0:
        yield f"its pieces must be an int of at least 0, got {pieces!r}"


def _time_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    nodes = list(nodes_in_order(Case(op, inputs).graph()))
    for name in _PLATFORMS:
        where = load_platform(name, calibrated=False)
        for w in workloads(lower_nodes(nodes, where.runtime)):
            found = kernel_terms(w, machine_for(where, w.dtype), where.fitted.theta)
            if not found.model * _ROUNDING >= found.bound:
                yield (
                    f"on {name} the model says {found.model:.3g} s, less than the bound of the "
                    f"hardware, {found.bound:.3g} s"
                )


def _json_problems(op: Op, inputs: Tensors) -> Iterator[str]:
    if OPERATORS.get(type(op).__name__) is not type(op):
        return  # not allowed in files, which is reported already
    graph = Case(op, inputs).graph()
    again = from_json(to_json(graph))
    if _contents(again) != _contents(graph):
        yield f"{to_json(graph)} does not give the same graph when it is read"


def _contents(graph: nx.DiGraph) -> Any:
    edges = {(a, b): data for a, b, data in graph.edges(data=True)}
    return graph.graph, dict(graph.nodes(data=True)), list(graph), edges


def _counted_problems(op: Op, inputs: Tensors, oracle: Oracle) -> list[str]:
    return count_problems(op, inputs, oracle(op, *(x.shape for x in inputs)))
