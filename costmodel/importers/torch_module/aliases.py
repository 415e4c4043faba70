"""Tensors that share memory: a write through one is an edge to every later read of another."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from costmodel.importers.torch_module.program import Made, Node, Storage

MERGE = "costmodel.merge"
"""Target of the node that stands for a tensor after a part of its memory was written."""


class Borrowed(Enum):
    """Whose memory it is where it is not the run's own."""

    WEIGHT = auto()
    """A parameter of the user's module, which is too large to be copied."""
    FOREIGN = auto()
    """A tensor that came past the recorder, such as one of the user's file."""


class Memory:
    """Memory shared by tensors, and the known facts of its content.

    Parameters
    ----------
    level : int
        Whether the values are there: UNKNOWN, CONSTANT or DATA.
    owner : object
        Whose memory it is: of one run.

    Attributes
    ----------
    made : Made
        The first tensor in it, as of now.
    version : int
        How often it was written.
    borrowed : Borrowed, optional
        Whose it is, if it is not the run's own.
    """

    __slots__ = ("borrowed", "level", "made", "owner", "storage", "version")

    made: Made

    def __init__(self, level: int, owner: object) -> None:
        self.level = level
        self.owner = owner
        self.version = 0
        self.borrowed: Borrowed | None = None
        self.storage = Storage()


class Record:
    """The representation of a torch tensor in the program.

    Parameters
    ----------
    made : Made
        The tensor of the program, as of version ``version`` of its memory.
    memory : Memory
        What it shares with its views.
    spec : Spec
        Its shape, strides and dtype.
    parent : Record, optional
        The record that it is a view of; None for the first tensor of its memory.
    """

    __slots__ = ("made", "memory", "parent", "seen", "spec", "version", "view")

    def __init__(self, made: Made, memory: Memory, spec: Any, parent: Record | None = None) -> None:
        self.made = made
        self.memory = memory
        self.spec = spec
        self.parent = parent
        self.version = memory.version
        if parent is None:
            memory.made = made
        else:
            self.view, self.seen = made, parent.made

    def __deepcopy__(self, memo: Any) -> Record:
        return self


class Aliases:
    """Reads and writes of tensors that share memory.

    Parameters
    ----------
    emit : callable
        Adds a node to the program, given target, arguments, keywords and the outputs to repeat.
    """

    def __init__(self, emit: Callable[[Any, Any, Any, list[Made | None]], Node]) -> None:
        self._emit = emit

    def read(self, record: Record) -> Made:
        """Return the tensor that ``record`` holds now, after every write to its memory."""
        memory = record.memory
        if record.version != memory.version:
            if record.parent is None:
                record.made, record.version = memory.made, memory.version
            else:
                self._view_again(record, record.parent)
        return record.made

    def write(self, record: Record, made: Made) -> None:
        """Note that the memory of ``record`` now holds ``made`` there."""
        memory = record.memory
        if record.parent is None:
            memory.made = made
        else:
            before = memory.made
            (whole,) = self._emit(MERGE, (before, made), {}, [before]).outputs
            assert whole is not None
            memory.made = whole
        memory.version += 1
        record.made = made
        record.version = memory.version

    def _view_again(self, record: Record, parent: Record) -> None:
        """Recreate a view after a write to its base."""
        source, old = self.read(parent), record.view.node
        assert old is not None
        args, kwargs = _replaced((old.args, old.kwargs), record.seen, source)
        view = self._emit(old.target, args, kwargs, old.outputs).outputs[record.view.output]
        assert view is not None
        record.view = record.made = view
        record.seen = source
        record.version = record.memory.version


def _replaced(arguments: Any, old: Made, new: Made) -> Any:
    if arguments is old:
        return new
    if isinstance(arguments, list | tuple):
        return type(arguments)([_replaced(a, old, new) for a in arguments])
    if isinstance(arguments, dict):
        return {k: _replaced(a, old, new) for k, a in arguments.items()}
    return arguments
