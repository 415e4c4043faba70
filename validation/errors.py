"""Errors of measuring: each one sentence that says what failed and what to do."""

from __future__ import annotations

from costmodel.errors import CostModelError


class MeasuringError(CostModelError):
    """A network cannot be run or timed here."""


class OutOfMemoryError(MeasuringError):
    """A network does not fit into the memory that is left; alone it may."""


class WorkerError(MeasuringError):
    """The process that measures ends before it has begun, whatever it is given."""


class ClockError(MeasuringError):
    """The clock jumps or stands still, so that no time can be trusted."""


class StoreError(MeasuringError):
    """The file of results cannot be read or written; what was finished before is kept."""
