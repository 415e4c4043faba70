"""Input of ``armbench``: a network as operators over numbered tensors.

The text form is described in ``src/spec.c``; this module writes it. Tensors are float32, NCHW.

>>> builder = SpecBuilder()
>>> x = builder.tensor((1, 58, 28, 28), seed=1)
>>> y = builder.tensor((1, 58, 28, 28))
>>> builder.op("conv1x1", [x], [y], act="relu", seed=7)
>>> print(builder.build(dumps=[y]).text(), end="")
tensor 0 1 58 28 28 seed=1
tensor 1 1 58 28 28
op conv1x1 in=0 out=1 act=relu seed=7
dump 1
run warmup=0 repeats=1 budget_ms=1000
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from costmodel.errors import DataError

Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Buffer:
    """One tensor: filled from ``seed``, or a view of ``base`` from element ``offset`` on.

    Filled values are between ``-scale`` and ``scale``.
    """

    shape: Shape
    seed: int | None = None
    base: int | None = None
    offset: int = 0
    scale: int = 1

    @property
    def elements(self) -> int:
        """Number of elements."""
        n, c, h, w = self.shape
        return n * c * h * w

    def line(self, number: int) -> str:
        """Write the line of the specification that declares this tensor."""
        extents = " ".join(map(str, self.shape))
        if self.base is not None:
            return f"view {number} {extents} of={self.base} offset={self.offset}"
        seed = "" if self.seed is None else f" seed={self.seed}"
        return f"tensor {number} {extents}{seed}" + (
            f" scale={self.scale}" if self.scale > 1 else ""
        )


@dataclass(frozen=True)
class Call:
    """One operator: the kernel's name, the tensors it reads and writes, its parameters."""

    kernel: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: Mapping[str, int | str] = field(default_factory=dict)
    name: str = ""

    def line(self) -> str:
        """Write the line of the specification that asks for this operator."""
        reads, writes = (",".join(map(str, ids)) for ids in (self.inputs, self.outputs))
        words = [f"op {self.kernel} in={reads} out={writes}"]
        return " ".join(words + [f"{key}={value}" for key, value in self.params.items()])


@dataclass(frozen=True)
class Spec:
    """A whole specification; ``text()`` is what goes to the binary's standard input."""

    buffers: tuple[Buffer, ...]
    calls: tuple[Call, ...]
    dumps: tuple[int, ...] = ()
    warmup: int = 0
    repeats: int = 1
    budget_ms: int = 1000
    threads: int = 1

    def text(self) -> str:
        """Write the specification as text."""
        dumps = "".join(f"dump {number}\n" for number in self.dumps)
        run = f"run warmup={self.warmup} repeats={self.repeats} budget_ms={self.budget_ms}"
        run += f" threads={self.threads}\n" if self.threads != 1 else "\n"
        return self.body() + dumps + run

    def body(self) -> str:
        """Write tensors and operators only, for a program that serves commands."""
        lines = [buffer.line(number) for number, buffer in enumerate(self.buffers)]
        return "\n".join([*lines, *(call.line() for call in self.calls), ""])

    def timed(self, warmup: int, repeats: int, budget_ms: int) -> Spec:
        """Return the same network run more often, with nothing dumped."""
        return replace(self, dumps=(), warmup=warmup, repeats=repeats, budget_ms=budget_ms)

    def dumping(self, numbers: Iterable[int]) -> Spec:
        """Return the same network run once, with these tensors dumped."""
        return replace(self, dumps=tuple(numbers), warmup=0, repeats=1)

    def written(self) -> tuple[int, ...]:
        """Numbers of the tensors that operators write, in order."""
        return tuple(number for call in self.calls for number in call.outputs)

    def unread(self) -> tuple[int, ...]:
        """Numbers of the tensors that nothing reads or is a view of: the outputs, in order."""
        read = {number for call in self.calls for number in call.inputs}
        read |= {buffer.base for buffer in self.buffers if buffer.base is not None}
        return tuple(number for number in range(len(self.buffers)) if number not in read)


class SpecBuilder:
    """Numbers tensors and collects operators until ``build()``."""

    def __init__(self) -> None:
        self._buffers: list[Buffer] = []
        self._calls: list[Call] = []

    def tensor(self, shape: Sequence[int], seed: int | None = None, scale: int = 1) -> int:
        """Add a tensor, an input when it has a seed; returns its number."""
        return self._add(Buffer(_four(shape), seed, scale=scale))

    def view(self, base: int, shape: Sequence[int], offset: int = 0) -> int:
        """Add a part of another tensor's memory with its own shape; returns its number."""
        parent = self._buffers[base]
        view = Buffer(_four(shape), None, base, offset)
        if offset + view.elements > parent.elements:
            raise DataError(
                f"a view of {view.elements} elements from {offset} on does not fit in tensor "
                f"{base} of {parent.elements} elements"
            )
        return self._add(view)

    def op(
        self, kernel: str, inputs: Sequence[int], outputs: Sequence[int], /, **params: int | str
    ) -> None:
        """Append one operator."""
        self.add(Call(kernel, tuple(inputs), tuple(outputs), MappingProxyType(params)))

    def add(self, call: Call) -> None:
        """Append one operator that is made already."""
        self._calls.append(call)

    def shape(self, number: int) -> Shape:
        """Shape of a tensor."""
        return self._buffers[number].shape

    def build(self, dumps: Iterable[int] = ()) -> Spec:
        """Return the specification, to be run once."""
        return Spec(tuple(self._buffers), tuple(self._calls), tuple(dumps))

    def _add(self, buffer: Buffer) -> int:
        self._buffers.append(buffer)
        return len(self._buffers) - 1


def _four(shape: Sequence[int]) -> Shape:
    if not 1 <= len(shape) <= 4:
        raise DataError(
            f"the ARM kernels take tensors of 1 to 4 axes, not {len(shape)}: {tuple(shape)}"
        )
    padded = (*shape, 1, 1, 1) if len(shape) < 4 else tuple(shape)
    return padded[0], padded[1], padded[2], padded[3]
