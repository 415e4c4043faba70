"""Work that unknown operators may hide, and the counted share of a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx

from costmodel.algebra.expressions import substitute
from costmodel.algebra.symbols import Dim, total
from costmodel.counting.metrics import cost
from costmodel.ops.tensor import Tensor

_SYMBOL = 64
"""Size that replaces every symbol in a share. [element]"""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Known facts of an unknown operator: its input and output tensors.

    Parameters
    ----------
    inputs, outputs : sequence of Tensor
        Its tensors.
    bounded : bool
        Whether its work follows from their shapes. It does not if the operator runs a program
        (a loop, a branch), or if its results are not known.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    bounded: bool = True

    @property
    def shapes(self) -> str:
        """The tensors in words: ``float32[8, 4] -> float32[8, 2]``."""
        sides = (self.inputs, self.outputs)
        return " -> ".join(", ".join(map(str, side)) or "nothing" for side in sides)

    def work(self) -> int:
        r"""Return the most multiply-adds that the shapes let it hide [multiply-add].

        Every result counts as a sum over as many products as the shapes allow: over the longest
        axis of an input, or over a weight for each of the fewest outputs that it can have,
        :math:`|w| / \min n_i` with :math:`n_i > 1` (a convolution, whose window and channels are
        summed over), ``w`` being each floating tensor but the first, all of them added up.

        Examples
        --------
        >>> x, w, y = Tensor((10, 64)), Tensor((32, 64)), Tensor((10, 32))
        >>> Hidden((x, w), (y,)).work()
        20480
        """
        floating = [_sizes(x) for x in self.inputs if x.dtype != "bool" and "int" not in x.dtype]
        longest = max((n for sizes in floating for n in sizes), default=1)
        weights = [w for w in floating[1:] if math.prod(w) > 1]
        summed = sum(math.prod(w) // min(n for n in w if n > 1) for w in weights)
        results = sum(math.prod(_sizes(y)) for y in self.outputs)
        return results * max(longest, summed, 1)


def coverage(graph: nx.DiGraph, hidden: Iterable[Hidden]) -> float:
    """Return a lower bound of the counted share of the work of a network [1].

    Work is multiply-adds and other operations. An unknown operator counts with the most that it may
    hide (:meth:`Hidden.work`). If shapes give no limit, it counts as much as all
    counted work, so one such operator leaves a half. Symbols are replaced by 64.

    Examples
    --------
    >>> from costmodel import zoo
    >>> coverage(zoo.pointwise(56, 56, 128, 128), [])
    1.0
    """
    hidden = tuple(hidden)
    if not hidden:
        return 1.0
    counted = _number(cost(graph).work)
    unbounded = sum(not h.bounded for h in hidden)
    most = counted * (1 + unbounded) + sum(h.work() for h in hidden if h.bounded)
    return counted / most if most else 0.0


def _sizes(x: Tensor) -> tuple[int, ...]:
    return tuple(_number(size) for size in x.shape) or (1,)


def _number(value: Dim) -> int:
    symbols = getattr(value, "free_symbols", ())
    return int(total([substitute(value, {s.name: _SYMBOL for s in symbols})]))
