"""The base of operators: fields, a shape rule, a loop nest or an expansion, and a kernel.

Operators do not define multiply-adds, traffic, parallel items and span: these follow from the nest
in :mod:`costmodel.counting.cost`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError, ShapeError, suggest
from costmodel.kinds import KINDS
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Nest:
    """The loop nest of an operator: its loops, the work of an iteration, the touched elements.

    Parameters
    ----------
    parallel : tuple of Dim
        Extents of the loops whose iterations are independent. [1]
    reduced : tuple of Dim
        Extents of the reduction loops, which accumulate into one result in order. [1]
    points : Dim, optional
        Total number of innermost iterations if the loops do not fill a box, such as the triangle of
        causal attention; by default the product of all extents. [1]
    multiply_adds : int
        Multiply-adds of one innermost iteration. [multiply-add]
    elementwise : int
        Other arithmetic operations of one innermost iteration. [operation]
    epilogue : int
        Operations after the reduction, once per parallel iteration (a bias). [operation]
    extra : Dim
        Operations outside the loops, independent of each other. [operation]
    chain : Dim, optional
        Operations on the longest dependent chain; by default those of the reduction loops, then the
        epilogue. [step]
    reads : tuple of Dim, optional
        Elements read from each input; by default the whole input, once. [element]
    weight_reads : Dim, optional
        Elements read from the weights; by default all, once. [element]
    writes : tuple of Dim, optional
        Elements written to each output; by default the whole output, once. [element]
    """

    parallel: tuple[Dim, ...] = ()
    reduced: tuple[Dim, ...] = ()
    points: Dim | None = None
    multiply_adds: int = 0
    elementwise: int = 0
    epilogue: int = 0
    extra: Dim = 0
    chain: Dim | None = None
    reads: tuple[Dim, ...] | None = None
    weight_reads: Dim | None = None
    writes: tuple[Dim, ...] | None = None


VIEW = Nest(reads=(), weight_reads=0, writes=())
"""The nest of an operator without traffic and arithmetic: a view of its input."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of an expansion and the numbers of its input values.

    Values are numbered in order: the inputs of the expanded operator first, then the outputs of
    each step.
    """

    op: Op
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Expansion:
    """A straight-line program equivalent to an operator.

    Parameters
    ----------
    inputs : tuple of Tensor
        The inputs of the program: those of the operator, or the state of one time step.
    steps : tuple of Step
        The program, in order.
    outputs : tuple of int
        The numbers of the output values.
    times : Dim
        Number of dependent runs of the program (the time steps of a recurrent network). [1]
    """

    inputs: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    times: Dim = 1

    def operators(self) -> Iterator[tuple[Op, tuple[Tensor, ...]]]:
        """Yield the operator of every step with its input tensors."""
        tensors = list(self.inputs)
        for step in self.steps:
            taken = tuple(tensors[i] for i in step.inputs)
            yield step.op, taken
            tensors.extend(step.op.infer(*taken))


@dataclass
class Program:
    """Records the steps of an expansion; values are represented by their numbers.

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


_SIZE = (int, np.ndarray)  # or an expression
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
"""Allowed types of a field by its annotation; a tuple for any other annotation."""


