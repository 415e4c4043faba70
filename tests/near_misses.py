"""What is almost an activation or normalization, and is none."""

from __future__ import annotations

import math

from written import SHAPE, Form, Writer, centred, normalized

from costmodel.graph import Value
from costmodel.ops import Contiguous, GroupNorm, Transpose


def softplus_of_another(w: Writer, x: Value) -> Value:
    return w.where(w.greater(w.relu(x), 20), x, w.softplus(x))


def softplus_of_a_function(w: Writer, x: Value) -> Value:
    y = w.relu(x)
    return w.where(w.greater(y, 20), x, w.softplus(y))


def wrong_axes(w: Writer, x: Value) -> Value:
    return normalized(w, centred(w, x, 2), 3)


def wrong_scale(w: Writer, x: Value) -> Value:
    return w.mul(normalized(w, centred(w, x, 3), 3), w.learned(4, 1))


def joined_groups(w: Writer, x: Value) -> Value:
    y = w(GroupNorm(2, affine=False), w.reshaped(x, 2, 4, 32))
    return w.reshaped(y, *SHAPE)


def groups_over_the_batch(w: Writer, x: Value) -> Value:
    y = w(GroupNorm(4, affine=False), w.reshaped(x, 1, 4, 64))
    return w.reshaped(y, *SHAPE)


def learned_groups(w: Writer, x: Value) -> Value:
    y = w(GroupNorm(2), w.reshaped(x, 2, 2, 64))
    return w.reshaped(y, *SHAPE)


def weighted_squares(w: Writer, x: Value) -> Value:
    y = centred(w, x, 3)
    return w.div(y, w.sqrt(w.add(w.mean(w.mul(w.square(y), 2), 3), 1e-5)))


def mean_of_another(w: Writer, x: Value) -> Value:
    return normalized(w, w.sub(x, w.mean(w.relu(x), 3)), 3, eps=1e-5)


def scaled_image(w: Writer, x: Value) -> Value:
    y = w(GroupNorm(8, affine=False), x)
    return w.add(w.mul(y, w.learned(8, 1, 1)), w.learned(8, 1, 1))


def swapped_axes(w: Writer, x: Value) -> Value:
    y = w(Transpose((0, 2, 1, 4, 3)), w.reshaped(x, 2, 4, 2, 4, 4))
    return w.reshaped(w(Contiguous(), y), *SHAPE)


def reshaped_twice(w: Writer, x: Value) -> Value:
    y = w(Transpose((0, 2, 1, 3, 4)), w.reshaped(x, 2, 4, 2, 4, 4))
    return w.reshaped(w.reshaped(y, 2, 128), *SHAPE)


NEAR_MISSES: dict[str, Form] = {
    "gate of another tensor": lambda w, x: w.mul(w.relu(x), w.sigmoid(x)),
    "sigmoid of a multiple": lambda w, x: w.mul(x, w.sigmoid(w.mul(x, 1.702))),
    "sum for product": lambda w, x: w.add(x, w.sigmoid(x)),
    "hard sigmoid of another": lambda w, x: w.mul(w.relu(x), w.hard_sigmoid(x)),
    "clipped elsewhere": lambda w, x: w.div(w.clamp(w.add(x, 3)), 6),
    "tanh for erf": lambda w, x: w.mul(w.mul(x, w.add(w.tanh(w.div(x, math.sqrt(2))), 1)), 0.5),
    "a difference": lambda w, x: w.mul(w.mul(x, w.sub(w.erf(w.div(x, math.sqrt(2))), 1)), 0.5),
    "softplus of another": softplus_of_another,
    "softplus of a function": softplus_of_a_function,
    "another where it is large": lambda w, x: w.where(w.greater(x, 20), w.relu(x), w.softplus(x)),
    "scaled on one side": lambda w, x: w.div(w.softplus(w.mul(x, 2)), 4),
    "square for cube": lambda w, x: w.mul(
        w.mul(x, w.add(w.tanh(w.mul(w.add(x, w.mul(w.square(x), 0.044715)), 0.7978845)), 1)), 0.5
    ),
    "mean and variance over other axes": wrong_axes,
    "axes that are not the last": lambda w, x: normalized(w, centred(w, x, 1), 1),
    "a large epsilon": lambda w, x: normalized(w, centred(w, x, 3), 3, eps=1.0),
    "divided by the variance": lambda w, x: w.div(
        centred(w, x, 3), w.add(w.mean(w.square(centred(w, x, 3)), 3), 1e-5)
    ),
    "squares that are weighted": weighted_squares,
    "an image that is scaled afterwards": scaled_image,
    "shuffle that swaps pixels": swapped_axes,
    "shuffle without a copy": reshaped_twice,
    "groups of groups": joined_groups,
    "groups over the batch": groups_over_the_batch,
    "groups with a scale of their own": learned_groups,
}
