"""Einstein sums as transposes, views and matrix products."""

from __future__ import annotations

import re
from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, product, same
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.learned import linear
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Elementwise, MatMul, Reduce, StridedView


def einsum(emit: Emitter, equation: str, operands: Sequence[Operand]) -> Operand:
    """Emit the sum ``equation`` over ``operands``, contracted from left to right.

    A letter that an operand repeats is a diagonal of it, a view.

    Raises
    ------
    UnsupportedFormError
        If the equation does not fit the operands.
    """
    labels, result = _parse(equation, [len(x.shape) for x in operands])
    operands = [_diagonal(emit, x, have) for x, have in zip(operands, labels, strict=True)]
    labels = ["".join(dict.fromkeys(have)) for have in labels]
    x, have = operands[0], labels[0]
    for i, (y, other) in enumerate(zip(operands[1:], labels[1:], strict=True), 1):
        needed = set(result).union(*labels[i + 1 :])
        x, have = _pair(emit, x, have, y, other, needed)
    x, have = _sum_out(emit, x, have, set(result))
    return emit.transpose(x, [have.index(letter) for letter in result])


def _parse(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Return the letters of every operand and of the result, the ellipsis spelled out.

    >>> _parse("...d,ed->...e", [3, 2])
    (['ABd', 'ed'], 'ABe')
    """
    equation = equation.replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if not re.fullmatch(r"[A-Za-z.]*(,[A-Za-z.]*)*", left) or len(terms) != len(ranks):
        raise UnsupportedFormError(f"equation {equation}")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    hidden = [rank - len(t) + 3 for t, rank in zip(terms, ranks, strict=True) if "..." in t]
    widest = max(hidden, default=0)
    ellipsis = "".join(free[:widest])
    spelled = [
        term.replace("...", ellipsis[widest - (rank - len(term) + 3) :])
        for term, rank in zip(terms, ranks, strict=True)
    ]
    for term, rank in zip(spelled, ranks, strict=True):
        if len(term) != rank:
            raise UnsupportedFormError(f"equation {equation} for an operand of {rank} axes")
    if not arrow:
        once = [c for c in sorted(set("".join(terms)) - {"."}) if "".join(terms).count(c) == 1]
        return spelled, ellipsis + "".join(once)
    return spelled, result.replace("...", ellipsis)


def _pair(
    emit: Emitter, a: Operand, in_a: str, b: Operand, in_b: str, needed: set[str]
) -> tuple[Operand, str]:
    a, in_a = _sum_out(emit, a, in_a, needed | set(in_b))
    b, in_b = _sum_out(emit, b, in_b, needed | set(in_a))
    a, in_a = _without_ones(emit, a, in_a, needed)
    b, in_b = _without_ones(emit, b, in_b, needed)
    size = dict(zip(in_a, a.shape, strict=True)) | dict(zip(in_b, b.shape, strict=True))
    batch = [c for c in in_a if c in in_b and c in needed]
    inner = [c for c in in_a if c in in_b and c not in needed]
    rows = [c for c in in_a if c not in in_b]
    columns = [c for c in in_b if c not in in_a]
    outer = "".join(batch + rows + columns)
    if not inner:
        left = _arrange(emit, a, in_a, batch + rows, len(columns))
        right = emit.transpose(b, [in_b.index(c) for c in batch + columns])
        ones = [1] * len(rows)
        right = emit.reshape(right, [*(size[c] for c in batch), *ones, *(size[c] for c in columns)])
        return emit.add(Elementwise("mul"), left, right), outer

    def join(letters: list[str]) -> Dim:
        return product(size[c] for c in letters)

    sizes = [size[c] for c in batch]
    left = _arrange(emit, a, in_a, batch + rows + inner)
    left = emit.reshape(left, [*sizes, join(rows), join(inner)])
    right = _arrange(emit, b, in_b, batch + columns + inner)
    right = emit.reshape(right, [*sizes, join(columns), join(inner)])
    if batch:
        y: Operand = emit.add(MatMul(transpose_b=True), left, right)
    else:
        y = linear(emit, left, right, None)
    return emit.reshape(y, [size[c] for c in outer]), outer


def _without_ones(emit: Emitter, x: Operand, have: str, needed: set[str]) -> tuple[Operand, str]:
    """Drop the letters of size 1 that are summed: nothing is added up over them."""
    kept = [i for i, c in enumerate(have) if c in needed or not same(x.shape[i], 1)]
    return emit.reshape(x, [x.shape[i] for i in kept]), "".join(have[i] for i in kept)


def _diagonal(emit: Emitter, x: Operand, have: str) -> Operand:
    size = dict(zip(have, x.shape, strict=True))
    if len(size) == len(have):
        return x
    shape = tuple(size.values())
    if isinstance(x, Stored):
        return x.view(shape, f"diagonal {have}")
    return emit.add(StridedView(taken(shape)), x)


def _arrange(emit: Emitter, x: Operand, have: str, want: list[str], trailing: int = 0) -> Operand:
    x = emit.transpose(x, [have.index(c) for c in want])
    return emit.reshape(x, [*x.shape, *([1] * trailing)])


def _sum_out(emit: Emitter, x: Operand, have: str, needed: set[str]) -> tuple[Operand, str]:
    gone = tuple(i for i, c in enumerate(have) if c not in needed)
    if not gone:
        return x, have
    return emit.add(Reduce("sum", gone), x), "".join(c for c in have if c in needed)
