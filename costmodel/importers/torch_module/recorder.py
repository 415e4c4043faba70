"""Records the operators that a module runs, on tensors without data where it can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from costmodel.errors import DataError
from costmodel.importers.torch_module.aliases import MERGE, Aliases, Borrowed, Memory, Record
from costmodel.importers.torch_module.apart import Apart, plain_program
from costmodel.importers.torch_module.bound import Bound
from costmodel.importers.torch_module.call import ATEN
from costmodel.importers.torch_module.facts import Facts
from costmodel.importers.torch_module.kernels import Kernels, Output, alias_of
from costmodel.importers.torch_module.masks import ATTENTION, Masks
from costmodel.importers.torch_module.program import (
    CONSTANT,
    DATA,
    UNKNOWN,
    Made,
    Meta,
    Node,
    Program,
)
from costmodel.importers.torch_module.values import Values, is_mask


class ValuesNeededError(BaseException):
    """The code needs values that this run does not have; ``except Exception`` does not hide it."""


class Recorder(TorchDispatchMode):  # type: ignore[misc]
    """Records the operators that run inside its ``with`` block.

    Parameters
    ----------
    real : bool
        Whether every operator is computed. Otherwise only values that follow from inputs, constants
        and buffers are, and the rest has only shapes.
    """

    def __init__(self, real: bool) -> None:
        super().__init__()
        self.program = Program()
        self.path: list[str] = [""]
        self.muted = 0
        self.aliases = Aliases(self._repeat)
        self._real = real
        self._facts: dict[Any, Facts] = {}
        self._apart = Apart()
        self._kernels = Kernels()
        self._values = Values(real, self._kernels)
        self._masks = Masks()
        self._names: Counter[str] = Counter()
        self._kept: list[tuple[Tensor, Tensor]] = []

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say that the compiler of torch need not be loaded and asked at every operator."""
        return False

    def enter(self, tensor: Tensor, level: int, name: str, learned: bool = False) -> Record:
        """Make a tensor that is stored or given known under ``name``."""
        spec = self._kernels.spec(tensor)
        memory = Memory(level, self.program)
        trainable = bool(tensor.requires_grad) if learned else None
        made = Made(Meta(spec, memory.storage), name=name, learned=learned, trainable=trainable)
        record = tensor._costmodel = Record(made, memory, spec)
        self._kernels.remember(tensor)
        return record

    def record_of(self, tensor: Tensor) -> Record:
        """Return the record of ``tensor``; one that came past the recorder is a constant."""
        record: Record | None = getattr(tensor, "_costmodel", None)
        if record is None or record.memory.owner is not self.program:
            record = self._kernels.same_memory(tensor)
            if record is None:
                level = UNKNOWN if tensor.device.type == "meta" else CONSTANT
                record = self.enter(tensor, level, self._name("constant"))
                record.memory.borrowed = Borrowed.FOREIGN
                return record
            tensor._costmodel = record
        return record

    def finish(self, outputs: Sequence[Tensor]) -> Program:
        """Return the program that returns ``outputs``."""
        for tensor in outputs:
            made = self.aliases.read(self.record_of(tensor))
            if made.node is not None:
                made.node.used.add(made.output)
            self.program.outputs.append(made)
        self.program.notes = self._masks.notes()
        return self.program

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.muted:
            return func(*args, **kwargs)
        facts = self._facts.get(func)
        if facts is None and not isinstance(func, torch._ops.OpOverload):
            return self._higher_order(func, args, kwargs)
        if facts is None:
            facts = self._facts[func] = Facts(func)
        if facts.passes:
            out = func(*args, **kwargs)
            if facts.name == "lift_fresh":  # a tensor that the code has just made of numbers
                self.enter(out, CONSTANT, self._name("constant"))
            return out
        bound = Bound(self, args, kwargs)
        if facts.name == "index":
            for tensor, record in zip(bound.tensors[1:], bound.records[1:], strict=True):
                if is_mask(tensor):  # the number of set elements decides the shape
                    self._asked(facts, record)
        if facts.lengths is not None:
            self._asked(facts, bound.records[facts.lengths])
        if facts.asks:
            for record in bound.records:
                self._asked(facts, record)
            if not facts.returns_tensor:
                return func(*args, **kwargs)
        if not facts.known and not _folds(facts, bound):
            apart = self._apart.way(func, facts)
            if apart is not None:
                with self:
                    out = apart(*args, **kwargs)
                if out is not NotImplemented:
                    return out
        if facts.writes and any(r.memory.borrowed for r in bound.records):
            self._before_writing(facts, written(facts, args, kwargs))
        if facts.reshapes:
            return self._reshaped(func, bound, args, kwargs)
        out, outputs, level = self._values.run(func, facts, bound, args, kwargs)
        if isinstance(out, Tensor):
            return self._recorded(func, facts, bound, [out], outputs, level)[0]
        if not isinstance(out, list | tuple):
            if facts.writes:  # it returns the written tensors
                self._recorded(func, facts, bound, written(facts, args, kwargs), None, level)
            return out
        return type(out)(self._recorded(func, facts, bound, out, outputs, level))

    def _before_writing(self, facts: Facts, tensors: Sequence[Tensor]) -> None:
        """Save tensors from outside the run before a write; reject large ones."""
        for tensor in tensors:
            memory = self.record_of(tensor).memory
            if memory.borrowed is Borrowed.WEIGHT:
                raise DataError(
                    f"{facts.name} in {self.path[-1] or 'the network'} writes a parameter that is "
                    "too large to be copied: an imported module must not write its weights"
                )
            if memory.borrowed is Borrowed.FOREIGN and tensor.device.type != "meta":
                self._kept.append((tensor, tensor.clone()))

    def put_back(self) -> None:
        """Put back what was written and is not the run's own: tensors of the user's files."""
        with torch.no_grad():
            for tensor, before in reversed(self._kept):
                tensor.copy_(before)
        self._kept.clear()

    def _recorded(
        self,
        func: Any,
        facts: Facts,
        bound: Bound,
        outs: Sequence[Any],
        outputs: Sequence[Output | None] | None,
        level: int,
    ) -> list[Any]:
        """Add the node of an operator to the program and register its outputs."""
        if not facts.writes and any(outs[0] is t for t in bound.tensors):
            if not facts.is_dropout:
                return list(outs)  # it did nothing
            outs, outputs = [torch.ops.aten.alias.default(outs[0])], None
        folded = _folds(facts, bound)
        node = self._node(func, bound.args, bound.kwargs, facts.name, add=not folded)
        if facts.name == ATTENTION:
            node.meta["causal"] = self._masked_causally(bound, node)
        kernels = self._kernels
        for i, out in enumerate(outs):
            if not isinstance(out, Tensor):
                node.outputs.append(None)
                continue
            known = outputs[i] if outputs is not None else None
            spec = known.spec if known is not None else kernels.spec(out)
            number = next((n for n, t in enumerate(bound.tensors) if t is out), -1)
            if number >= 0 and facts.writes:
                record = bound.records[number]
                made = Made(Meta(spec, record.memory.storage), node, i)
                record.memory.level = level
                self.aliases.write(record, made)
            else:
                if known is not None:
                    number = known.argument
                elif facts.may_alias:
                    number = alias_of(out, bound.tensors)
                parent = bound.records[number] if number >= 0 else None
                own = level
                if facts.lengths is not None and not out.is_floating_point():
                    own = bound.records[facts.lengths].memory.level
                memory = parent.memory if parent is not None else Memory(own, self.program)
                meta = Meta(spec, memory.storage)
                name = self._name("constant") if folded else ""
                made = Made(meta, None if folded else node, i, name)
                out._costmodel = Record(made, memory, spec, parent)
                kernels.remember(out)
            node.outputs.append(made)
        return list(outs)

    def _masked_causally(self, bound: Bound, node: Node) -> bool:
        """Return whether an attention has a causal mask as a tensor."""
        mask = node.kwargs.get("attn_mask", node.args[3] if len(node.args) > 3 else None)
        if mask is None:
            return False
        record, tensor = next(
            (r, t) for r, t in zip(bound.records, bound.tensors, strict=True) if r.made is mask
        )
        level = record.memory.level
        causal = self._masks.is_causal(tensor, level != UNKNOWN)
        if causal and level == DATA:
            self._ask(f"the mask of attention in {self.path[-1] or 'the network'}")
        return causal

    def _higher_order(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator on functions (``cond``, ``scan``) and record their calls."""
        kernel, name, start = plain_program(func), func.name(), len(self.program.nodes)
        if kernel is None:
            out = func(*args, **kwargs)
        else:
            with self:
                out = kernel(*args, **kwargs)
            if name not in ATEN:
                return out
        # One operator: its parts are not recorded.
        del self.program.nodes[start:]
        bound = Bound(self, args, kwargs)
        node = self._node(func, bound.args, bound.kwargs, name)
        tensors = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        for i, tensor in enumerate(tensors):
            record = self.enter(tensor, bound.level if self._real else UNKNOWN, "")
            record.made.node, record.made.output = node, i
            node.outputs.append(record.made)
        return out

    def _reshaped(self, func: Any, bound: Bound, args: Any, kwargs: Any) -> Any:
        """Run an in-place change of shape, after which the tensor is a view of itself."""
        out = func(*args, **kwargs)
        before = bound.records[0]
        node = self._node(func, bound.args, bound.kwargs, self._facts[func].name)
        spec = self._kernels.spec(out)
        made = Made(Meta(spec, before.memory.storage), node)
        node.outputs.append(made)
        out._costmodel = Record(made, before.memory, spec, before)
        return out

    def _repeat(self, target: Any, args: Any, kwargs: Any, outputs: list[Made | None]) -> Node:
        """Add a node that makes tensors like ``outputs``, for :class:`Aliases`."""
        node = self._node(target, args, kwargs, "merge" if target == MERGE else "view")
        node.outputs = [
            None if old is None else Made(old.meta["val"], node, i) for i, old in enumerate(outputs)
        ]
        for made in node.all_input_nodes:
            if made.node is not None:
                made.node.used.add(made.output)
        return node

    def _node(self, target: Any, args: Any, kwargs: Any, name: str, add: bool = True) -> Node:
        node = Node(target, args, kwargs, self._name(name), self.path[-1])
        if add:
            self.program.nodes.append(node)
        return node

    def _name(self, stem: str) -> str:
        self._names[stem] += 1
        count = self._names[stem]
        return stem if count == 1 else f"{stem}_{count - 1}"

    def _asked(self, facts: Facts, record: Record) -> None:
        """Record that the code uses values, or stop if this run has none."""
        made = record.made
        asked = facts.name if made.node is None or facts.returns_tensor else made.node.name
        place = f"{asked.rstrip('_0123456789')} in {self.path[-1] or 'the network'}"
        if record.memory.level == UNKNOWN:
            raise ValuesNeededError(place)
        if record.memory.level == DATA:
            self._ask(place)

    def _ask(self, place: str) -> None:
        if place not in self.program.asked:
            self.program.asked.append(place)


def written(facts: Facts, args: Any, kwargs: Any) -> list[Tensor]:
    """Return the tensors that an operator writes."""
    values = [args[i] if i < len(args) else kwargs.get(name) for i, name in facts.writes]
    return [t for t in tree_leaves(values) if isinstance(t, Tensor)]


def _folds(facts: Facts, bound: Bound) -> bool:
    """Return whether an operator makes a constant that need not be an operator.

    No handler knows it and everything that it takes is a constant; or it takes numbers alone.
    """
    if bound.level != CONSTANT or facts.random or facts.writes:
        return False
    return not facts.known or (not bound.tensors and not facts.makes)
