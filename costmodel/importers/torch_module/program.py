"""A recorded program: operators with plain arguments, as one run of the module made them.

It has the interface of a node of ``torch.export``: ``target``, ``args``, ``kwargs``,
``name`` and ``meta["val"]``, so handlers work for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class Storage:
    """The storage of tensors; two with the same storage are views of one another."""

    __slots__ = ("_cdata",)

    def __init__(self) -> None:
        self._cdata = id(self)  # by the name that torch has for the identity of a storage


UNKNOWN, CONSTANT, DATA = range(3)
"""Values that are not computed; that the code and its tables fix; that depend on the inputs."""


class Meta:
    """Shape, dtype, layout and storage of a tensor, without the tensor.

    Parameters
    ----------
    like : Any
        What has shape, dtype and layout: a specification, another one of this class.
    storage : Storage
        Where it lies.
    """

    __slots__ = ("dtype", "layout", "shape", "storage")

    def __init__(self, like: Any, storage: Storage) -> None:
        self.shape: tuple[int, ...] = like.shape
        self.dtype = like.dtype
        self.layout = like.layout
        self.storage = storage

    def untyped_storage(self) -> Storage:
        """Return the storage, by the name that torch has for it."""
        return self.storage


class Made:
    """A tensor of the program: output ``output`` of ``node``, or one that is given or stored.

    Parameters
    ----------
    meta : Meta
        Shape, dtype and storage.
    node : Node, optional
        What makes it; None for inputs and stored tensors.
    output : int
        Number of the output of ``node``.
    name : str
        The name of an input or of a stored tensor.
    learned : bool
        Whether it is a parameter.
    trainable : bool, optional
        Whether a parameter gets gradients.
    """

    __slots__ = ("all_input_nodes", "learned", "meta", "name", "node", "output", "trainable")

    def __init__(
        self,
        meta: Meta,
        node: Node | None = None,
        output: int = 0,
        name: str = "",
        learned: bool = False,
        trainable: bool | None = None,
    ) -> None:
        self.meta = {"val": meta}
        self.node = node
        self.output = output
        self.name = name
        self.learned = learned
        self.trainable = trainable
        self.all_input_nodes = ()


class Node:
    """One operator of the program.

    Parameters
    ----------
    target : OpOverload
        The operator of torch.
    args, kwargs : tuple, dict
        Its arguments, a :class:`Made` in the place of every tensor.
    name : str
        A name that no other node has.
    module : str
        Dotted path of the module that runs it.
    """

    __slots__ = ("args", "kwargs", "meta", "module", "name", "outputs", "target", "used")

    def __init__(self, target: Any, args: Any, kwargs: Any, name: str, module: str) -> None:
        self.target = target
        self.args = args
        self.kwargs = kwargs
        self.name = name
        self.module = module
        self.meta: dict[str, Any] = {}
        self.outputs: list[Made | None] = []
        self.used: set[int] = set()

    @property
    def all_input_nodes(self) -> list[Made]:
        """The tensors that it takes."""
        return list(_tensors((self.args, self.kwargs)))

    def is_used(self, output: int) -> bool:
        """Return whether output ``output`` has a consumer."""
        return output in self.used


@dataclass
class Program:
    """The record of one run of a module.

    Parameters
    ----------
    inputs : list of Made
        The tensors that were given.
    nodes : list of Node
        The operators, in the order in which they ran.
    outputs : list of Made
        The tensors that were returned.
    asked : list of str
        Places where the code used values that depend on the inputs; the program holds for them.
    notes : tuple of str
        Notes that qualify the totals.
    """

    inputs: list[Made] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Made] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def _tensors(arguments: Any) -> Iterator[Made]:
    if isinstance(arguments, Made):
        yield arguments
    elif isinstance(arguments, list | tuple):
        for argument in arguments:
            yield from _tensors(argument)
    elif isinstance(arguments, dict):
        yield from _tensors(list(arguments.values()))
