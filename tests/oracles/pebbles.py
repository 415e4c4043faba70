"""The red-blue pebble game: programs of multiply-adds, the least traffic, and that of an order.

A fast memory holds ``capacity`` values. A step adds the product of its operands to its target; all
of them must be in fast memory. Loading a value and writing one cost a move each. Nothing is done
twice. Nothing here shares code with the bounds of ``costmodel``.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product as indices

Value = Hashable


@dataclass(frozen=True)
class Step:
    """One multiply-add (or function) of stage ``stage``: stages run one after the other."""

    target: Value
    operands: tuple[Value, ...]
    stage: int = 0


@dataclass
class Program:
    """Steps, and which of the values must be in slow memory in the end."""

    steps: list[Step] = field(default_factory=list)
    outputs: set[Value] = field(default_factory=set)

    def add(self, target: Value, *operands: Value, stage: int = 0) -> None:
        self.steps.append(Step(target, operands, stage))


def product(m: int, n: int, k: int, a: str = "a", b: str = "b", right: bool = False) -> Program:
    """Return ``c = a @ b``; with ``right`` b is transposed, as in ``a @ a.T``."""
    program = Program()
    for i, j, x in indices(range(m), range(n), range(k)):
        program.add(("c", i, j), (a, i, x), (b, j, x) if right else (b, x, j))
        program.outputs.add(("c", i, j))
    return program


def convolution(
    channels: tuple[int, int], size: tuple[int, ...], kernel: tuple[int, ...], stride: int = 1,
    padding: int = 0, dilation: int = 1, groups: int = 1, x: str = "x", stage: int = 0,
) -> Program:  # fmt: skip
    """Return a convolution over the axes of ``size``, taps on padding left out."""
    into, out = channels[0] // groups, channels[1] // groups
    program = Program()
    windows = [
        range(0, n + 2 * padding - dilation * (k - 1), stride)
        for n, k in zip(size, kernel, strict=True)
    ]
    for g, o in indices(range(groups), range(out)):
        for at in indices(*windows):
            target = ("y", g * out + o, at)
            program.outputs.add(target)
            for c, tap in indices(range(into), indices(*map(range, kernel))):
                pixel = tuple(p + dilation * t - padding for p, t in zip(at, tap, strict=True))
                if all(0 <= p < n for p, n in zip(pixel, size, strict=True)):
                    operands = (x, g * into + c, pixel), ("w", g * out + o, c, tap)
                    program.add(target, *operands, stage=stage)
    return program


def transposed(
    channels: tuple[int, int], size: int, kernel: int, stride: int, padding: int = 0
) -> Program:
    """Return a transposed convolution along one axis, what is cut off left out."""
    program = Program()
    length = (size - 1) * stride + kernel - 2 * padding
    for c, o, i, t in indices(*map(range, (*channels, size, kernel))):
        at = i * stride + t - padding
        if 0 <= at < length:
            program.add(("y", o, at), ("x", c, i), ("w", c, o, t))
            program.outputs.add(("y", o, at))
    return program


def attention(queries: int, keys: int, depth: int, columns: int, causal: bool = False) -> Program:
    """Return sums of values that scores weight; the softmax is left out, scores need no place."""
    program = Program()
    for i, j in indices(range(queries), range(keys)):
        if causal and j > i:
            continue
        for d in range(depth):
            program.add(("s", i, j), ("q", i, d), ("k", j, d))
        for e in range(columns):
            program.add(("o", i, e), ("s", i, j), ("v", j, e))
            program.outputs.add(("o", i, e))
    return program


def map_each(values: Iterable[Value], name: str, stage: int = 0) -> Program:
    """Return a function of each of ``values``; the results are called ``(name, *rest)``."""
    program = Program()
    for value in values:
        assert isinstance(value, tuple)
        program.add((name, *value[1:]), value, stage=stage)
    return program


def least_moves(program: Program, capacity: int) -> int:
    """Return the least traffic of all schedules, by a search over all states of the game."""
    steps = program.steps
    need: dict[Value, int] = defaultdict(int)
    for i, step in enumerate(steps):
        need[step.target] |= 1 << i
    before = [
        sum(1 << j for j, other in enumerate(steps) if other.stage < step.stage) for step in steps
    ]
    everything = (1 << len(steps)) - 1
    start = (frozenset[Value](), frozenset[Value](), 0)
    cost = {start: 0}
    queue = deque([(0, start)])
    while queue:
        spent, state = queue.popleft()
        if cost[state] < spent:
            continue
        _, blue, done = state
        if done == everything and program.outputs <= blue:
            return spent
        for move, following in _moves(steps, need, before, capacity, state):
            if spent + move < cost.get(following, 1 << 30):
                cost[following] = spent + move
                (queue.append if move else queue.appendleft)((spent + move, following))
    raise AssertionError(f"a fast memory of {capacity} is too small")


State = tuple[frozenset[Value], frozenset[Value], int]


def _moves(
    steps: Sequence[Step], need: dict[Value, int], before: list[int], capacity: int, state: State
) -> Iterator[tuple[int, State]]:
    """Yield cost and next state of each move; values are dropped only where room is needed."""
    red, blue, done = state
    left = [i for i in range(len(steps)) if not done >> i & 1]
    for i in left:
        step = steps[i]
        ready = all(done & need[o] == need[o] for o in step.operands if o in need)
        if done & before[i] != before[i] or not ready:
            continue
        if not red.issuperset(step.operands):
            continue
        if step.target in red:
            yield 0, (red, blue - {step.target}, done | 1 << i)
        elif not done & need[step.target]:
            for kept in _room(red, capacity, set(step.operands)):
                yield 0, (kept | {step.target}, blue, done | 1 << i)
    useful = {o for i in left for o in steps[i].operands} | {steps[i].target for i in left}
    for value in useful - red:
        if value in blue or value not in need:
            for kept in _room(red, capacity, set()):
                yield 1, (kept | {value}, blue, done)
    for value in red - blue:
        if value in need:
            yield 1, (red, blue | {value}, done)


def _room(red: frozenset[Value], capacity: int, keep: set[Value]) -> Iterator[frozenset[Value]]:
    if len(red) < capacity:
        yield red
    else:
        yield from (red - {value} for value in red - keep)


def moves_of(program: Program, capacity: int, order: Sequence[int] | None = None) -> int:
    """Return the traffic of one order of the steps, with the farthest next use dropped first."""
    steps = program.steps if order is None else [program.steps[i] for i in order]
    uses: dict[Value, deque[int]] = defaultdict(deque)
    made = {step.target for step in steps}
    for at, step in enumerate(steps):
        for value in (step.target, *step.operands):
            uses[value].append(at)
    red: set[Value] = set()
    unsaved: set[Value] = set()
    started: set[Value] = set()
    moves = 0

    def next_use(value: Value) -> float:
        return uses[value][0] if uses[value] else float("inf")

    for step in steps:
        touched = {step.target, *step.operands}
        assert len(touched) <= capacity
        for value in touched - red:
            if len(red) >= capacity:
                # A value that need not be written is dropped rather than one that must be.
                victim = max(red - touched, key=lambda v: (next_use(v), v not in unsaved, str(v)))
                red.remove(victim)
                if victim in unsaved and (uses[victim] or victim in program.outputs):
                    moves += 1
                    unsaved.remove(victim)
            moves += value not in made or value in started
            red.add(value)
        started.add(step.target)
        unsaved.add(step.target)
        for value in touched:
            uses[value].popleft()
    return moves + len(unsaved & program.outputs & red)
