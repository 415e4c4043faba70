"""Errors of the ARM backend."""

from __future__ import annotations

from ..errors import MeasuringError, OutOfMemoryError


class BackendError(MeasuringError):
    """A compiler, board or emulator is missing or fails; the sentence says which and what to do."""


class KernelError(BackendError):
    """The benchmark ran and its result cannot be used: it crashed, or wrote a value not finite."""


class BoardMemoryError(BackendError, OutOfMemoryError):
    """The memory of the board does not hold the network."""
