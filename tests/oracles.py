"""Counting loops: every operator run as plain nested loops that touch index sets.

Nothing here shares code with the formulas of ``costmodel``: shapes, windows, groups and masks are
worked out again, by visiting every index. Where the convention of the library differs from what the
loops touch, the oracle says so (search for "convention").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product as indices
from typing import Any

Shape = tuple[int, ...]

# Arithmetic operations of one element, written down again on purpose. A transcendental function is
# one operation; sigmoid(x) = 1 / (1 + exp(-x)) has three beside the sign; and so on.
OPERATIONS = {
    **dict.fromkeys(
        [
            "abs",
            "add",
            "and",
            "ceil",
            "cos",
            "div",
            "equal",
            "erf",
            "exp",
            "floor",
            "greater",
            "greater_equal",
            "less",
            "less_equal",
            "log",
            "max",
            "min",
            "mul",
            "neg",
            "not",
            "not_equal",
            "or",
            "pow",
            "reciprocal",
            "relu",
            "round",
            "sign",
            "sin",
            "sqrt",
            "square",
            "sub",
            "tanh",
            "where",
            "xor",
        ],
        1,
    ),
    **dict.fromkeys(["clamp", "floor_div", "hard_tanh", "leaky_relu", "mod", "relu6", "rsqrt"], 2),
    **dict.fromkeys(["sigmoid", "softplus"], 3),
    **dict.fromkeys(["elu", "hard_sigmoid", "silu"], 4),
    **dict.fromkeys(["gelu", "hard_swish", "mish"], 5),
    "gelu_tanh": 8,
}


@dataclass
class Count:
    """What the loops counted.

    ``touched`` holds the distinct indices of each input that were really visited; ``reads`` is what
    the convention counts, the whole input unless an oracle says otherwise.
    """

    outputs: list[Shape] = field(default_factory=list)
    multiply_adds: int = 0
    elementwise: int = 0
    touched: list[set[Any]] = field(default_factory=list)
    weights: set[Any] = field(default_factory=set)
    written: set[Any] = field(default_factory=set)
    reads: int | None = None
    weight_reads: int | None = None
    writes: int | None = None


def size_of(shape: Shape) -> int:
    return sum(1 for _ in points(shape))


def points(shape: Shape) -> Iterator[Shape]:
    return indices(*(range(n) for n in shape))


def windows(size: int, kernel: int, stride: int, pads: tuple[int, int], dilation: int) -> list[int]:
    """Return the first tap of every window that fits into the padded axis, found by sliding."""
    first, starts = -pads[0], []
    while first + dilation * (kernel - 1) <= size - 1 + pads[1]:
        starts.append(first)
        first += stride
    return starts


def window_starts(op: Any, sizes: Shape) -> list[list[int]]:
    if op.padding == "same":
        # As many windows as ceil(size / stride): one for each stride that begins inside.
        return [list(range(0, n, s)) for n, s in zip(sizes, op.stride, strict=True)]
    return [
        windows(n, k, s, p, d)
        for n, k, s, p, d in zip(sizes, op.kernel, op.stride, op.padding, op.dilation, strict=True)
    ]


# --- products ---------------------------------------------------------------------------------


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


def conv_transpose(op: Any, x: Shape) -> Count:
    n, c1, *sizes = x
    in_group, out_group = c1 // op.groups, op.out_channels // op.groups
    count = Count(touched=[set()])
    reached: set[Shape] = set()
    for image, channel in points((n, c1)):
        for at in points(tuple(sizes)):
            count.touched[0].add((image, channel, *at))
            for c, tap in indices(range(out_group), points(op.kernel)):
                # Convention: products that fall on the cut border count too.
                count.multiply_adds += 1
                count.weights.add((channel, c, *tap))
                c2 = (channel // in_group) * out_group + c
                pixel = (
                    i * s + t * d
                    for i, s, t, d in zip(at, op.stride, tap, op.dilation, strict=True)
                )
                reached.add((image, c2, *pixel))
    out = [
        max(p[2 + axis] for p in reached) + 1 - before - after + extra
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


def linear(op: Any, x: Shape) -> Count:
    count = Count([(*x[:-1], op.out_features)], touched=[set()])
    for row in points(x[:-1]):
        for o in range(op.out_features):
            for i in range(x[-1]):
                count.multiply_adds += 1
                count.touched[0].add((*row, i))
                count.weights.add((o, i))
            if op.bias:
                count.elementwise += 1
                count.weights.add(o)
            count.written.add((*row, o))
    return count


def broadcast(index: Shape, shape: Shape) -> Shape:
    """Return the element of a tensor of ``shape`` that broadcasting takes for ``index``."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(tail, shape, strict=True))


