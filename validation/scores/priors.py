"""The command ``priors``: priors of CPUs from all boards, printed or written to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tomlkit
import typer
from rich.table import Table

from costmodel.graph.writing import write_atomically
from costmodel.timing.multipliers import DEVICE

from .assumed import before, offsets
from .boards import benches, teaching
from .command import wide_console
from .hierarchy import Known, Taught, known
from .levels import with_level
from .moderation import DETERMINED

_PACKAGE = Path(__file__).resolve().parents[2] / "costmodel"
_GENERAL = _PACKAGE / "timing" / "cpu.toml"
_RUNTIMES = _PACKAGE / "runtimes"
ANOTHER = 0.3
"""Boards that must determine it under a second engine before other engines use it."""
_SURE = 1.645  # standard deviations on each side that hold 90 %
OF_THE_ENGINE = ("fixed",)
"""Parameters that engines do not share, because costs around an inference differ most."""
OF_THE_HARDWARE = ("contention", "contention_own", "near_bandwidth", "shared_bandwidth")
"""Parameters of cores and caches: what one engine tells of them holds under the others."""
OF_THE_SYSTEM = ("low_clock", "sleep")
"""Parameters of an effect that some boards have and others lack: few boards with a spread around
their mean do not describe that, so that the assumption stays."""
_SOURCE = (
    "python -m validation priors: {what} of fits to {boards} boards (ncnn, MLPerf, Paddle-Lite, "
    "NAS-Bench-201), of which {seen:.1f} determine it; spread between boards{more}, moderated"
)

_LEVEL_SOURCE = (
    "python -m validation priors: most likely spread of the level of each of {boards} boards when "
    "the others predict it"
)


def priors(
    write: Annotated[
        bool, typer.Option("--write", help="Also write them into cpu.toml and the runtimes.")
    ] = False,
) -> None:
    """Fit every CPU of the public sets of networks, and print the common parameters.

    For each parameter: the fit of each board, the mean over boards and engines, the scatter of
    boards and engines. For example:

    python -m validation priors

    python -m validation priors --write
    """
    sets = teaching(benches())
    boards = known(sets, before(), offsets())
    found = with_level(sets, boards, before())
    console = wide_console()
    console.print(_table(boards, found))
    console.print(f"spread of the level of a board never measured: {found.level:.2f}")
    if write:
        _write_general(found, len({b.board for b in boards}))
        for engine in found.engines:
            count = len({b.board for b in boards if b.engine == engine})
            write_engine(engine, found, count, _SOURCE)
            _write_level(engine, found, len({b.board for b in boards}))
        console.print(f"written to {_GENERAL} and {_RUNTIMES}", highlight=False)


def _table(boards: Sequence[Known], found: Taught) -> Table:
    table = Table(title="CPU parameters over boards and engines")
    table.add_column("parameter")
    for heading in ("before", "mean", "boards x", "engines x", "determined by"):
        table.add_column(heading, justify="right")
    table.add_column("by board and engine, as far as its rows tell")
    posts = [b.posterior(found.engines[b.engine], found.between) for b in boards]
    for j, p in enumerate(before()):
        own = [
            f"{b.board}/{b.engine} {np.exp(m[j]):.2g}"
            for b, (m, v) in zip(boards, posts, strict=True)
            if v[j] < 0.5 * found.between[j] ** 2
        ]
        numbers = (p.value, np.exp(found.mean[j]))
        scatter = (np.exp(found.between[j]), np.exp(found.apart[j]))
        table.add_row(
            p.name,
            *(f"{x:.3g}" for x in numbers),
            *(f"{x:.2f}" for x in scatter),
            f"{found.seen[''][j]:.1f}",
            ", ".join(own),
        )
    return table


def _write_general(found: Taught, boards: int) -> None:
    document: Any = tomlkit.parse(_GENERAL.read_text(encoding="utf-8"))
    mean, spread = found.of("")
    for j, p in enumerate(before()):
        if p.name not in (*OF_THE_ENGINE, *OF_THE_SYSTEM) and _common(found, j):
            entry = document[p.name]
            entry["value"] = _within(entry, mean[j])
            entry["spread"] = _spread(entry, spread[j])
            what, more = "mean over engines", " and engines"
            entry["source"] = _SOURCE.format(
                what=what, boards=boards, seen=found.seen[""][j], more=more
            )
    write_atomically(_GENERAL, tomlkit.dumps(document))


def _common(found: Taught, j: int) -> bool:
    """Return whether boards determine a parameter, one of engines under more than one of them."""
    engines = [e for e in found.engines if found.seen[e][j] >= ANOTHER]
    several = len(engines) > 1 or before()[j].name in OF_THE_HARDWARE
    return bool(found.seen[""][j] >= DETERMINED and several)


def write_engine(engine: str, found: Taught, boards: int, source: str) -> None:
    """Write the priors of an engine into its file.

    Parameters
    ----------
    engine : str
        The runtime.
    found : Taught
        Means, and spreads between boards.
    boards : int
        Number of boards that determine them.
    source : str
        Template of the source of each number: ``what``, ``boards``, ``seen``, ``more``.
    """
    document = _runtime(engine)
    limits: Any = tomlkit.parse(_GENERAL.read_text(encoding="utf-8"))
    own_source = offsets().get(engine, np.zeros(len(before())))
    chosen = [
        j
        for j, p in enumerate(before())
        if (found.seen[engine][j] >= DETERMINED or own_source[j]) and p.name not in OF_THE_SYSTEM
    ]
    if not chosen:
        return
    own = _cpu_priors(document)
    for name in [n for n, entry in own.items() if _is_of(source, entry)]:
        del own[name]  # the present boards may no longer determine it
    mean, spread = found.of(engine)
    for j in chosen:
        name = before()[j].name
        entry = tomlkit.inline_table()
        entry["value"] = _within(limits[name], mean[j])
        entry["spread"] = _spread(limits[name], spread[j])
        entry["source"] = source.format(
            what=f"mean under {engine}", boards=boards, seen=found.seen[engine][j], more=""
        )
        own[name] = entry
    write_atomically(_RUNTIMES / f"{engine}.toml", tomlkit.dumps(document))


def _write_level(engine: str, found: Taught, boards: int) -> None:
    """Write the spread of the level of a board that was never measured under an engine."""
    document = _runtime(engine)
    entry = tomlkit.inline_table()
    entry["value"], entry["spread"] = 1.0, round(found.level, 2)
    entry["source"] = _LEVEL_SOURCE.format(boards=boards)
    _cpu_priors(document)[DEVICE] = entry
    write_atomically(_RUNTIMES / f"{engine}.toml", tomlkit.dumps(document))


def _runtime(engine: str) -> Any:
    return tomlkit.parse((_RUNTIMES / f"{engine}.toml").read_text(encoding="utf-8"))


def _cpu_priors(document: Any) -> Any:
    table = document.setdefault("priors", tomlkit.table(is_super_table=True))
    return table.setdefault("cpu", tomlkit.table())


def _is_of(source: str, entry: Any) -> bool:
    """Return whether the command of the template ``source`` wrote a prior."""
    command = source.partition(":")[0]
    return isinstance(entry, dict) and str(entry.get("source", "")).startswith(command)


def _spread(entry: Any, log: float) -> float:
    """Return a spread of two digits; 90 % of a prior must fit into the range of its parameter."""
    widest = float(np.log(entry["upper"] / entry["lower"])) / (2 * _SURE)
    return round(min(log, widest), 2)


def _within(entry: Any, log: float) -> float:
    """Return a value of three digits inside the range of its parameter."""
    value = float(np.clip(np.exp(log), entry["lower"], entry["upper"]))
    return float(f"{value:.3g}")
