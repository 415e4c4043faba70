"""What an operator is: fields, a shape rule, and a loop nest or an expansion into other operators.

Multiply-adds, traffic, parallel items and span are never written per operator: they follow from
the nest in :mod:`costmodel.counting.cost`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import sympy

from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError, ShapeError
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Nest:
    """The loop nest of an operator: what is iterated, what each iteration does, what is touched.

    Parameters
    ----------
    parallel : tuple of Dim
        Extents of the loops whose iterations are independent. [1]
    reduced : tuple of Dim
        Extents of the loops that accumulate into one result, run in order. [1]
    points : Dim, optional
        Innermost iterations in total where the loops are no box: a triangle, as in causal
        attention; by default the product of all extents. [1]
    multiply_adds : int
        Multiply-adds of one innermost iteration. [multiply-add]
    elementwise : int
        Other arithmetic operations of one innermost iteration. [operation]
    epilogue : int
        Operations after the reduction, once per parallel iteration (a bias). [operation]
    extra : Dim
        Operations outside the loops, independent of each other. [operation]
    reads : tuple of Dim, optional
        Elements read of each input; by default each input whole, once. [element]
    weight_reads : Dim, optional
        Elements read of the weights; by default all, once. [element]
    writes : tuple of Dim, optional
        Elements written of each output; by default each whole, once. [element]
    """

    parallel: tuple[Dim, ...] = ()
    reduced: tuple[Dim, ...] = ()
    points: Dim | None = None
    multiply_adds: int = 0
    elementwise: int = 0
    epilogue: int = 0
    extra: Dim = 0
    reads: tuple[Dim, ...] | None = None
    weight_reads: Dim | None = None
    writes: tuple[Dim, ...] | None = None


VIEW = Nest(reads=(), weight_reads=0, writes=())
"""The nest of an operator that moves nothing and computes nothing: a view of its input."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of an expansion and the numbers of the values that it reads.

    Values are numbered in order: the inputs of the expanded operator first, then the outputs of
    each step.
    """

    op: Op
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Expansion:
    """A straight-line program that an operator stands for.

    Parameters
    ----------
    inputs : tuple of Tensor
        What the program starts with: the operator's inputs, or the state of one time step.
    steps : tuple of Step
        The program, in order.
    outputs : tuple of int
        The numbers of the values that are the operator's outputs.
    times : Dim
        How often the program runs, one run after the other (the time steps of a recurrent
        network). [1]
    """

    inputs: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    times: Dim = 1


@dataclass
class Program:
    """Records the steps of an expansion; values are handed around as their numbers.

    Examples
    --------
    >>> from costmodel.ops import Elementwise
    >>> program = Program([Tensor((2, 3))])
    >>> y = program.add(Elementwise("relu"), 0)
    >>> program.tensors[y].shape
    (2, 3)
    """

    tensors: list[Tensor]
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inputs = tuple(self.tensors)

    def add(self, op: Op, *inputs: int) -> int:
        """Append ``op`` and return the number of its first output."""
        first = len(self.tensors)
        self.tensors.extend(op.infer(*(self.tensors[i] for i in inputs)))
        self.steps.append(Step(op, inputs))
        return first

    def finish(self, *outputs: int, times: Dim = 1) -> Expansion:
        """Return the recorded program."""
        return Expansion(self.inputs, tuple(self.steps), outputs, times)


_SIZE = (int, np.ndarray, sympy.Expr)
_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "str": (str,),
    "float | None": (int, float, type(None)),
    "Dim": _SIZE,
    "Window": (*_SIZE, tuple),
    "Padding": (*_SIZE, tuple, str),
    "int | tuple[Dim, ...]": (int, tuple),
}
"""What a field of each annotation may hold; of any other, a tuple."""


class Op:
    """Base of all operators. A subclass is a frozen dataclass and final.

    It gives the shape rule :meth:`infer`, the tensors of its :meth:`weights`, and either
    :meth:`nest` or :meth:`expand`.
    """

    __slots__ = ()
    arity: ClassVar[int | None] = 1
    """Number of inputs; ``None`` for any number, at least one."""
    is_view: ClassVar[bool] = False
    """Whether the outputs share the memory of the first input."""

    # No abstract base class: instance checks of one are slow, and lowering makes many.
    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the output tensors, or raise :class:`~costmodel.errors.ShapeError`."""
        raise NotImplementedError(f"{type(self).__name__} has no shape rule")

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the learned tensors."""
        return ()

    def nest(self, *inputs: Tensor) -> Nest:
        """Return the loop nest of the operator on ``inputs``."""
        return VIEW

    def expand(self, *inputs: Tensor) -> Expansion | None:
        """Return the program that this operator stands for, or None where it is one nest."""
        return None

    @property
    def expands(self) -> bool:
        """Whether the operator stands for a program of others and has no nest of its own."""
        return type(self).expand is not Op.expand

    def fields(self) -> dict[str, object]:
        """Return the fields by name, in order."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    def check_fields(self) -> None:
        """Raise ``DataError`` unless every field holds what its annotation says.

        Only files and graphs made by hand need this; sizes are checked by the operators.
        """
        for entry in dataclasses.fields(self):  # type: ignore[arg-type]
            value: Any = getattr(self, entry.name)
            annotation = str(entry.type)
            allowed = _FIELD_TYPES.get(annotation, (tuple,))
            fits = isinstance(value, allowed) and (type(value) is not bool or bool in allowed)
            if not fits:
                raise DataError(
                    f"{type(self).__name__} {entry.name} should be {annotation}, got {value!r}"
                )
            if annotation == "tuple[int, ...]" and not all(type(v) is int for v in value):
                raise DataError(
                    f"{type(self).__name__} {entry.name} should hold integers, got {value!r}"
                )

    def check_arity(self, inputs: Sequence[Tensor]) -> None:
        """Raise ``ShapeError`` unless the number of inputs is right."""
        if self.arity is None:
            if not inputs:
                raise ShapeError(f"{type(self).__name__} needs at least one input")
        elif len(inputs) != self.arity:
            raise ShapeError(f"{type(self).__name__} takes {self.arity} inputs, got {len(inputs)}")


def need_rank(op: Op, x: Tensor, rank: int, layout: str) -> None:
    """Raise ``ShapeError`` unless ``x`` has ``rank`` dimensions, named by ``layout``."""
    if x.rank != rank:
        raise ShapeError(f"{type(op).__name__} needs a {rank}-d input ({layout}), got {x}")


def need_axis(op: Op, x: Tensor, axis: int) -> int:
    """Return ``axis`` as a non-negative number, or raise ``ShapeError``."""
    if not -x.rank <= axis < x.rank:
        raise ShapeError(f"{type(op).__name__} axis {axis} is outside the input {x}")
    return axis % x.rank
