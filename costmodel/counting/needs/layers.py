"""Elements needed by recurrent layers."""

from __future__ import annotations

from costmodel.algebra.symbols import same, total
from costmodel.counting.needs.base import Needs, Part, needs_of
from costmodel.ops import Recurrent, RecurrentSteps
from costmodel.ops.tensor import Tensor


@needs_of.register(Recurrent)
@needs_of.register(RecurrentSteps)
def _recurrent(
    op: Recurrent | RecurrentSteps, inputs: tuple[Tensor, ...], parts: tuple[Part, ...]
) -> Needs:
    """Need as many inputs as steps, and all weights for all features; claim nothing for fewer."""
    (part,), (x,) = parts, inputs
    (y,) = op.infer(x)
    steps, images, features = part.box
    there = Part.of(features).covers(y.shape[-1])
    weights = total(w.elements for w in op.weights(x)) * there
    box = Part.of(steps * there, images, x.shape[-1])
    return Needs((box,), weights if not same(steps, 0) else 0)
