"""The result of one network, and its line in a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import StoreError
from .through_onnx import Exported

COUNTERS = ("ours", "fvcore", "FlopCounterMode")
"""The counters that are timed."""
NOT_INSTALLED = "not installed"
"""Verdict on a network whose library is absent, and the failure of a counter that is."""


@dataclass(frozen=True)
class Result:
    """The result of one network.

    Parameters
    ----------
    name : str
        Of the network.
    missing : tuple of str
        Required libraries that are not installed; then nothing was tried.
    broken : str
        Why the network cannot be built, run or counted independently: a fault of the list.
    failure : str
        Why it does not import, one sentence; ``""`` if it does.
    ours, independent : int, optional
        The counts; None where there is none. [multiply-add]
    missed : mapping
        For each kind of difference, the count missing from the independent one. [multiply-add]
    seconds : mapping
        Best times of the :data:`COUNTERS`, of those that work. [s]
    fvcore : str
        Why fvcore fails; ``""`` where it does not.
    files : mapping
        The result of each exporter to ONNX, if requested.
    predicted : mapping
        In that case also the predicted latency of the module, by platform. [s]

    Examples
    --------
    >>> Result("n", ours=12, independent=8, missed={"vectors": 4}).verdict
    'explained'
    """

    name: str
    missing: tuple[str, ...] = ()
    broken: str = ""
    failure: str = ""
    ours: int | None = None
    independent: int | None = None
    missed: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    fvcore: str = ""
    files: dict[str, Exported] = field(default_factory=dict)
    predicted: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``equal``, ``explained``, ``different``, or why there is nothing to compare."""
        if self.missing:
            return NOT_INSTALLED
        if self.broken:
            return "broken"
        if self.ours is None or self.independent is None:
            return "not in"
        if self.ours == self.independent:
            return "equal"
        whole = self.independent + sum(self.missed.values())
        return "explained" if self.ours == whole else "different"

    def line(self) -> str:
        """Return the result as one line of JSON."""
        return json.dumps(asdict(self))


def read_results(path: Path) -> dict[str, Result]:
    """Return the results of a file by name, without a truncated last line.

    Raises
    ------
    StoreError
        If another line is not a result.
    """
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    found = {}
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line.endswith("\n"):
            break
        try:
            row = json.loads(line)
            files = {name: Exported(**file) for name, file in row["files"].items()}
            result = Result(**{**row, "missing": tuple(row["missing"]), "files": files})
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            raise StoreError(
                f"{path}:{number} is not a result of this command ({error}): name another file"
            ) from None
        found[result.name] = result
    return found
