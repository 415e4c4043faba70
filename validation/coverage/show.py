"""The list of networks as a table, with its summary."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from .differences import reasons
from .result import COUNTERS, NOT_INSTALLED, Result
from .through_onnx import ENGINES, EXPORTERS, Exported

STRICT_GOAL = 0.98
"""Required share of imported networks. [1]"""
LATENCY_GOAL = 0.01
"""Maximum difference of the predictions for a module and for its file. [1]"""
_REASON = 100
"""Length of a reason outside this project. [character]"""


def show(results: Sequence[Result], console: Console) -> None:
    """Print one line per network, then the failures, then shares and times."""
    table = Table(title=f"{len(results)} networks")
    table.add_column("network", overflow="fold")
    for heading in ("our count", "independent"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("counts")
    for heading in COUNTERS:
        table.add_column(f"{heading}, ms", justify="right")
    for result in results:
        counts = (_number(result.ours), _number(result.independent))
        times = (_time(result.seconds.get(counter)) for counter in COUNTERS)
        good = result.verdict in ("equal", "explained")
        table.add_row(
            result.name, *counts, _verdict(result), *times, style=None if good else "yellow"
        )
    console.print(table)
    for line in summary(results):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def reached(results: Iterable[Result]) -> bool:
    """Return whether enough networks import and every count is equal or explained."""
    verdicts = Counter(result.verdict for result in results)
    tried = verdicts.total() - verdicts[NOT_INSTALLED]
    inside = tried - verdicts["not in"] - verdicts["broken"]
    return inside >= STRICT_GOAL * tried and not verdicts["different"] and not verdicts["broken"]


def summary(results: Sequence[Result]) -> list[str]:
    """Return the lines below the table."""
    verdicts = Counter(result.verdict for result in results)
    tried = len(results) - verdicts[NOT_INSTALLED]
    inside = sum(verdicts[name] for name in ("equal", "explained", "different"))
    same = verdicts["equal"] + verdicts["explained"]
    return [
        *_listed(results),
        f"in, strict: {_share(inside, tried)} (goal {100 * STRICT_GOAL:.0f} %)",
        f"equal to the independent count: {_share(same, inside)}, of these "
        f"{verdicts['explained']} with a difference that is explained",
        *_explained(results),
        *_medians(results),
        *_files(results),
    ]


def _listed(results: Sequence[Result]) -> list[str]:
    lines = [f"not in: {r.name}: {r.failure}" for r in results if r.verdict == "not in"]
    lines += [f"broken: {r.name}: {r.broken}" for r in results if r.broken]
    absent = Counter(library for r in results for library in r.missing)
    for library, number in absent.items():
        names = ", ".join(r.name for r in results if library in r.missing)
        lines.append(f"not installed: {library}, {number} networks: {names}")
    return lines + _failures_of_fvcore(results)


def _failures_of_fvcore(results: Sequence[Result]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for result in results:
        if result.fvcore and result.fvcore != NOT_INSTALLED:
            by_reason.setdefault(result.fvcore[:_REASON], []).append(result.name)
    return [
        f"fvcore fails on {len(names)} networks: {reason}: {', '.join(names)}"
        for reason, names in by_reason.items()
    ]


def _explained(results: Iterable[Result]) -> list[str]:
    lines, why = [], reasons()
    for result in results:
        if result.verdict == "explained":
            parts = [f"{value:,} of {name}" for name, value in result.missed.items()]
            lines.append(f"explained: {result.name}: {' and '.join(parts)}")
    used = {name for r in results if r.verdict == "explained" for name in r.missed}
    return lines + [f"  {name}: {why[name]}" for name in why if name in used]


def _medians(results: Sequence[Result]) -> list[str]:
    """Return medians, each over the networks where the counter works, and ratios over both."""
    lines = []
    for counter in COUNTERS:
        times = [r.seconds[counter] for r in results if counter in r.seconds]
        if times:
            median = 1e3 * statistics.median(times)
            lines.append(f"median time of {counter}: {median:.1f} ms, {len(times)} networks")
    for counter in COUNTERS[1:]:
        ratios = [
            r.seconds[counter] / r.seconds["ours"]
            for r in results
            if counter in r.seconds and "ours" in r.seconds
        ]
        if ratios:
            lines.append(
                f"median time of {counter} over ours: {statistics.median(ratios):.2f}, "
                f"{len(ratios)} networks"
            )
    return lines


def _files(results: Sequence[Result]) -> list[str]:
    """Return the written and imported files of each exporter, and how their counts compare."""
    lines = []
    for exporter in EXPORTERS:
        tried = {r.name: (r, r.files[exporter]) for r in results if exporter in r.files}
        written = {name: both for name, both in tried.items() if not both[1].unwritten}
        both_in = {
            name: (r.ours, file.count)
            for name, (r, file) in written.items()
            if r.ours is not None and file.count is not None
        }
        same = sum(ours == count for ours, count in both_in.values())
        lines += [
            f"ONNX ({exporter}) does not get in: {name}: {file.failure}"
            for name, (_, file) in written.items()
            if file.failure
        ]
        lines += [
            f"ONNX ({exporter}) counts {count:,}, the module {ours:,}: {name}"
            for name, (ours, count) in both_in.items()
            if ours != count
        ]
        inside = sum(file.count is not None for _, file in written.values())
        if tried:
            lines.append(
                f"ONNX ({exporter}): torch writes {_share(len(written), len(tried))}, "
                f"of these get in {_share(inside, len(written))}, "
                f"equal to the module {_share(same, len(both_in))}"
            )
            lines += _latencies(exporter, tried)
    return lines


def _latencies(exporter: str, tried: Mapping[str, tuple[Result, Exported]]) -> list[str]:
    """Return how many files are predicted as the module is, on each engine, and which are not."""
    lines = []
    for engine in ENGINES:
        ratios = {
            name: file.seconds[engine] / result.predicted[engine]
            for name, (result, file) in tried.items()
            if engine in file.seconds and result.predicted.get(engine)
        }
        others = {name: r for name, r in ratios.items() if abs(r - 1) > LATENCY_GOAL}
        lines += [
            f"ONNX ({exporter}) takes {ratio:.3f} of the module on {engine}: {name}"
            for name, ratio in others.items()
        ]
        if ratios:
            inside = len(ratios) - len(others)
            lines.append(
                f"ONNX ({exporter}), {engine}: predicted within {100 * LATENCY_GOAL:.0f} % of the "
                f"module {_share(inside, len(ratios))}"
            )
    return lines


def _verdict(result: Result) -> str:
    if result.verdict == "different" and result.ours is not None and result.independent is not None:
        whole = result.independent + sum(result.missed.values())
        return f"different by {result.ours - whole:+,}"
    return result.verdict


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _time(value: float | None) -> str:
    return "" if value is None else f"{1e3 * value:.1f}"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.1f} %)" if whole else "")
