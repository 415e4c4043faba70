"""Facts from the schema of a torch operator, derived once per run."""

from __future__ import annotations

from typing import Any

from costmodel.importers.torch_module.call import ATEN, DROPOUTS, packet_name

_ASKS = frozenset(
    {"_local_scalar_dense", "equal", "is_nonzero", "item", "resolve_neg", "nonzero_numpy"}
    | {"argwhere", "torchvision.nms"}
)
"""Operators that pass values to Python (``resolve_neg`` precedes ``tolist``), or sizes that
depend on them, without a tag that says so."""
_PASSED = frozenset({"detach_", "requires_grad_", "lift_fresh"})
"""Operators that only torch's own books need."""
_MODES = frozenset({"dropout_p", "dropout", "train", "training"})
"""Arguments of operators that draw numbers in training only."""
_LENGTHS = {
    f"aten.{name}": 1
    for name in (
        *("_pack_padded_sequence.default", "_pad_packed_sequence.default"),
        *("lstm.data", "gru.data", "rnn_tanh.data", "rnn_relu.data"),
    )
}
"""Operators on packed sequences, and which argument holds lengths, whose values they need."""
_NOT_THAT_FORM = frozenset({"aten.where.default"})
"""Overloads that are another operator than the one of their name: ``where(x)`` is a nonzero."""
_OTHER_IS_SHAPE = frozenset({"to", "type_as", "expand_as", "view_as", "reshape_as"})
"""Operators of whose argument ``other`` only shape and dtype matter."""


class Facts:
    """Facts of an operator for the recorder.

    Parameters
    ----------
    op : OpOverload
        The operator.

    Attributes
    ----------
    name : str
        Its name without overload.
    known : bool
        Whether there is a handler.
    composite : bool
        Whether torch itself takes it apart into others.
    writes : tuple of (int, str)
        Position and name of the arguments that it writes.
    may_alias : bool
        Whether its outputs may share memory with an argument.
    reshapes : bool
        Whether it changes the shape of an argument in place.
    random, makes : bool
        Whether it draws numbers; whether it makes a tensor whose values no other tensor decides.
    asks : bool
        Whether its result, or the shape of it, depends on values.
    """

    def __init__(self, op: Any) -> None:
        import torch

        schema, tags = op._schema, op.tags
        self.name = packet_name(op)
        self.known = self.name in ATEN and str(op) not in _NOT_THAT_FORM
        has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
        self.composite = has_kernel(op.name(), "CompositeImplicitAutograd")
        infos = [(i, a.name, a.alias_info) for i, a in enumerate(schema.arguments)]
        self.writes = tuple((i, name) for i, name, info in infos if info and info.is_write)
        shared = any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
        self.may_alias = shared or (self.composite and not self.writes)
        self.reshapes = torch.Tag.inplace_view in tags
        self.random = torch.Tag.nondeterministic_seeded in tags and not _is_quiet(schema)
        names = {a.name for a in schema.arguments}
        self.makes = {"device", "layout", "dtype"} <= names and self.name not in ("to", "_to_copy")
        self.asks = self.name in _ASKS or (
            (torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags)
            and self.name != "index"
        )
        self.lengths = _LENGTHS.get(str(op))
        self.other_is_shape = self.name in _OTHER_IS_SHAPE
        self.returns_tensor = any("Tensor" in str(r.type) for r in schema.returns)
        self.is_dropout = self.name in DROPOUTS
        quiet = not (self.returns_tensor or self.asks or self.composite or self.writes)
        self.passes = quiet or op._opname in _PASSED


def _is_quiet(schema: Any) -> bool:
    """Return whether it draws random numbers in training only: dropout and attention."""
    return not _MODES.isdisjoint(a.name for a in schema.arguments)
