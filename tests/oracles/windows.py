"""Convolutions, pooling and resizing, index by index."""

from __future__ import annotations

from itertools import product as indices
from typing import Any

from costmodel.testing import Count
from costmodel.testing.counting import Shape
from oracles.loops import ORACLES, points, window_starts


@ORACLES.register("Conv")
def conv(op: Any, x: Shape) -> Count:
    n, c1, *sizes = x
    starts = window_starts(op, tuple(sizes))
    count = Count([(n, op.out_channels, *map(len, starts))], touched=[set()])
    in_group, out_group = c1 // op.groups, op.out_channels // op.groups
    for image, c2 in points((n, op.out_channels)):
        for at in indices(*(range(len(s)) for s in starts)):
            for c, tap in indices(range(in_group), points(op.kernel)):
                channel = (c2 // out_group) * in_group + c
                pixel = tuple(
                    axis[i] + t * d
                    for axis, i, t, d in zip(starts, at, tap, op.dilation, strict=True)
                )
                # Convention: taps on padding multiply too, as every counter has it.
                count.multiply_adds += 1
                if all(0 <= p < size for p, size in zip(pixel, sizes, strict=True)):
                    count.touched[0].add((image, channel, *pixel))
                count.weights.add((c2, c, *tap))
            if op.bias:
                count.elementwise += 1
                count.weights.add(c2)
            count.written.add((image, c2, *at))
    return count


@ORACLES.register("DeformConv")
def deform_conv(op: Any, x: Shape, offsets: Shape, *weights: Shape) -> Count:
    count = conv(op, x)
    n, c1, _, _ = x
    _, _, *sizes = offsets
    # Where an offset points is not known: the image counts whole.
    count.touched = [set() for _ in (x, offsets, *weights)]
    for _ in indices(points((n, c1)), points(tuple(sizes)), points(op.kernel)):
        count.elementwise += 4 + 3 + len(weights)  # a weighted sum of four, then its weight
    return count


@ORACLES.register("ConvTranspose")
def conv_transpose(op: Any, x: Shape) -> Count:
    n, c1, *sizes = x
    out_group = op.out_channels // op.groups
    count = Count(touched=[set()])
    taps = indices(points(tuple(sizes)), points(op.kernel))
    reached = [
        [i * s + t * d for i, s, t, d in zip(at, op.stride, tap, op.dilation, strict=True)]
        for at, tap in taps
    ]
    for image, channel in points((n, c1)):
        for at in points(tuple(sizes)):
            count.touched[0].add((image, channel, *at))
            for c, tap in indices(range(out_group), points(op.kernel)):
                # Convention: products that fall on the cut border count too.
                count.multiply_adds += 1
                count.weights.add((channel, c, *tap))
    out = [
        max(pixel[axis] for pixel in reached) + 1 - before - after + extra
        for axis, ((before, after), extra) in enumerate(
            zip(op.padding, op.output_padding, strict=True)
        )
    ]
    count.outputs = [(n, op.out_channels, *out)]
    # Convention: outputs that no window reaches (stride > kernel) are written as zeros.
    count.written = set(points(count.outputs[0]))
    if op.bias:
        count.elementwise = len(count.written)
        count.weights |= set(range(op.out_channels))
    return count


@ORACLES.register("RoiAlign")
def roi_align(op: Any, x: Shape, boxes: Shape, *images: Shape) -> Count:
    count = Count([(boxes[0], x[1], *op.output)])
    for index in points(count.outputs[0]):
        for _ in points((op.samples, op.samples)):
            for _neighbour in range(4):
                count.elementwise += len(["product with its weight", "sum"])
        count.elementwise += len(["mean"])
        count.written.add(index)
    # Convention: the image counts as read whole, wherever the boxes are.
    return count


@ORACLES.register("Pool")
def pool(op: Any, x: Shape) -> Count:
    n, c, *sizes = x
    starts = window_starts(op, tuple(sizes))
    if op.ceil_mode:
        # One more window where taps are left over, if it begins inside the input or before it.
        for axis, (size, k, s, (_, after), d) in enumerate(
            zip(sizes, op.kernel, op.stride, op.padding, op.dilation, strict=True)
        ):
            left_over = size + after - 1 - (starts[axis][-1] + d * (k - 1))
            if left_over > 0 and starts[axis][-1] + s < size:
                starts[axis].append(starts[axis][-1] + s)
            starts[axis] = [start for start in starts[axis] if start < size]
    count = Count([(n, c, *map(len, starts))], touched=[set()])
    for image, channel in points((n, c)):
        for at in indices(*(range(len(s)) for s in starts)):
            for tap in points(op.kernel):
                count.elementwise += 1  # convention: taps on padding count
                pixel = [
                    s[i] + t * d for s, i, t, d in zip(starts, at, tap, op.dilation, strict=True)
                ]
                if all(0 <= p < size for p, size in zip(pixel, sizes, strict=True)):
                    count.touched[0].add((image, channel, *pixel))
            count.written.add((image, channel, *at))
    return count


@ORACLES.register("AdaptivePool")
def adaptive_pool(op: Any, x: Shape) -> Count:
    n, c, *sizes = x
    count = Count([(n, c, *op.output)], touched=[set()])
    for at in points(count.outputs[0]):
        taps = []
        for i, size, out in zip(at[2:], sizes, op.output, strict=True):
            # Convention: every window has the size that fits size / out, rounded up.
            taps_here = next(t for t in range(1, size + 1) if t * out >= size)
            first = (i * size) // out
            taps.append(range(first, first + taps_here))
        for pixel in indices(*taps):
            count.elementwise += 1
            count.touched[0].add(
                (*at[:2], *(min(p, s - 1) for p, s in zip(pixel, sizes, strict=True)))
            )
        count.written.add(at)
    return count


@ORACLES.register("Resize")
def resize(op: Any, x: Shape) -> Count:
    out = (*x[:2], *op.output)
    # Weighted sums of 4 (or 16) neighbours: as many products, one sum less.
    operations = {"nearest": 0, "bilinear": 4 + 3, "bicubic": 16 + 15}[op.kind]
    count = Count([out], written=set(points(out)), touched=[set()])
    for _ in points(out):
        count.elementwise += operations
    # Convention: the input counts whole, also where fewer pixels are looked at.
    return count


@ORACLES.register("GridSample")
def grid_sample(op: Any, x: Shape, grid: Shape) -> Count:
    n, channels, *sizes = x
    out = (n, channels, *grid[1:-1])
    count = Count([out], written=set(points(out)), touched=[set(), set()])
    near = {"nearest": 1, "bilinear": 2, "bicubic": 4}[op.kind]
    for _ in points(out):
        neighbours = list(points((near,) * len(sizes)))
        if len(neighbours) > 1:
            count.elementwise += len(neighbours) + (len(neighbours) - 1)
    return count
