"""Sizes left open: an operator on arrays and on symbols must cost what it costs on numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from costmodel.algebra.expressions import substitute
from costmodel.algebra.symbols import Dim, dim, total
from costmodel.counting.cost import op_cost
from costmodel.errors import CostModelError, DataError
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor
from costmodel.testing.case import STRATEGIES, Template

Figures = dict[str, Dim]
Place = tuple[int, int]
"""Number of an input, and of one of its axes."""

_TEMPLATES = 8
"""Number of templates tried per strategy."""


def figures(op: Op, inputs: tuple[Tensor, ...]) -> Figures:
    """Return all figures of ``op`` on ``inputs``, by name, including output sizes.

    Examples
    --------
    >>> from costmodel.ops import Linear
    >>> found = figures(Linear(3, bias=False), (Tensor((2, 4)),))
    >>> found["multiply_adds"], found["params"], found["size 1 of output 0"]
    (24, 12, 3)
    """
    result = op_cost(op, inputs)
    cost = result.cost
    found: Figures = {
        "multiply_adds": cost.multiply_adds,
        "elementwise": cost.elementwise,
        "reads": cost.reads,
        "weight_reads": cost.weight_reads,
        "writes": cost.writes,
        "bytes": cost.bytes,
        "items": result.items,
        "span": result.span,
        "params": result.params,
        "multiply_adds of the products": total(p.multiply_adds for p in op.products(*inputs)),
        "pieces": op.pieces(*inputs),
    }
    found |= {f"evaluations of {name}": n for name, n in op.functions(*inputs).items()}
    for i, y in enumerate(op.infer(*inputs)):
        found |= {f"size {axis} of output {i}": size for axis, size in enumerate(y.shape)}
    return found


def opened_problems(op: Op, inputs: tuple[Tensor, ...]) -> list[str]:
    """Return differences of ``op`` when sizes of ``inputs`` are arrays or symbols, one per line.

    Equal sizes are opened together, or one by one if the shape rule rejects that; sizes that it
    still rejects stay numbers.

    Examples
    --------
    >>> from costmodel.ops import MatMul
    >>> opened_problems(MatMul(), (Tensor((2, 3)), Tensor((3, 2))))
    []
    """
    numbers = figures(op, inputs)
    wide, _ = _opened(op, inputs, lambda name, size: np.array([size, size]))
    arrays = _differences("arrays", _at_arrays(figures(op, wide), 2), [numbers] * 2)
    if any(size == 0 for x in inputs for size in x.shape):
        return arrays  # symbols are positive
    symbolic, values = _opened(op, inputs, lambda name, size: dim(name))
    symbols = _at_symbols(figures(op, symbolic), [values])
    return [*arrays, *_differences("symbols", symbols, [numbers])]


def template_problems(template: Template) -> list[str]:
    """Return differences of arrays and symbols in a template from its variants, one per line."""
    numbers = [figures(*template.concrete(i)) for i in range(len(template.variants))]
    arrays = _at_arrays(figures(*template.arrays()), len(numbers))
    # Symbols are positive, and so are all sizes of the first variant.
    positive = [i for i, sizes in enumerate(template.variants) if 0 not in sizes.values()]
    symbols = _at_symbols(figures(*template.symbolic()), [template.variants[i] for i in positive])
    right = [numbers[i] for i in positive]
    return [*_differences("arrays", arrays, numbers), *_differences("symbols", symbols, right)]


def strategy_problems(cls: type[Op]) -> tuple[str, ...]:
    """Return faults of the strategy with open sizes of an operator, one per line."""
    try:
        strategy = STRATEGIES[cls.__name__]
    except DataError as error:
        return (str(error),)
    try:
        return _drawn_problems(cls, strategy)  # type: ignore[arg-type]  # a class can be hashed
    except Exception as error:  # whatever a faulty strategy raises
        return (f"it draws nothing: {type(error).__name__}: {error}",)


@cache
def _drawn_problems(
    cls: type[Any], strategy: Callable[[], SearchStrategy[Template]]
) -> tuple[str, ...]:
    found: dict[str, None] = {}  # in order, once each
    _draw_templates(cls=cls, strategy=strategy(), found=found)
    return tuple(found)


# Wrapped once, here: inside a test of hypothesis, a new `given` is refused.
@settings(
    max_examples=_TEMPLATES,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def _draw_templates(
    data: st.DataObject,
    cls: type[Op],
    strategy: SearchStrategy[Template],
    found: dict[str, None],
) -> None:
    template = data.draw(strategy)
    if found:  # one faulty template is enough
        return
    drawn = type(template.concrete().op)
    if drawn is not cls:
        found[f"it draws {drawn.__name__}"] = None
    try:
        found.update(dict.fromkeys(template_problems(template)))
    except Exception as error:  # whatever a faulty operator raises
        found[f"its sizes cannot be left open: {type(error).__name__}: {error}"] = None


def _opened(
    op: Op, inputs: tuple[Tensor, ...], make: Callable[[str, int], Dim]
) -> tuple[tuple[Tensor, ...], dict[str, int]]:
    """Return the inputs with sizes made by ``make``, and the size that each name stands for."""
    places: dict[int, list[Place]] = {}
    for slot, x in enumerate(inputs):
        for axis, size in enumerate(x.shape):
            places.setdefault(size, []).append((slot, axis))
    values: dict[str, int] = {}
    for size, equal in places.items():
        for group in (equal, *([place] for place in equal)):
            name = f"size{len(values)}"
            wider = _with_size(inputs, group, make(name, size))
            if _takes(op, wider):
                inputs, values[name] = wider, size
                if group is equal:
                    break
    return inputs, values


def _with_size(
    inputs: tuple[Tensor, ...], places: Sequence[Place], size: Dim
) -> tuple[Tensor, ...]:
    return tuple(
        x.with_shape(*(size if (slot, axis) in places else old for axis, old in enumerate(x.shape)))
        for slot, x in enumerate(inputs)
    )


def _takes(op: Op, inputs: tuple[Tensor, ...]) -> bool:
    try:
        op.infer(*inputs)
    except CostModelError:
        return False
    return True


def _at_arrays(found: Figures, count: int) -> list[Figures]:
    """Return the figures of each entry of arrays."""
    wide = {name: np.broadcast_to(value, count) for name, value in found.items()}
    return [{name: _plain(value[i]) for name, value in wide.items()} for i in range(count)]


def _plain(value: Any) -> Dim:
    return value.item() if isinstance(value, np.generic) else value


def _at_symbols(found: Figures, variants: Sequence[dict[str, int]]) -> list[Figures]:
    """Return the figures with symbols replaced by numbers."""
    return [
        {name: substitute(value, dict(values)) for name, value in found.items()}
        for values in variants
    ]


def _differences(kind: str, found: list[Figures], numbers: list[Figures]) -> list[str]:
    first: dict[str, str] = {}
    for opened, right in zip(found, numbers, strict=True):
        for name in dict.fromkeys([*right, *opened]):
            a, b = opened.get(name), right.get(name)
            if a != b:
                first.setdefault(name, f"{name}: {a} for {kind}, {b} for ints")
    return list(first.values())
