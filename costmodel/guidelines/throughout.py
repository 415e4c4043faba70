"""One guideline applied in several places of a network at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from costmodel.guidelines.case import Rewrite
from costmodel.guidelines.drafts import Change, Draft, Drafts


def throughout(rewrites: Iterable[Rewrite]) -> Rewrite | None:
    """Return the rewrites of one rule combined in order; None if there are fewer than two.

    Of several that concern the same layers, the first is used.

    Parameters
    ----------
    rewrites : iterable of Rewrite
        The proposals of one rule, the best first.
    """
    chosen: list[Rewrite] = []
    taken: set[str] = set()
    for rewrite in rewrites:
        if taken.isdisjoint(rewrite.layers):
            chosen.append(rewrite)
            taken.update(rewrite.layers)
    if len(chosen) < 2:
        return None
    first = chosen[0]
    return Rewrite(
        first.guideline,
        f"{first.title}, and {len(chosen) - 1} more like it",
        f"All of these: {'; '.join(r.title for r in chosen)}.",
        tuple(layer for r in chosen for layer in r.layers),
        all(r.same_function for r in chosen),
        partial(_all, changes=tuple(r.change for r in chosen)),
    )


def _all(drafts: Drafts, changes: Sequence[Change]) -> dict[str, Draft]:
    result = dict(drafts)
    for change in changes:
        result = change(result)
    return result
