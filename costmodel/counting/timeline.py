"""Memory over the course of an inference: live tensors at each operator, and their holders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from costmodel.algebra.symbols import are_ints
from costmodel.counting.memory import Buffers, buffers_of, greedy_order, live_sizes
from costmodel.counting.metrics import Unit, params
from costmodel.counting.subject import Subject, prepare
from costmodel.errors import DataError
from costmodel.graph import Node
from costmodel.ops import Input

Held = Literal["last use", "frames"]
"""Lifetime of a tensor: up to its last consumer, or as long as Python frames hold it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A tensor that is live at the peak.

    Parameters
    ----------
    name, module : str
        The operator that made it, and the dotted path of its module.
    size : int
        [byte], or [element] if the timeline counts elements.
    """

    name: str
    module: str
    size: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Memory in use while each operator runs.

    Parameters
    ----------
    unit : {"bytes", "elements"}
        Of every size.
    steps : tuple of str
        The operators in order of execution.
    live : tuple of int
        Activations in memory while each of them runs.
    weights : int
        Learned tensors, which are always in memory.
    holders : tuple of Holder
        The tensors that make up the peak, largest first.
    """

    unit: Unit
    steps: tuple[str, ...]
    live: tuple[int, ...]
    weights: int
    holders: tuple[Holder, ...]

    def __repr__(self) -> str:
        return (
            f"<Timeline of {len(self.steps)} operators: peak {self.peak} {self.unit} at "
            f"{self.at}, weights {self.weights}>"
        )

    @property
    def peak(self) -> int:
        """Peak memory of activations, without weights."""
        return max(self.live)

    @property
    def at(self) -> str:
        """The operator that runs at the peak."""
        return self.steps[self.live.index(self.peak)]

    @property
    def total(self) -> int:
        """Peak memory of activations and weights."""
        return self.peak + self.weights


def memory_timeline(subject: Subject, unit: Unit = "bytes", held: Held = "last use") -> Timeline:
    """Return the memory of activations over the operators of a network, and the weights.

    Parameters
    ----------
    subject : DiGraph or Prepared
        A network of numbers.
    unit : {"bytes", "elements"}
        Of every size.
    held : {"last use", "frames"}
        ``"last use"`` frees a tensor after its last consumer, in the order used by
        :func:`~costmodel.activation_memory`. ``"frames"`` follows eager Python code in program
        order: the caller keeps the inputs of the network, and a module keeps its arguments until
        its last operator has run.

    Raises
    ------
    DataError
        If a size is a symbol or an array, ``held`` is unknown, or the network has no operator.

    Examples
    --------
    >>> import costmodel as cm
    >>> t = cm.memory_timeline(cm.zoo.shufflenet_v2())
    >>> t.peak == cm.activation_memory(cm.zoo.shufflenet_v2(), unit="bytes")
    True
    >>> t.weights, t.at
    (9119040, 'conv1.batch_norm')
    """
    if held not in ("last use", "frames"):
        raise DataError(f"held must be 'last use' or 'frames', got {held!r}")
    ready = prepare(subject)
    nodes = list(ready.nodes)
    buffers = buffers_of(nodes, unit)
    if not nodes or not are_ints(buffers.sizes):
        raise DataError(
            f"a timeline needs numbers: {ready.name or 'the network'} has open sizes or no operator"
        )
    order = list(range(len(nodes)))
    if held == "frames":
        buffers = _held_by_frames(nodes, buffers)
    live = live_sizes(buffers, order)
    if held == "last use":
        greedy = greedy_order(nodes, buffers)
        other = live_sizes(buffers, greedy)
        if max(other) < max(live):
            order, live = greedy, other
    return Timeline(
        unit,
        tuple(nodes[i].name for i in order),
        tuple(map(int, live)),
        int(params(ready, unit=unit)),
        tuple(_holders(nodes, buffers, order, live.index(max(live)))),
    )


def _holders(nodes: list[Node], buffers: Buffers, order: list[int], peak: int) -> list[Holder]:
    """Return the tensors in memory at step ``peak``, largest first."""
    made = {b: i for i in order[: peak + 1] for b in buffers.made[i]}
    needed = {b for i in order[peak:] for b in (*buffers.made[i], *buffers.used[i])}
    found = [
        Holder(nodes[i].name, nodes[i].module, int(buffers.sizes[b]))
        for b, i in made.items()
        if b in needed and buffers.sizes[b]
    ]
    return sorted(found, key=lambda holder: -holder.size)


def _held_by_frames(nodes: list[Node], buffers: Buffers) -> Buffers:
    """Let the last operator of each module use the arguments of the module.

    A module is its dotted path and all longer ones; its arguments are tensors made outside. The
    last operator of the network uses the inputs.
    """
    maker = {b: i for i, made in enumerate(buffers.made) for b in made}
    last: dict[tuple[str, ...], int] = {}
    paths = [tuple(node.module.split(".")) if node.module else () for node in nodes]
    for i, path in enumerate(paths):
        for depth in range(1, len(path) + 1):
            last[path[:depth]] = i
    used = [set(taken) for taken in buffers.used]
    for i, path in enumerate(paths):
        for b in buffers.used[i]:
            home = paths[maker[b]]
            for depth in range(1, len(path) + 1):
                if home[:depth] != path[:depth]:
                    used[last[path[:depth]]].add(b)
                    break  # the outer module ends last
    for b, i in maker.items():
        if isinstance(nodes[i].op, Input):
            used[-1].add(b)
    return Buffers(buffers.sizes, buffers.made, [frozenset(taken) for taken in used])
