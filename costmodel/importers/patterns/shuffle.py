"""Channel shuffles that are written as reshape, transpose, copy, reshape."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.graph import Source
from costmodel.importers.patterns.pieces import Pieces, Whole
from costmodel.ops import ChannelShuffle, Contiguous, Reshape, Transpose


def channel_shuffle(pieces: Pieces, value: Source) -> Whole | None:
    """Find channels that are split into groups, the two axes swapped, copied and joined again."""
    chain = [value]
    for kinds in ((Reshape, Contiguous), (Contiguous, Reshape), (Transpose,), (Reshape,)):
        if not isinstance(pieces.op(chain[-1]), kinds):
            return None
        chain += pieces.inputs(chain[-1])
    join, copy, transpose, split, x = chain
    if type(pieces.op(join)) is type(pieces.op(copy)):
        return None
    before, apart, after = (pieces.tensor(end).shape for end in (x, split, join))
    order = pieces.op(transpose).fields()["order"]
    if order != (0, 2, 1, *range(3, len(apart))) or not _is_shuffle(before, apart, after):
        return None
    return Whole(ChannelShuffle(taken(apart[1])), x)


def _is_shuffle(before: tuple[Dim, ...], apart: tuple[Dim, ...], after: tuple[Dim, ...]) -> bool:
    if len(before) < 3 or len(apart) != len(before) + 1 or len(after) != len(before):
        return False
    split = (apart[0], apart[1] * apart[2], *apart[3:])
    return all(map(same, split, before)) and all(map(same, after, before))