def joint_shape(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


def matmul(op: Any, a: Shape, b: Shape) -> Count:
    rows, inner = a[-2:] if not op.transpose_a else (a[-1], a[-2])
    columns = b[-1] if not op.transpose_b else b[-2]
    batch = joint_shape(a[:-2], b[:-2])
    count = Count([(*batch, rows, columns)], touched=[set(), set()])
    for at in points(batch):
        for i, j in points((rows, columns)):
            for k in range(inner):
                count.multiply_adds += 1
                left, right = broadcast(at, a[:-2]), broadcast(at, b[:-2])
                count.touched[0].add((*left, *((k, i) if op.transpose_a else (i, k))))
                count.touched[1].add((*right, *((j, k) if op.transpose_b else (k, j))))
            count.written.add((*at, i, j))
    return count


# --- attention --------------------------------------------------------------------------------


def attention_scores(op: Any, q: Shape, k: Shape) -> Count:
    *outer, heads, length, depth = q
    keys, shared = k[-2], heads // k[-3]
    count = Count([(*q[:-1], keys)], touched=[set(), set()])
    for at in points((*outer, heads)):
        for i, j in points((length, keys)):
            if op.causal and j > i:
                continue
            for d in range(depth):
                count.multiply_adds += 1
                count.touched[0].add((*at, i, d))
                count.touched[1].add((*at[:-1], at[-1] // shared, j, d))
            count.written.add((*at, i, j))
    # Convention: q and k are counted whole, also keys that the mask hides from every query.
    return count


def softmax(op: Any, x: Shape) -> Count:
    axis = op.axis % len(x)
    count = Count([x], touched=[set()])
    for index in points(x):
        if op.causal and index[-1] > index[-2]:
            continue
        count.elementwise += len(["maximum", "minus it", "exponential", "sum", "over the sum"])
        count.touched[0].add(index)
        count.written.add(index)
    assert 0 <= axis < len(x)
    count.reads = len(count.touched[0])  # convention: what the mask hides is not moved
    return count


def attention_mix(op: Any, a: Shape, v: Shape) -> Count:
    *outer, heads, length, keys = a
    shared = heads // v[-3]
    count = Count([(*a[:-1], v[-1])], touched=[set(), set()])
    for at in points((*outer, heads)):
        for i, e in points((length, v[-1])):
            for j in range(keys):
                if op.causal and j > i:
                    continue
                count.multiply_adds += 1
                count.touched[0].add((*at, i, j))
                count.touched[1].add((*at[:-1], at[-1] // shared, j, e))
            count.written.add((*at, i, e))
    count.reads = len(count.touched[0]) + size_of(v)  # convention: the values are counted whole
    return count


def chain(*parts: Count) -> Count:
    """Add up the parts of a program that passes its intermediate results through memory."""
    count = Count(parts[-1].outputs)
    count.reads = count.weight_reads = count.writes = 0
    for part in parts:
        count.multiply_adds += part.multiply_adds
        count.elementwise += part.elementwise
        count.reads += part.reads or 0
        count.weight_reads += len(part.weights)
        count.writes += len(part.written)
    return count


def attention(op: Any, q: Shape, k: Shape, v: Shape) -> Count:
    scores = attention_scores(op, q, k)
    scores.reads = size_of(q) + size_of(k)
    weights = softmax(_Causal(op.causal), scores.outputs[0])
    return chain(scores, weights, attention_mix(op, weights.outputs[0], v))


@dataclass
class _Causal:
    causal: bool
    axis: int = -1


# --- recurrent --------------------------------------------------------------------------------


class Machine:
    """Counts what a step-by-step run of a cell moves and computes; values are element counts."""

    def __init__(self) -> None:
        self.count = Count(reads=0, weight_reads=0, writes=0)

    def elementwise(self, kind: str, *operands: int) -> int:
        for _ in range(max(operands)):
            self.count.elementwise += OPERATIONS[kind]
        self.count.reads += sum(operands)
        self.count.writes += max(operands)
        return max(operands)

    def linear(self, rows: int, features: int, out: int, bias: bool) -> int:
        for _ in range(rows):
            for _ in range(out):
                for _ in range(features):
                    self.count.multiply_adds += 1
                self.count.elementwise += bias
        self.count.reads += rows * features
        self.count.weight_reads += out * features + bias * out
        self.count.writes += rows * out
        return rows * out

    def step(self, kind: str, n: int, hidden: int, bias: bool) -> None:
        """One time step; the gates of the input are there already, cut into views."""
        part = n * hidden
        if kind == "rnn":
            self.elementwise(
                "tanh", self.elementwise("add", part, self.linear(n, hidden, hidden, bias))
            )
        elif kind == "lstm":
            self.elementwise("add", 4 * part, self.linear(n, hidden, 4 * hidden, bias))
            for activation in ("sigmoid", "sigmoid", "tanh", "sigmoid"):
                self.elementwise(activation, part)
            self.elementwise("mul", part, part)  # forget the old cell
            self.elementwise("mul", part, part)  # let the new one in
            self.elementwise("add", part, part)
            self.elementwise("tanh", part)
            self.elementwise("mul", part, part)  # let it out
        else:
            self.linear(n, hidden, 3 * hidden, bias)
            for _ in ("reset", "update"):
                self.elementwise("add", part, part)
                self.elementwise("sigmoid", part)
            self.elementwise("mul", part, part)  # reset the old state
            self.elementwise("add", part, part)
            self.elementwise("tanh", part)
            self.elementwise("sub", part, part)  # n + z (h - n)
            self.elementwise("mul", part, part)
            self.elementwise("add", part, part)


def recurrent_steps(op: Any, x: Shape) -> Count:
    time, n, _ = x
    machine = Machine()
    for _ in range(time):
        machine.step(op.kind, n, op.hidden, op.bias)
    machine.count.outputs = [(time, n, op.hidden)]
    return machine.count


def recurrent(op: Any, x: Shape) -> Count:
    time, n, features = x
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[op.kind]
    machine = Machine()
    for _ in range(op.layers):
        for _ in range(2 if op.bidirectional else 1):
            machine.linear(time * n, features, gates * op.hidden, op.bias)
            for _ in range(time):
                machine.step(op.kind, n, op.hidden, op.bias)
        features = op.hidden * (2 if op.bidirectional else 1)
        if op.bidirectional:  # the directions are put side by side: a copy
            machine.count.reads += time * n * features
            machine.count.writes += time * n * features
    machine.count.outputs = [(time, n, features)]
    return machine.count


# --- elementwise, normalizations, reductions, pooling -----------------------------------------


def elementwise(op: Any, *shapes: Shape) -> Count:
    out = joint_shape(*shapes)
    count = Count([out], touched=[set() for _ in shapes])
    for index in points(out):
        count.elementwise += OPERATIONS[op.kind]
        for touched, shape in zip(count.touched, shapes, strict=True):
            touched.add(broadcast(index, shape))
        count.written.add(index)
    return count


def per_element(
    operations: int, learned: Callable[[Any, Shape], set[Any]] = lambda op, i: set()
) -> Callable[..., Count]:
    """Return the oracle of an operator that treats every element alone."""

    def oracle(op: Any, x: Shape) -> Count:
        count = Count([x], touched=[set()])
        for index in points(x):
            count.elementwise += operations
            count.touched[0].add(index)
            count.weights |= learned(op, index)
            count.written.add(index)
        return count

    return oracle


def _batch_norm_weights(op: Any, index: Shape) -> set[Any]:
    read = {("mean", index[1]), ("variance", index[1])}
    return read | ({("scale", index[1]), ("shift", index[1])} if op.affine else set())


def layer_norm(op: Any, x: Shape) -> Count:
    count = Count([x], touched=[set()])
    steps = ["square", "sum", "scale"] if op.rms else ["mean", "centre", "square", "sum", "scale"]
    learned = ["scale"] if op.rms else ["scale", "shift"]
    for index in points(x):
        count.elementwise += len(steps)
        count.touched[0].add(index)
        if op.affine:
            count.elementwise += len(learned)
            count.weights |= {(name, *index[-op.axes :]) for name in learned}
        count.written.add(index)
    return count


def group_norm(op: Any, x: Shape) -> Count:
    count = Count([x], touched=[set()])
    for index in points(x):
        count.elementwise += len(["mean", "centre", "square", "sum", "scale"])
        count.touched[0].add(index)
        if op.affine:
            count.elementwise += 2
            count.weights |= {("scale", index[1]), ("shift", index[1])}
        count.written.add(index)
    return count


def local_response_norm(op: Any, x: Shape) -> Count:
    count = Count([x], touched=[set()])
    for index in points(x):
        # Convention: a window counts in full at the first and the last channels, too.
        for _ in range(op.size):
            count.elementwise += len(["square", "sum"])
        count.elementwise += len(["scale", "power", "division"])
        count.touched[0].add(index)
        count.written.add(index)
    return count


def reduce(op: Any, x: Shape) -> Count:
    axes = {axis % len(x) for axis in op.axes}
    if op.kind == "cumsum":
        out: Shape = x
    elif op.keepdims:
        out = tuple(1 if i in axes else n for i, n in enumerate(x))
    else:
        out = tuple(n for i, n in enumerate(x) if i not in axes)
    steps = {"norm": ["square", "sum"], "var": ["sum", "centre", "square", "sum"]}
    count = Count([out], touched=[set()], written=set(points(out)))
    for index in points(x):
        count.elementwise += len(steps.get(op.kind, ["accumulate"]))
        count.touched[0].add(index)
    return count


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


def resize(op: Any, x: Shape) -> Count:
    out = (*x[:2], *op.output)
    # Weighted sums of 4 (or 16) neighbours: as many products, one sum less.
    operations = {"nearest": 0, "bilinear": 4 + 3, "bicubic": 16 + 15}[op.kind]
    count = Count([out], written=set(points(out)), touched=[set()])
    for _ in points(out):
        count.elementwise += operations
    # Convention: the input counts whole, also where fewer pixels are looked at.
    return count


# --- movement ---------------------------------------------------------------------------------


def copy(shape: Callable[[Any, Shape], Shape]) -> Callable[..., Count]:
    """Return the oracle of an operator that reads everything and writes everything once."""

    def oracle(op: Any, x: Shape) -> Count:
        out = shape(op, x)
        return Count([out], touched=[set(points(x))], written=set(points(out)))

    return oracle


def view(shapes: Callable[[Any, Shape], list[Shape]]) -> Callable[..., Count]:
    """Return the oracle of an operator that only renames elements: nothing moves."""

    def oracle(op: Any, *inputs: Shape) -> Count:
        return Count(shapes(op, *inputs), reads=0, weight_reads=0, writes=0)

    return oracle


def concat(op: Any, *shapes: Shape) -> Count:
    axis = op.axis % len(shapes[0])
    out = list(shapes[0])
    out[axis] = 0
    count = Count(touched=[set() for _ in shapes])
    for touched, shape in zip(count.touched, shapes, strict=True):
        for index in points(shape):
            touched.add(index)
            count.written.add((*index[:axis], index[axis] + out[axis], *index[axis + 1 :]))
        out[axis] += shape[axis]
    count.outputs = [tuple(out)]
    return count


def embedding(op: Any, x: Shape) -> Count:
    count = Count([(*x, op.features)], touched=[set()], weight_reads=0)
    for index in points(x):
        count.touched[0].add(index)
        for column in range(op.features):
            # Convention: a row that is looked up twice is read twice.
            count.weight_reads += 1
            count.written.add((*index, column))
    return count


def gather(op: Any, x: Shape, picks: Shape) -> Count:
    axis = op.axis % len(x)
    count = Count([(*x[:axis], *picks, *x[axis + 1 :])], reads=0)
    for index in points(count.outputs[0]):
        count.reads += 1  # convention: an element that is picked twice is read twice
        count.written.add(index)
    count.reads += size_of(picks)
    return count


def reshaped(op: Any, x: Shape) -> list[Shape]:
    elements, free = size_of(x), [i for i, n in enumerate(op.shape) if n == -1]
    for guess in range(1, elements + 1):
        shape = tuple(guess if n == -1 else n for n in op.shape)
        if size_of(shape) == elements:
            return [shape]
    raise AssertionError(f"nothing fits {op.shape}, free {free}")


def split(op: Any, x: Shape) -> list[Shape]:
    axis = op.axis % len(x)
    sizes = (
        op.parts if isinstance(op.parts, tuple) else [len(range(x[axis])[:: op.parts])] * op.parts
    )
    return [(*x[:axis], n, *x[axis + 1 :]) for n in sizes]


def sliced(op: Any, x: Shape) -> list[Shape]:
    kept = range(x[op.axis])[op.start :: op.step][: op.size]
    return [(*x[: op.axis], len(kept), *x[op.axis + 1 :])]


def padded(op: Any, x: Shape) -> Shape:
    return tuple(len([0] * before + [1] * n + [0] * after)
                 for n, (before, after) in zip(x, op.padding, strict=True))  # fmt: skip


def pixel_shuffled(op: Any, x: Shape) -> Shape:
    n, c, h, w = x
    return (n, c // op.factor // op.factor, h * op.factor, w * op.factor)


ORACLES: dict[str, Callable[..., Count]] = {
    "AdaptivePool": adaptive_pool,
    "Attention": attention,
    "AttentionMix": attention_mix,
    "AttentionScores": attention_scores,
    "BatchNorm": per_element(2, _batch_norm_weights),
    "BroadcastTo": view(lambda op, x: [op.shape]),
    "Cast": per_element(0),
    "ChannelShuffle": copy(lambda op, x: x),
    "Concat": concat,
    "Constant": view(lambda op: [op.shape]),
    "Contiguous": copy(lambda op, x: x),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Elementwise": elementwise,
    "Embedding": embedding,
    "Gather": gather,
    "GroupNorm": group_norm,
    "Identity": view(lambda op, x: [x]),
    "Input": view(lambda op: [op.shape]),
    "LayerNorm": layer_norm,
    "Linear": linear,
    "LocalResponseNorm": local_response_norm,
    "MatMul": matmul,
    "Output": view(lambda op, x: []),
    "PReLU": per_element(2, lambda op, index: {index[1]}),
    "Pad": copy(padded),
    "Parameter": view(lambda op: [op.shape]),
    "PixelShuffle": copy(pixel_shuffled),
    "Pool": pool,
    "Recurrent": recurrent,
    "RecurrentSteps": recurrent_steps,
    "Reduce": reduce,
    "Reshape": view(reshaped),
    "Resize": resize,
    "Slice": view(sliced),
    "Softmax": softmax,
    "Split": view(split),
    "Transpose": view(lambda op, x: [tuple(x[a] for a in op.order)]),
}
"""One oracle for each operator class; a test demands that none is missing."""
