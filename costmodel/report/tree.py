"""The modules of a network as a tree, with the counts and times of their contents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

NEARLY = 0.9
"""Share of the operators of a network above which a module alone explains nothing. [1]"""
FEW = 40
"""Most modules that are shown without being asked for."""


@dataclass(frozen=True)
class OperatorCost:
    """Figures of one operator.

    Parameters
    ----------
    name, operator, module : str
        Node, class of its operator, dotted path of its module.
    shape : str
        Its first output.
    multiply_adds, elementwise, mac, mac_bytes, params : int
        As in :class:`~costmodel.report.collect.Totals`; shared weights count for the first.
    """

    name: str
    operator: str
    module: str
    shape: str
    multiply_adds: int
    elementwise: int
    mac: int
    mac_bytes: int
    params: int


@dataclass
class Module:
    """A module, the sums over its contents, and its modules and operators.

    Parameters
    ----------
    path : str
        Dotted, ``""`` for the whole network.
    name : str
        The last part of the path.
    operators, multiply_adds, mac, params : int
        [1], [multiply-add], [element], [element]
    seconds : float
        Predicted. [s]
    shape : str
        The first output of its last operator.
    modules : dict of str to Module
        Those directly inside, by their last part.
    own : list of OperatorCost
        Operators that are in none of those.
    own_seconds : dict of str to float
        Their predicted times, by name. [s]
    """

    path: str
    name: str
    operators: int = 0
    multiply_adds: int = 0
    mac: int = 0
    params: int = 0
    seconds: float = 0.0
    shape: str = ""
    modules: dict[str, Module] = field(default_factory=dict)
    own: list[OperatorCost] = field(default_factory=list)
    own_seconds: dict[str, float] = field(default_factory=dict)

    def add(self, operator: OperatorCost, seconds: float) -> None:
        """Count one operator more."""
        self.operators += 1
        self.multiply_adds += operator.multiply_adds
        self.mac += operator.mac
        self.params += operator.params
        self.seconds += seconds
        self.shape = operator.shape

    def walk(self, depth: int, level: int = 0) -> Iterator[tuple[int, Module]]:
        """Yield the modules inside with their level, from 0 on, down to ``depth`` levels."""
        if level < depth:
            for module in self.modules.values():
                yield level, module
                yield from module.walk(depth, level + 1)

    def opened(self, level: int = 0, whole: int = 0) -> Iterator[tuple[int, Module]]:
        """Yield the modules inside; one that holds nearly the whole network is opened in turn."""
        whole = whole or self.operators
        for module in self.modules.values():
            yield level, module
            if module.operators > NEARLY * whole and 0 < len(module.modules) <= FEW:
                yield from module.opened(level + 1, whole)


def tree(operators: Iterable[OperatorCost], seconds: Mapping[str, float]) -> Module:
    """Return the modules of a network, in order of appearance.

    Parameters
    ----------
    operators : iterable of OperatorCost
        In order of execution.
    seconds : mapping
        Of each operator (:func:`~costmodel.prediction.modules.by_operator`); empty without a
        prediction. [s]

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.report import collect
    >>> root = tree(collect(zoo.shufflenet_v2()).operators, {})
    >>> [(level, m.name) for level, m in root.walk(2)][:4]
    [(0, 'conv1'), (0, 'maxpool'), (0, 'stage2'), (1, '0')]
    """
    root = Module("", "")
    root.seconds = seconds.get("", 0.0)
    for operator in operators:
        time = seconds.get(operator.name, 0.0)
        here = root
        here.add(operator, time)
        for part in operator.module.split(".") if operator.module else ():
            path = f"{here.path}.{part}" if here.path else part
            here = here.modules.setdefault(part, Module(path, part))
            here.add(operator, time)
        here.own.append(operator)
        here.own_seconds[operator.name] = time
    return root
