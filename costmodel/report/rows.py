"""Rows of objects, for tables in notebooks and for pandas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from costmodel.calibration import Calibration
from costmodel.comparison import Comparison
from costmodel.counting.cost import Cost
from costmodel.counting.timeline import Timeline
from costmodel.errors import MissingPackageError
from costmodel.graph import OpGraph
from costmodel.guidelines import Advice
from costmodel.platforms import Platform
from costmodel.prediction import Prediction
from costmodel.report.collect import collect
from costmodel.report.document import kernel_fields
from costmodel.spaces.sweeping import Sweep

Rows = list[dict[str, Any]]


def of_graph(graph: OpGraph) -> Rows:
    """Return one row an operator: its costs."""
    return [asdict(operator) for operator in collect(graph).operators]


def of_prediction(prediction: Prediction) -> Rows:
    """Return one row a kernel: its time, term by term."""
    return [{**kernel_fields(k), "nodes": " ".join(k.kernel.nodes)} for k in prediction.kernels]


def of_platform(platform: Platform) -> Rows:
    """Return one row a parameter of the time model."""
    return [asdict(parameter) for parameter in platform.fitted.parameters]


def of_calibration(calibration: Calibration) -> Rows:
    """Return one row a fitted parameter, and whether the data determined it."""
    rows = of_platform(calibration.platform)
    for row in rows:
        row["determined"] = row["name"] not in calibration.undetermined
        row["at_bound"] = row["name"] in calibration.at_bounds
    return rows


def of_timeline(timeline: Timeline) -> Rows:
    """Return one row an operator: the memory in use while it runs."""
    return [
        {"operator": name, f"live_{timeline.unit}": live}
        for name, live in zip(timeline.steps, timeline.live, strict=True)
    ]


def of_cost(cost: Cost) -> Rows:
    """Return one row."""
    return [asdict(cost)]


def of_advice(advice: Advice) -> Rows:
    """Return one row a finding: what it changes and what that saves."""
    return [
        {
            "number": number,
            "guideline": f.rewrite.guideline,
            "title": f.rewrite.title,
            "saving_seconds": f.saving,
            "low_seconds": f.interval[0],
            "high_seconds": f.interval[1],
            "share": f.share,
            "same_function": f.rewrite.same_function,
            "multiply_adds_change": f.multiply_adds,
            "params_change": f.params,
            "mac_change_elements": f.mac,
            "layers": " ".join(f.rewrite.layers),
        }
        for number, f in enumerate(advice.findings, start=1)
    ]


def of_comparison(comparison: Comparison) -> Rows:
    """Return one row a network and platform."""
    rows = []
    for entry in comparison.entries:
        low, high = entry.prediction.interval or (None, None)
        rows.append(
            {
                "network": entry.network,
                "platform": entry.platform,
                "seconds": float(entry.prediction.seconds),
                "low_seconds": low,
                "high_seconds": high,
                "multiply_adds": entry.multiply_adds,
                "mac_elements": entry.mac,
                "params": entry.params,
            }
        )
    return rows


def of_sweep(sweep: Sweep) -> Rows:
    """Return one row a variant that was kept: its columns and its choices."""
    table = {name: values.tolist() for name, values in sweep.table().items()}
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


ROWS: dict[type, Callable[[Any], Rows]] = {
    OpGraph: of_graph,
    Prediction: of_prediction,
    Platform: of_platform,
    Calibration: of_calibration,
    Timeline: of_timeline,
    Cost: of_cost,
    Advice: of_advice,
    Comparison: of_comparison,
    Sweep: of_sweep,
}
"""Functions that return the rows of each class."""


def to_dataframe(thing: Any) -> Any:
    """Return a ``pandas.DataFrame`` of an object with rows: a graph, a prediction, a platform ...

    Raises
    ------
    MissingPackageError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingPackageError("to_dataframe needs pandas: pip install pandas") from None
    return pandas.DataFrame(ROWS[type(thing)](thing))
