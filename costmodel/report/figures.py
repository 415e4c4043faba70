"""The figures of a whole network as rows, which reports and pages show alike."""

from __future__ import annotations

from costmodel.report.collect import Report, Totals
from costmodel.report.text import QUOTIENTS, count, size


def total_rows(report: Report) -> list[tuple[str, str, str]]:
    """Return the figures of the whole network: name, value and remark."""
    t = report.totals
    least = "at least " if report.unknown else ""
    ratio = "" if t.mac_ratio is None else f"MAC is {t.mac_ratio:.3f} x that"
    rows = [
        ("multiply-adds", count(t.multiply_adds), f"{count(t.flops)} FLOPs, 2 each"),
        ("elementwise operations", count(t.elementwise), ""),
        ("MAC (memory access cost)", f"{count(t.mac)} elements", size(t.mac_bytes)),
        ("MAC lower bound", f"{count(round(t.mac_lower_bound))} elements", ratio),
        ("inputs, outputs, parameters", f"{count(t.io_lower_bound)} elements", "least traffic"),
        *(
            (
                f"through {size(b.size)} {b.name}",
                f"{count(round(b.elements))} elements",
                "least, not fused",
            )
            for b in t.cache_lower_bounds
        ),
        ("parameters", count(t.params), size(t.params_bytes)),
        *frozen(t),
        (
            "peak activation memory",
            f"{count(t.activation_memory)} elements",
            size(t.activation_bytes),
        ),
        ("intensity", _optional(t.intensity, " FLOP/B"), "nothing fused"),
        ("work", f"{count(t.work)} steps", ""),
        ("span", f"{count(t.span)} steps", f"{t.kernels_in_series} operators in series"),
        ("average parallelism", _optional(t.parallelism), "work / span"),
    ]
    return [(n, v if n in QUOTIENTS else least + v, note) for n, v, note in rows]


def frozen(totals: Totals) -> list[tuple[str, str, str]]:
    """Return the trainable parameters as a row, if some are known to be frozen."""
    t = totals
    if t.trainable_params is None or t.trainable_params == t.params:
        return []
    rest = f"{count(t.params - t.trainable_params)} frozen"
    return [("trainable parameters", count(t.trainable_params), rest)]


def _optional(value: float | None, unit: str = "") -> str:
    return "-" if value is None else count(float(f"{value:.4g}")) + unit
