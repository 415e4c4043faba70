"""State shared by the traversals of one file: the graph, limits, statements of the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from costmodel.algebra.symbols import Dim
from costmodel.errors import CostModelError, DataError
from costmodel.importers.emitter import Emitter
from costmodel.importers.onnx_file.load import dtype_of, learned_names
from costmodel.importers.onnx_file.names import shown
from costmodel.importers.onnx_file.shapes import Sizes, declared_tensor
from costmodel.ops.tensor import Tensor

MOST_STEPS = 30_000
"""Maximum number of nodes added by loops and functions. [node]"""
MOST_RECKONED = 3_000
"""Maximum number of symbolic entries in arithmetic on shapes. [element]"""
MOST_KNOWN = 16_000_000
"""Maximum number of stored elements of known arrays. [element]"""
DEEPEST = 40
"""Maximum nesting of functions, branches and loops."""

_NOTES = {
    True: "{} with a causal mask as a tensor: the triangle is counted, as with is_causal",
    False: "{} with a mask as a tensor: the full square is counted",
}


class Session:
    """One file during its import.

    Parameters
    ----------
    model : ModelProto
        The model message.
    path : Path
        The file, for messages.
    sizes : Sizes
        The named sizes of the file.
    trusted : bool
        Whether stated shapes are valid; False if the caller overrides them.
    """

    def __init__(self, model: Any, path: Path, sizes: Sizes, trusted: bool) -> None:
        self.model = model
        self.path = path
        self.sizes = sizes
        self.emit = Emitter(shown(model.graph.name or path.stem))
        self.learned = learned_names(model)
        self.functions = {
            (_domain(f.domain), f.name, getattr(f, "overload", "")): f for f in model.functions
        }
        self.versions = {_domain(entry.domain): entry.version for entry in model.opset_import}
        self._stated = (
            {e.name: e for e in (*model.graph.value_info, *model.graph.output)} if trusted else {}
        )
        self._steps = len(model.graph.node) + MOST_STEPS
        self._known = MOST_KNOWN
        self._reckoned = MOST_RECKONED
        self.masks: Counter[bool] = Counter()
        self._inferred: dict[str, Tensor] | None = None

    def step(self) -> None:
        """Count one imported node.

        Raises
        ------
        DataError
            If loops or functions make too many.
        """
        self._steps -= 1
        if self._steps < 0:
            raise DataError(
                f"{self.path}: its loops and functions add more than {MOST_STEPS} nodes; "
                "export it with loops that run less often"
            )

    def reckon(self, elements: int) -> None:
        """Count arithmetic on symbolic sizes.

        Raises
        ------
        DataError
            If there is too much of it.
        """
        self._reckoned -= elements
        if self._reckoned < 0:
            raise DataError(
                f"{self.path}: too much arithmetic on sizes that are open; give them numbers: "
                "from_onnx(..., dims={...})"
            )

    @property
    def is_full(self) -> bool:
        """Whether the limit of stored arrays is reached, so that no more are computed."""
        return self._known <= 0

    def notes(self) -> tuple[str, ...]:
        """Return notes that qualify the totals."""
        return tuple(
            _NOTES[causal].format(f"{n} attention" + ("s" if n > 1 else ""))
            for causal, n in sorted(self.masks.items())
        )

    def keep(self, elements: int) -> bool:
        """Return whether another array of this many elements may be kept."""
        self._known -= elements + 16
        return self._known > 0

    def stated(self, name: str) -> Tensor | None:
        """Return the type that the file states for tensor ``name``, or None."""
        entry = self._stated.get(name)
        return None if entry is None else declared_tensor(entry, self.sizes)

    def new_size(self, name: str) -> Dim:
        """Return a symbol for a data-dependent size, named after ``name``."""
        return self.sizes.new(f"{name}_length")

    def inferred(self, name: str) -> Tensor | None:
        """Return the shape that the onnx package itself infers for a tensor, or None."""
        if self._inferred is None:
            self._inferred = _inferred_shapes(self.model)
        return self._inferred.get(name)


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else str(name)


def _inferred_shapes(model: Any) -> dict[str, Tensor]:
    import onnx

    try:
        model = onnx.shape_inference.infer_shapes(model)
    except MemoryError:
        raise
    except Exception:  # it is a help only
        return {}
    found = {}
    for entry in (*model.graph.value_info, *model.graph.output):
        kind = entry.type.tensor_type
        sizes = tuple(size.dim_value for size in kind.shape.dim)
        if kind.HasField("shape") and all(size > 0 for size in sizes):
            try:
                found[entry.name] = Tensor(sizes, dtype_of(kind.elem_type, entry.name))
            except CostModelError:
                continue
    return found
