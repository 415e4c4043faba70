"""Checks for rows measured under other conditions than the platform's, or in other units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from costmodel.calibration.measurement import BadRow, Measurement
from costmodel.errors import DataError, listed
from costmodel.graph import Node
from costmodel.hardware import find_device
from costmodel.hardware.clusters import on_clusters
from costmodel.ops import Input
from costmodel.platforms import Platform

FAR = 100.0
"""Factor from the prior, in one direction on nearly all rows, that implies another unit.

Among the devices whose measurements are scored, the slowest takes 5 times its prior in the median
and 7 times at the 90 % quantile; the fastest takes a quarter in the median and an eighth at the 10
% quantile."""
NEARLY_ALL = 0.9
"""Share of such rows above which all rows count as being in another unit. [1]"""
MANY = 0.25
"""Share of such rows above which they count as being in another unit; fewer are outliers. [1]"""
POOR = 3.0
"""Factor that the median error of a fit must stay below."""
ENOUGH = 8
"""Fewest rows for judging a fit; fewer do not outweigh the prior knowledge."""
_UNITS = {3: "milliseconds", 6: "microseconds", 9: "nanoseconds"}
MODES = {
    "torch-eager": ("eager",),
    "torch-compile": ("compile",),
    "cuda-graphs": ("graphs",),
    "cuda-library": ("library",),
}
"""Modes of running, by the runtime that predicts for them; each has another host, or none."""
_RUNTIMES = {mode: runtime for runtime, modes in MODES.items() for mode in modes}
_HOSTLESS = "cuda-graphs"
"""The GPU runtime without a host."""
_NCHW, _NHWC = ("contiguous", "nchw"), ("channels_last", "nhwc")
"""Names of the layouts of images in rows."""
_DEVICES = {"cpu": ("cpu",), "gpu": ("cuda", "gpu")}


def check_possible(seconds: np.ndarray, bound: np.ndarray) -> None:
    """Reject times below the reach of the hardware with any software, such as times in minutes.

    Parameters
    ----------
    seconds, bound : ndarray
        Measured time and least time of the hardware for each row. [s]

    Raises
    ------
    DataError
        If nearly all of at least three rows take less than half of that: bounds are of the
        datasheet.

    Examples
    --------
    >>> check_possible(np.array([0.001] * 3), np.array([0.02] * 3))
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: the times are about 20 times as short as this hardware can reach ...
    """
    if len(seconds) >= 3 and np.mean(2 * seconds < bound) >= NEARLY_ALL:
        short = _times(float(np.median(bound / seconds)))
        raise DataError(
            f"the times are about {short} times as short as this hardware can reach "
            f"({len(seconds)} rows): are they seconds, and of it? If so: --as-is (as_is=True)"
        )


def check_fit(residuals: np.ndarray) -> None:
    """Reject rows that no parameters of the hardware fit.

    Parameters
    ----------
    residuals : ndarray
        Log of predicted over measured after the fit, for each row. [1]

    Raises
    ------
    DataError
        If half of at least :data:`ENOUGH` rows are off by :data:`POOR` or more.

    Examples
    --------
    >>> check_fit(np.array([0.1, -0.2, 0.05]))
    """
    middle = math.exp(min(700.0, float(np.median(np.abs(residuals)))))
    if len(residuals) >= ENOUGH and middle >= POOR:
        raise DataError(
            f"nothing fits these rows: half of {len(residuals)} predictions are off by a factor "
            f"of {middle:.2g}: are they seconds, of this hardware? If so: --as-is (as_is=True)"
        )


def check_conditions(measurements: Sequence[Measurement], platform: Platform) -> list[BadRow]:
    """Return the rows with another platform or other threads, cores, dtype, amp, layout or mode.

    Only stated conditions are checked: the columns ``platform``, ``threads`` and ``dtype``, and
    ``layout``, ``cache``, ``mode`` and ``device`` as ``costmodel measure`` writes them. On a GPU
    ``host`` says whether its time is ``in`` the row or ``out`` of it. Operands may be ``cold``
    where ``between`` says by how many bytes.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> rows = [Measurement("shufflenet_v2", 0.1, threads=2, row=7)]
    >>> check_conditions(rows, load_platform("raspberry-pi-4/ncnn"))
    [BadRow(row=7, reason='threads is 2, but the platform has 1: take raspberry-pi-4/...threads=2')]
    """
    return [
        BadRow(m.row or number, reason)
        for number, m in enumerate(measurements, start=2)
        if (reason := next(_reasons(m, platform), ""))
    ]


def _reasons(m: Measurement, platform: Platform) -> Iterator[str]:
    base, _, query = m.platform.partition("?")
    own = platform.name.partition("?")[0]
    if base and _base(base) != own:
        yield f"platform {m.platform!r} is not {own!r}"
    settings = dict(parse_qsl(query))
    usual = "yes" if platform.runtime.transfers else "no"
    if base and settings.get("transfers", usual) != platform.settings["transfers"]:
        yield (
            f"transfers are {settings.get('transfers', usual)}, but the platform's are "
            f"{platform.settings['transfers']}: take {m.platform}"
        )
    threads = settings.get("threads") or (str(m.threads) if m.threads else "")
    if platform.hardware.kind == "cpu" and threads not in ("", str(platform.threads)):
        yield (
            f"threads is {threads}, but the platform has {platform.threads}: take "
            f"{own}?threads={threads}"
        )
    if cores := settings.get("cores", ""):
        # By the names of the device's clusters; unknown ones are rejected as for a platform.
        stated = on_clusters(platform.hardware, cores)[1]
        if stated != platform.cores:
            yield (
                f"cores are {cores}, but the platform's are {platform.cores or 'all'}: take "
                f"{m.platform}"
            )
    dtype, wanted = settings.get("dtype") or m.dtype, platform.dtype or _dtype_of(m)
    if dtype not in ("", wanted) and isinstance(m.network, str):
        yield f"dtype is {dtype}, but the platform has {wanted}: take {own}?dtype={dtype}"
    if settings.get("amp", platform.amp) != platform.amp:
        has = platform.amp or "none"
        yield f"amp is {settings['amp']}, but the platform has {has}: take {m.platform}"
    extra = {"layout": settings.get("layout", ""), **m.extra}
    for column, allowed in (
        ("layout", _layouts(platform)),
        ("cache", ("warm", "cold") if m.between else ("warm",)),
        ("mode", MODES.get(platform.runtime.name)),
        ("host", _hosts(platform)),
        ("device", _DEVICES.get(platform.hardware.kind)),
    ):
        stated = extra.get(column, "").strip().lower()
        if stated and allowed is not None and stated not in allowed:
            yield (
                f"{column} is {extra[column].strip()}, but the platform's is "
                f"{' or '.join(allowed)}{_instead(column, stated, platform)}"
            )


def _base(written: str) -> str:
    """Return ``hardware/runtime`` by their names for any spelling or file in a row."""
    hardware, slash, runtime = written.rpartition("/")
    if hardware.endswith(".toml"):
        hardware = Path(hardware).stem
    return f"{find_device(hardware) or hardware}{slash}{runtime.removesuffix('.toml')}"


def _dtype_of(m: Measurement) -> str:
    """Return the dtype that the text of a network states, else the default."""
    query = m.network.partition("?")[2] if isinstance(m.network, str) else ""
    return dict(parse_qsl(query)).get("dtype", "float32")


def check_network(m: Measurement, nodes: Sequence[Node], platform: Platform) -> None:
    """Reject a row that contradicts its network, or whose network has open sizes.

    Parameters
    ----------
    m : Measurement
        The row.
    nodes : sequence of Node
        Its network, in order.
    platform : Platform
        What was measured.

    Raises
    ------
    DataError
        If a size is open, or the batch or the dtype of the row is not that of the network.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.counting.subject import nodes_of
    >>> from costmodel.platforms import load_platform
    >>> graph = zoo.resnet18()
    >>> row = Measurement(graph, 0.02, batch=8)
    >>> check_network(row, nodes_of(graph), load_platform("raspberry-pi-4/ncnn"))
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: batch is 8, but the first input of resnet18 has 1
    """
    tensors = [t for node in nodes for t in (*node.inputs, *node.outputs)]
    unknown = {str(d) for t in tensors for d in t.shape if not isinstance(d, int)}
    if unknown:
        raise DataError(f"{m.name}: its sizes must be numbers; open are {listed(sorted(unknown))}")
    first = next((n.outputs[0] for n in nodes if isinstance(n.op, Input)), None)
    is_graph = not isinstance(m.network, str)  # the first size of an operator is not always a batch
    if is_graph and m.batch and first is not None and first.shape[:1] not in ((), (m.batch,)):
        raise DataError(f"batch is {m.batch}, but the first input of {m.name} has {first.shape[0]}")
    own = {t.dtype for t in tensors}
    if m.dtype and not platform.dtype and own and m.dtype not in own:
        raise DataError(
            f"dtype is {m.dtype}, but {m.name} is in {', '.join(sorted(own))}: convert it, or take "
            f"{platform.base}?dtype={m.dtype}"
        )
    if m.dtype and platform.dtype and m.dtype != platform.dtype:
        raise DataError(
            f"dtype is {m.dtype}, but the platform has {platform.dtype}: take "
            f"{platform.base}?dtype={m.dtype}"
        )


def _hosts(platform: Platform) -> tuple[str, ...] | None:
    """Return the valid values of ``host`` in a row; None on a CPU, which is the host."""
    if platform.hardware.kind == "cpu":
        return None
    return ("out",) if platform.runtime.name == _HOSTLESS else ("in",)


def _layouts(platform: Platform) -> tuple[str, ...] | None:
    """Return the valid values of ``layout`` in a row; None if the runtime turns any images over."""
    rules = platform.rules
    if not rules.layouts:
        return ("contiguous", "nchw", "nhwc")  # determined by the runtime, which has only one
    if not rules.layouts_apply(platform.hardware.kind):
        return _NCHW
    if len(rules.layouts) == 1:
        return None
    return _NHWC if rules.layout == "nhwc" else _NCHW


def _instead(column: str, stated: str, platform: Platform) -> str:
    """Return the platform that predicts for the conditions of a row, if there is one."""
    chosen = platform.rules.layouts_apply(platform.hardware.kind)
    if column == "layout" and chosen and stated in (*_NCHW, *_NHWC):
        return f": take {platform.base}?layout={'nhwc' if stated in _NHWC else 'nchw'}"
    known = _RUNTIMES if column == "mode" else {"out": _HOSTLESS} if column == "host" else {}
    return f": take {platform.hardware.name}/{known[stated]}" if stated in known else ""


def check_units(
    seconds: np.ndarray, prior: np.ndarray, numbers: Sequence[int] | None = None
) -> None:
    """Reject times that differ so much from the prior that they must be in another unit.

    Parameters
    ----------
    seconds, prior : ndarray
        Measured time and time with the priors of the platform, for each row. [s]
    numbers : sequence of int, optional
        Row numbers in the file, for the message; by default those of a table with a header.

    Raises
    ------
    DataError
        If nearly all rows are :data:`FAR` times slower, or nearly all as much faster, or if many
        are and the others are not, which means mixed units.

    Examples
    --------
    >>> check_units(np.array([3.1, 9.8]), np.array([0.003, 0.007]))
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: the times are about 1,200 times as long as ...
    """
    off = np.log10(seconds / prior)
    for sign, word in ((1, "long"), (-1, "short")):
        far = sign * off >= math.log10(FAR)
        if np.mean(far) < MANY:
            continue
        if np.mean(far) < NEARLY_ALL:
            rows = np.flatnonzero(far).tolist()
            where = [numbers[i] if numbers is not None else i + 2 for i in rows]
            times = _times(10 ** float(np.median(np.abs(off[rows]))))
            raise DataError(
                f"{len(rows)} of {len(off)} rows are about {times} times as {word} as expected: "
                f"are the units mixed (rows {listed(where, 3)})? If not: --as-is (as_is=True)"
            )
        middle = abs(float(np.median(off)))
        unit = _UNITS[min(_UNITS, key=lambda power: abs(power - middle))]
        guess = f"are they {unit}" if sign > 0 else "were they divided once too often"
        raise DataError(
            f"the times are about {_times(10**middle)} times as {word} as this hardware takes "
            f"({len(off)} rows): {guess}? If seconds: --as-is (as_is=True)"
        )


def _times(factor: float) -> str:
    """Return a factor of two digits: 1,200 or 1.2e+12."""
    rounded = float(f"{factor:.2g}")
    return f"{rounded:,.0f}" if rounded < 1e10 else f"{rounded:g}"