class Op:
    """Base of all operators. Subclasses must be final frozen dataclasses.

    A subclass defines the shape rule :meth:`infer`, the tensors of its :meth:`weights`, and either
    :meth:`nest` or :meth:`expand`. It lists the kinds of kernel that it may start
    (``kernel_kinds``); if there are several, :meth:`kernel_kind` selects one. A kind that consists
    of matrix products requires :meth:`products`, unless the operator expands.

    Raises
    ------
    TypeError
        At the definition of a subclass without one of these.
    """

    __slots__ = ()
    kernel_kinds: ClassVar[tuple[str, ...]]
    """Kinds of kernel (:data:`costmodel.kinds.KINDS`) that it may start; none for what launches
    nothing under any runtime."""
    arity: ClassVar[int | None] = 1
    """Number of inputs; ``None`` for any number, at least one."""
    is_view: ClassVar[bool] = False
    """Whether the outputs share the memory of the first input."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        problem = _undeclared(cls)
        if problem:
            raise TypeError(f"operator {cls.__name__} {problem}")
        if "__post_init__" in vars(cls):
            cls.__post_init__ = _naming_field(cls.__post_init__)  # type: ignore[attr-defined]

    # Not an abstract base class: its instance checks are slow, and lowering makes many.
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
        """Return the program equivalent to this operator, or None if it is a single nest."""
        return None

    def kernel_kind(self, *inputs: Tensor) -> str:
        """Return the kind of kernel that the operator starts on ``inputs``."""
        (only,) = self.kernel_kinds
        return only

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        """Return the matrix products of its multiply-adds, by default those of its expansion."""
        expansion = self.expand(*inputs)
        if expansion is None:
            return ()
        return tuple(
            dataclasses.replace(p, times=p.times * expansion.times, needed=_times(p, expansion))
            for op, tensors in expansion.operators()
            for p in op.products(*tensors)
        )

    def functions(self, *inputs: Tensor) -> Mapping[str, Dim]:
        """Return the evaluations of each transcendental function, by default of its expansion.

        The names are those of :data:`costmodel.ops.elementwise.TRANSCENDENTAL`.
        """
        counts: Counter[str] = Counter()
        expansion = self.expand(*inputs)
        if expansion is None:
            return counts
        for op, tensors in expansion.operators():
            for name, count in op.functions(*tensors).items():
                counts[name] = counts[name] + count * expansion.times
        return counts

    def pieces(self, *inputs: Tensor) -> Dim:
        """Return the number of pieces handled one after the other; 0 for one sweep [1].

        Pieces are the planes of a batch normalization, the rows of a softmax or layer
        normalization, and the contiguous runs of a channel shuffle.
        """
        return 0

    def merged(self, *inputs: Tensor) -> Dim:
        """Return the rows whose mean and variance are computed together; 0 without a mean [1]."""
        return 0

    @property
    def expands(self) -> bool:
        """Whether the operator expands into a program of others and has no nest of its own."""
        return type(self).expand is not Op.expand

    def fields(self) -> dict[str, object]:
        """Return the fields by name, in order."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    def with_fields(self, **changes: object) -> Self:
        """Return the operator with ``changes``; unchanged sizes are not checked again.

        Examples
        --------
        >>> from costmodel.ops import Conv
        >>> Conv(8, (3, 3)).with_fields(bias=True).bias
        True
        """
        return type(self)(**{**{k: taken(v) for k, v in self.fields().items()}, **changes})

    def check_fields(self) -> None:
        """Raise ``DataError`` unless every field has the type of its annotation.

        Only files and graphs made by hand need this; the operators check sizes.
        """
        for entry in dataclasses.fields(self):  # type: ignore[arg-type]
            value: Any = getattr(self, entry.name)
            annotation = str(entry.type)
            allowed = _FIELD_TYPES.get(annotation, (tuple,))
            fits = isinstance(value, allowed) and (type(value) is not bool or bool in allowed)
            fits = fits or (np.ndarray in allowed and is_expression(value))
            if not fits:
                raise DataError(
                    f"{type(self).__name__} {entry.name} must be {annotation}, got {value!r}"
                )
            if annotation == "tuple[int, ...]" and not all(type(v) is int for v in value):
                raise DataError(
                    f"{type(self).__name__} {entry.name} must hold integers, got {value!r}"
                )

    def check_arity(self, inputs: Sequence[Tensor]) -> None:
        """Raise ``ShapeError`` unless the number of inputs is right."""
        if self.arity is None:
            if not inputs:
                raise ShapeError(f"{type(self).__name__} needs at least one input")
        elif len(inputs) != self.arity:
            raise ShapeError(f"{type(self).__name__} takes {self.arity} inputs, got {len(inputs)}")


def _naming_field(post_init: Callable[[Any], None]) -> Callable[[Any], None]:
    """Wrap ``post_init`` so that errors about wrong types name the field."""

    @functools.wraps(post_init)
    def checked(self: Op) -> None:
        try:
            post_init(self)
        except (AttributeError, TypeError, ValueError):
            self.check_fields()
            raise

    return checked


def _undeclared(cls: type[Op]) -> str:
    """Return a fault in the definition of an operator, ``""`` if there is none."""
    kinds = vars(cls).get("kernel_kinds")
    if not isinstance(kinds, tuple):
        return (
            "does not name the kernel that it starts: it needs kernel_kinds, a tuple of kinds "
            "(costmodel.kinds.KINDS), () if it launches nothing"
        )
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        return f"starts the unknown kind {unknown[0]!r}; {suggest(unknown[0], KINDS)}"
    if len(kinds) > 1 and cls.kernel_kind is Op.kernel_kind:
        return f"starts one of {', '.join(kinds)}: it needs kernel_kind to select one"
    made = any(KINDS[kind].product for kind in kinds)
    if made and cls.products is Op.products and cls.expand is Op.expand:
        return f"starts {', '.join(kinds)}: it needs products, its matrix products"
    return ""


def _times(product: Product, expansion: Expansion) -> Dim | None:
    return None if product.needed is None else product.needed * expansion.times


def need_rank(op: Op, x: Tensor, rank: int, layout: str) -> None:
    """Raise ``ShapeError`` unless ``x`` has ``rank`` dimensions, named by ``layout``."""
    if x.rank != rank:
        raise ShapeError(f"{type(op).__name__} needs a {rank}-d input ({layout}), got {x}")


def need_axis(op: Op, x: Tensor, axis: int) -> int:
    """Return ``axis`` as a non-negative number, or raise ``ShapeError``."""
    if type(axis) is not int:
        raise ShapeError(f"{type(op).__name__} axis must be an integer, got {axis!r}")
    if not -x.rank <= axis < x.rank:
        raise ShapeError(f"{type(op).__name__} axis {axis} is outside the input {x}")
    return axis % x.rank
