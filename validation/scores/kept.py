"""Finished jobs of a run of scores, stored on disk so that an interrupted run can resume."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import costmodel
from costmodel.graph.writing import write_atomically

from .bench import Score
from .figures import Figures
from .protocols import Job, Outcome

_SUFFIXES = (".py", ".toml", ".csv")


class Kept:
    """A file of JSON lines: the state of code and data first, then one line per finished job.

    A file with another state is discarded, because its figures are of another model.

    Parameters
    ----------
    path : Path
        The file.
    state : str
        What the figures depend on, see :func:`state`.
    """

    def __init__(self, path: Path, state: str) -> None:
        self._path = path
        self.outcomes = dict(_read(path, state))
        lines = [{"state": state}, *(_line(*found) for found in self.outcomes.items())]
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))

    def keep(self, job: Job, outcome: Outcome) -> None:
        """Keep what a job found."""
        self.outcomes[job] = outcome
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_line(job, outcome)) + "\n")

    def remove(self) -> None:
        """Remove the file: the run is whole."""
        self._path.unlink(missing_ok=True)


def _line(job: Job, outcome: Outcome) -> dict[str, Any]:
    return {"job": asdict(job), "outcome": asdict(outcome)}


def _read(path: Path, state: str) -> Iterator[tuple[Job, Outcome]]:
    """Yield the jobs of a file in the right state, up to a line that was cut off."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    try:
        if not lines or json.loads(lines[0]) != {"state": state}:
            return
        for line in lines[1:]:
            found = json.loads(line)
            yield _job(found["job"]), _outcome(found["outcome"])
    except (ValueError, TypeError, KeyError):
        return


def _job(value: Mapping[str, Any]) -> Job:
    return Job(**{**value, "teachers": tuple(value["teachers"])})


def _outcome(value: Mapping[str, Any]) -> Outcome:
    scores = [Score(**{**s, "figures": Figures(**s["figures"])}) for s in value["scores"]]
    return Outcome(scores, value["facts"])


def state(data: Path | None) -> str:
    """Return a hash of the code and facts of both packages, and of the data's names and sizes.

    Parameters
    ----------
    data : Path, optional
        The folder of the data sets, where there is one.
    """
    digest = hashlib.sha256(str(data).encode())
    for package in (Path(costmodel.__file__).parent, Path(__file__).resolve().parents[1]):
        for file in sorted(p for p in package.rglob("*") if p.suffix in _SUFFIXES):
            digest.update(str(file.relative_to(package)).encode() + file.read_bytes())
    if data is not None:
        for file in sorted(p for p in data.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(data)} {file.stat().st_size}".encode())
    return digest.hexdigest()
