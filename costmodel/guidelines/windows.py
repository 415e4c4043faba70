"""Smaller windows instead of large ones, before strides are raised; and larger batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from costmodel.errors import CostModelError
from costmodel.guidelines.case import Case, Rewrite, listed_layers
from costmodel.guidelines.drafts import Draft, Drafts, drafts_of, need, with_ops
from costmodel.guidelines.widths import is_depthwise
from costmodel.ops import Conv, Input
from costmodel.specs.batch import with_batch

_SMALL = 3
_BATCHES = 8


def smaller_kernels(case: Case) -> Iterator[Rewrite]:
    """Replace windows of 5 x 5 and more by 3 x 3; all image sizes stay the same."""
    alike: dict[tuple[object, bool], list[str]] = {}
    for name, node in case.nodes.items():
        op = node.op
        if isinstance(op, Conv) and _shrinks(op):
            alike.setdefault((op.kernel, is_depthwise(node)), []).append(name)
    for (kernel, depthwise), names in alike.items():
        assert isinstance(kernel, tuple)
        size, small = (" x ".join(map(str, k)) for k in (kernel, _small(kernel)))
        what = "depthwise convolutions" if depthwise else "convolutions"
        yield Rewrite(
            "kernel",
            f"{small} taps in place of {size} ({listed_layers(names, what)})",
            f"{listed_layers(names, what)} of {size} taps: windows of {small} leave all image "
            "sizes as they are, unlike larger strides, but see less around each pixel.",
            tuple(names),
            False,
            partial(_shrink, names=tuple(names)),
        )


def larger_batch(case: Case) -> Iterator[Rewrite]:
    """Use a larger batch if this reduces the time per input."""
    shapes = [n.op.shape for n in case.nodes.values() if isinstance(n.op, Input)]
    batches = {shape[0] for shape in shapes if shape}
    if len(batches) != 1 or not all(shapes):
        return
    (batch,) = batches
    try:
        larger = drafts_of(with_batch(case.graph, _BATCHES * batch))
    except CostModelError:
        return  # its batch cannot be changed
    yield Rewrite(
        "launch",
        f"batch {_BATCHES * batch} in place of {batch}",
        f"{_BATCHES * batch} inputs at once share launches and weights; the saving is for each "
        "input, of which the first waits for the last.",
        tuple(n.name for n in case.nodes.values() if isinstance(n.op, Input)),
        True,
        partial(_rebatched, batched=larger),
        _BATCHES,
    )


def _rebatched(drafts: Drafts, batched: Drafts) -> dict[str, Draft]:
    need(drafts, batched)
    ops = {
        name: batched[name].op
        for name, draft in drafts.items()
        if name in batched and hasattr(draft.op, "shape")
    }
    return with_ops(drafts, ops)


def _shrinks(op: Conv) -> bool:
    odd = all(isinstance(k, int) and k % 2 == 1 for k in op.kernel)
    if not odd or max(op.kernel) <= _SMALL or op.padding == "same":
        return False
    if any(d != 1 for d in op.dilation):
        return False
    pairs = zip(op.kernel, op.padding, strict=True)
    return all(min(pad) >= max(0, (k - _SMALL) // 2) for k, pad in pairs)


def _shrink(drafts: Drafts, names: tuple[str, ...]) -> dict[str, Draft]:
    need(drafts, names)
    return with_ops(drafts, {name: _smaller(drafts[name].op) for name in names})  # type: ignore[arg-type]


def _smaller(op: Conv) -> Conv:
    less = [max(0, (k - _SMALL) // 2) for k in op.kernel]
    padding = tuple((a - m, b - m) for (a, b), m in zip(op.padding, less, strict=True))
    return op.with_fields(kernel=_small(op.kernel), padding=padding)


def _small(kernel: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(k, _SMALL) for k in kernel)
