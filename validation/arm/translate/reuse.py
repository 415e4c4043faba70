"""Memory sharing of tensors that are never alive together, as in inference engines.

Without sharing, every tensor would be written to uncached memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..bench.program import Buffer, Call, Spec

_ALIGN = 16  # elements: one cache line
_ROW = 32


@dataclass(frozen=True)
class _Life:
    number: int
    elements: int
    first: int
    last: int


def reuse_memory(spec: Spec) -> Spec:
    """Lay out the tensors that a network writes in one arena.

    Tensors are placed largest first, each at the lowest offset that is free while it lives. Inputs
    keep memory of their own; what is dumped lives to the end.

    Examples
    --------
    >>> from costmodel_validation.arm.bench.program import SpecBuilder
    >>> builder = SpecBuilder()
    >>> tensors = [builder.tensor((1, 16, 1, 1), seed=1)]
    >>> for _ in range(4):
    ...     tensors.append(builder.tensor((1, 16, 1, 1)))
    ...     builder.op("relu", tensors[-2:-1], tensors[-1:])
    >>> reuse_memory(builder.build()).buffers[0].elements  # two of the four at a time
    32
    """
    offsets = _place(_lives(spec))
    if not offsets:
        return spec
    size = max(offset + spec.buffers[number].elements for number, offset in offsets.items())
    buffers = [Buffer((1, 1, -(-size // _ROW), _ROW))]  # no extent may be very large
    for number, buffer in enumerate(spec.buffers):
        root, offset = _root(spec, number)
        if root in offsets:
            buffers.append(replace(buffer, base=0, offset=offsets[root] + offset))
        elif buffer.base is not None:
            buffers.append(replace(buffer, base=buffer.base + 1))
        else:
            buffers.append(buffer)
    calls = tuple(_shift(call) for call in spec.calls)
    return replace(
        spec, buffers=tuple(buffers), calls=calls, dumps=tuple(d + 1 for d in spec.dumps)
    )


def _shift(call: Call) -> Call:
    """Make room for the arena, which comes first: all numbers are one higher."""
    reads, writes = (tuple(number + 1 for number in ids) for ids in (call.inputs, call.outputs))
    return replace(call, inputs=reads, outputs=writes)


def _root(spec: Spec, number: int) -> tuple[int, int]:
    """Find the tensor that owns the memory of this one, and the offset in it."""
    offset = 0
    while (base := spec.buffers[number].base) is not None:
        offset += spec.buffers[number].offset
        number = base
    return number, offset


def _lives(spec: Spec) -> list[_Life]:
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for time, call in enumerate(spec.calls):
        for number in (*call.inputs, *call.outputs):
            root = _root(spec, number)[0]
            if spec.buffers[root].seed is None:
                first.setdefault(root, time)
                last[root] = time
    for number in spec.dumps:
        last[_root(spec, number)[0]] = len(spec.calls)
    return [_Life(root, spec.buffers[root].elements, first[root], last[root]) for root in first]


def _place(lives: list[_Life]) -> dict[int, int]:
    offsets: dict[int, int] = {}
    placed: list[_Life] = []
    for life in sorted(lives, key=lambda one: (-one.elements, one.number)):
        taken = sorted(
            (offsets[other.number], offsets[other.number] + other.elements)
            for other in placed
            if other.first <= life.last and life.first <= other.last
        )
        offset = 0
        for begin, end in taken:
            if offset + life.elements <= begin:
                break
            offset = max(offset, -(-end // _ALIGN) * _ALIGN)
        offsets[life.number] = offset
        placed.append(life)
    return offsets
