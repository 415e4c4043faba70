"""Every error a user can cause: one sentence that says what, where and what would be right."""

from __future__ import annotations


class CostModelError(Exception):
    """Base of all errors that ``costmodel`` raises on bad input."""


class GraphError(CostModelError):
    """A graph breaks the schema: a cycle, a dangling edge, a missing slot; the node is named."""


class ShapeError(GraphError):
    """An operator cannot take the tensors it is given; the shapes are named."""


class UnknownOperatorError(CostModelError):
    """An importer or a file names operators that ``costmodel`` does not know; all are listed."""


class DataError(CostModelError):
    """A file or table holds a wrong value; the file and the field or row are named."""


class UnitError(DataError):
    """A quantity has no unit or the wrong one."""
