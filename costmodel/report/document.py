"""Reports for programs: JSON by the published schema (``schema.json``), and CSV."""

from __future__ import annotations

import csv
import io
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from costmodel.prediction import LABEL
from costmodel.report.collect import Report
from costmodel.report.text import cell

if TYPE_CHECKING:
    from costmodel.prediction import KernelTime, Prediction

SCHEMA = 1
"""Version of all JSON documents of the command line, raised when one changes."""

_OPERATOR_COLUMNS = (
    "name",
    "operator",
    "module",
    "shape",
    "multiply_adds",
    "elementwise_operations",
    "mac_elements",
    "mac_bytes",
    "params",
)
_KERNEL_COLUMNS = (
    "name",
    "kind",
    "nodes",
    "seconds",
    "launch_seconds",
    "compute_seconds",
    "memory_seconds",
    "passes_seconds",
    "learned_seconds",
    "residual_seconds",
    "host_seconds",
    "waits_for",
    "bound_seconds",
    "multiply_adds",
    "elementwise_operations",
    "moved_bytes",
)


def schema() -> dict[str, Any]:
    """Return the JSON schema that every document of the command line follows.

    Examples
    --------
    >>> schema()["$schema"]
    'https://json-schema.org/draft/2020-12/schema'
    """
    text = (resources.files(__package__) / "schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(kind: str, /, **fields: Any) -> dict[str, Any]:
    """Return a document of one kind (``"report"``, ``"formula"`` ...) with its schema version.

    Examples
    --------
    >>> document("formula", network="pointwise")["format"]
    'costmodel-formula'
    """
    return {"format": f"costmodel-{kind}", "schema": SCHEMA, **fields}


def to_json(content: dict[str, Any]) -> str:
    """Return a document as text."""
    return json.dumps(content, indent=1, allow_nan=False)


def report_document(report: Report) -> dict[str, Any]:
    """Return a report as a document of exact figures; units are in the names.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.report import collect
    >>> report_document(collect(zoo.pointwise(56, 56, 128, 128)))["totals"]["mac_elements"]
    819200
    """
    return document(
        "report",
        network=report.network,
        coverage=report.coverage,
        unknown_operators=list(report.unknown),
        notes=list(report.notes),
        totals=_totals(report),
        modules=[
            {
                "module": m.module,
                "operators": m.operators,
                "multiply_adds": int(m.cost.multiply_adds),
                "elementwise_operations": int(m.cost.elementwise),
                "mac_elements": int(m.cost.mac),
                "mac_bytes": int(m.cost.bytes),
                "predicted_seconds": report.module_seconds.get(m.module, 0.0)
                if report.prediction
                else None,
            }
            for m in report.modules
        ],
        operators=[
            dict(zip(_OPERATOR_COLUMNS, row, strict=True)) for row in _operator_rows(report)
        ],
        prediction=None if report.prediction is None else prediction_fields(report.prediction),
    )


def prediction_fields(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as plain JSON values."""
    return {
        "label": LABEL,
        "platform": prediction.platform,
        "seconds": float(prediction.seconds),
        "interval_seconds": list(prediction.interval) if prediction.interval else None,
        "level": prediction.level,
        "basis": prediction.basis,
        "bottleneck": prediction.bottleneck,
        "waits_seconds": prediction.waits(),
        "bound_seconds": float(prediction.bound_seconds),
        "device_seconds": float(prediction.device_seconds),
        "dispatch_seconds": float(prediction.dispatch),
        "transfer_seconds": float(prediction.transfer),
        "fixed_seconds": float(prediction.fixed),
        "kernels": [kernel_fields(k) for k in prediction.kernels],
    }


def to_csv(report: Report) -> str:
    """Return one row per operator, or one per kernel if there is a prediction.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.report import collect
    >>> to_csv(collect(zoo.pointwise(56, 56, 128, 128))).splitlines()[1]
    'conv,Conv,,"float32[1, 128, 56, 56]",51380224,0,819200,3276800,16384'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if report.prediction is None:
        writer.writerow(_OPERATOR_COLUMNS)
        writer.writerows(map(cell, row) for row in _operator_rows(report))
    else:
        writer.writerow(_KERNEL_COLUMNS)
        for k in report.prediction.kernels:
            row = {**kernel_fields(k), "nodes": " ".join(k.kernel.nodes)}
            writer.writerow([cell(row[name]) for name in _KERNEL_COLUMNS])
    return stream.getvalue()


def _totals(report: Report) -> dict[str, Any]:
    t = report.totals
    return {
        "operators": t.operators,
        "multiply_adds": t.multiply_adds,
        "flops": t.flops,
        "elementwise_operations": t.elementwise,
        "mac_elements": t.mac,
        "mac_bytes": t.mac_bytes,
        "mac_lower_bound_elements": t.mac_lower_bound,
        "mac_ratio": t.mac_ratio,
        "io_lower_bound_elements": t.io_lower_bound,
        "cache_lower_bounds": [
            {"name": b.name, "fast_memory_bytes": b.size, "elements": b.elements}
            for b in t.cache_lower_bounds
        ],
        "params": t.params,
        "params_bytes": t.params_bytes,
        "trainable_params": t.trainable_params,
        "activation_memory_elements": t.activation_memory,
        "activation_memory_bytes": t.activation_bytes,
        "intensity_flops_per_byte": t.intensity,
        "work_steps": t.work,
        "span_steps": t.span,
        "average_parallelism": t.parallelism,
        "kernels_in_series": t.kernels_in_series,
    }


def _operator_rows(report: Report) -> list[tuple[Any, ...]]:
    return [
        (
            o.name,
            o.operator,
            o.module,
            o.shape,
            o.multiply_adds,
            o.elementwise,
            o.mac,
            o.mac_bytes,
            o.params,
        )
        for o in report.operators
    ]


def kernel_fields(k: KernelTime) -> dict[str, Any]:
    """Return a kernel as plain JSON values."""
    return {
        "name": k.kernel.name,
        "kind": k.kernel.kind,
        "nodes": list(k.kernel.nodes),
        "seconds": float(k.seconds),
        "launch_seconds": float(k.terms.launch),
        "compute_seconds": float(k.terms.compute),
        "memory_seconds": float(k.terms.memory),
        "passes_seconds": float(k.terms.passes),
        "learned_seconds": float(k.terms.learned),
        "residual_seconds": float(k.terms.residual),
        "host_seconds": float(k.terms.host),
        "waits_for": k.waits_for,
        "bound_seconds": float(k.terms.bound),
        "multiply_adds": int(k.kernel.multiply_adds),
        "elementwise_operations": int(k.kernel.elementwise),
        "moved_bytes": int(k.kernel.bytes),
    }
