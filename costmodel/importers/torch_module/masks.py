"""Recognition of causal masks of attention by their values."""

from __future__ import annotations

from collections import Counter

from torch import Tensor

ATTENTION = "scaled_dot_product_attention"
_NEVER = -1e4
"""Largest number added to a masked score, in any dtype."""
_TEXTS = {
    True: "{} with a causal mask as a tensor: the triangle is counted, as with is_causal",
    False: "{} with a mask as a tensor: the full square is counted",
}


def text(count: int, causal: bool) -> str:
    """Return the note about ``count`` attentions with a tensor as mask."""
    return _TEXTS[causal].format(f"{count} attention" + ("s" if count > 1 else ""))


class Masks:
    """Looks at the masks of a network, each once, and says what was counted."""

    def __init__(self) -> None:
        self._met: dict[int, tuple[Tensor, int, bool]] = {}
        self._counts: Counter[bool] = Counter()

    def is_causal(self, mask: Tensor, known: bool) -> bool:
        """Return whether ``mask`` is causal: every token attends to itself and earlier tokens only.

        Parameters
        ----------
        mask : Tensor
            A mask of attention: of truth values, or of numbers that are added to the scores.
        known : bool
            Whether its values are known; otherwise it counts as a general mask.
        """
        causal = known and self._looked_at(mask)
        self._counts[causal] += 1
        return causal

    def notes(self) -> tuple[str, ...]:
        """Return notes that qualify the totals."""
        return tuple(text(n, causal) for causal, n in sorted(self._counts.items()))

    def _looked_at(self, mask: Tensor) -> bool:
        found = self._met.get(id(mask))
        if found is None or found[1] != mask._version:
            found = self._met[id(mask)] = (mask, mask._version, _is_causal(mask))
        return found[2]


def _is_causal(mask: Tensor) -> bool:
    if mask.dim() < 2 or mask.shape[-1] != mask.shape[-2] or mask.shape[-1] < 2:
        return False
    seen = mask if not mask.is_floating_point() else mask == 0
    left_out = ~seen if not mask.is_floating_point() else mask <= _NEVER
    triangle = seen.new_ones(mask.shape[-2:]).tril()
    return bool((seen == triangle).all() and (left_out == ~triangle).all())
