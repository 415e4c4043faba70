"""The command ``neon-priors``: priors of the NEON kernels, from simulated operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from costmodel.calibration.candidates import candidates
from costmodel.errors import CostModelError
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import tabulate
from costmodel.specs import network

from ..arm.simulator.core import load_core
from ..arm.simulator.distinct import simulate_distinct
from ..arm.translate.lower import lower
from ..arm.translate.reuse import reuse_memory
from . import ncnn
from .assumed import before
from .bench import Bench
from .command import wide_console
from .dataset import DeviceSet, Row
from .hierarchy import NORMAL, Taught, known, taught
from .levels import unseen
from .paper_tables import TABLES, cells
from .priors import write_engine

CORES = ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1")
ENGINE = "neon"
UNLIKE = 0.2
"""Ratios of simulated to measured times: the paper's and ncnn's. [1]"""
_EVERY = 5  # operator of the design for calibrations
_NETWORKS = (
    "shufflenet_v2?width=0.5&size=64",
    "mobilenet_v2?width=0.25&size=64",
    "squeezenet?size=64",
)
_SOURCE = (
    "python -m validation neon-priors: mean of fits to operators and small networks simulated on "
    "{boards} cores (cortex-a53, -a57, -a72, -a76, neoverse-n1), of which {seen:.1f} determine it; "
    "simulated, none measured; spread between cores and of simulated from measured times{more}"
)


def neon_priors(
    write: Annotated[
        bool, typer.Option("--write", help="Also write them into the runtime neon.")
    ] = False,
) -> None:
    """Fit the parameters of neon to operators simulated on five cores, and print its predictions.

    Nothing is fitted to measured times. Before and after are compared with the ARM columns of the
    ShuffleNet V2 paper and with times that ncnn publishes of one thread: of other kernels, on real
    boards. For example:

    python -m validation neon-priors
    """
    benches = [Bench.of(simulated(core)) for core in CORES]
    lesson = taught(known(benches, before()), before())
    console = wide_console()
    console.print(_table(lesson))
    console.print(_compared(lesson))
    if write:
        apart = np.hypot(lesson.between, UNLIKE / NORMAL)
        write_engine(ENGINE, replace(lesson, between=apart), len(CORES), _SOURCE)
        console.print(f"written to the runtime {ENGINE}", highlight=False)


def simulated(core: str, every: int = _EVERY) -> DeviceSet:
    """Return operators and small networks with the times that a core takes for them."""
    rows = []
    for spec in (*candidates()[::every], *_NETWORKS):
        try:
            program = reuse_memory(lower(network(spec)))
        except CostModelError:
            continue  # it has no kernel
        if program.calls:
            rows.append(Row(spec, simulate_distinct(program, core, warm=True).seconds))
    return DeviceSet(f"simulated {core}", f"{load_core(core).device}/{ENGINE}", tuple(rows))


def _table(lesson: Taught) -> Table:
    table = Table(title="Parameters of the NEON kernels, from simulated times")
    for heading in ("parameter", "before", "simulated", "between cores x", "determined by"):
        table.add_column(heading, justify="left" if heading == "parameter" else "right")
    for j, p in enumerate(before()):
        found = np.exp(lesson.engines[ENGINE][j]), np.exp(lesson.between[j])
        row = (f"{p.value:.3g}", f"{found[0]:.3g}", f"{found[1]:.2f}")
        table.add_row(p.name, *row, f"{lesson.seen[ENGINE][j]:.1f}")
    return table


def measured() -> list[DeviceSet]:
    """Return what is printed of other kernels on boards, one thread, under the name of neon."""
    printed = cells("arm", TABLES)
    rows = tuple(Row(cell.network, cell.seconds) for cell in printed)
    sets = [DeviceSet("paper, Tables 1-4", f"snapdragon-810/{ENGINE}", rows)]
    for one in ncnn.device_sets():
        device, _, engine = one.platform.partition("/")
        if engine == "ncnn?threads=1" and "float16" not in _dtypes(one.graphs):
            sets.append(replace(one, platform=f"{device}/{ENGINE}"))
    return sets


def _dtypes(graphs: Mapping[str, Any]) -> set[str]:
    outputs = (outs for graph in graphs.values() for _, outs in graph.nodes(data="outputs"))
    return {tensor.dtype for outs in outputs for tensor in outs}


def _compared(lesson: Taught) -> Table:
    table = Table(title=f"{ENGINE} against measured times of other kernels")
    for heading in ("set", "rows", "median ratio before", "after", "MAPE before", "after"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for rows in measured():
        platform = load_platform(rows.platform, calibrated=False)
        graphs = [rows.graph(row) for row in rows.rows]
        seconds = np.array([row.seconds for row in rows.rows])
        shared = tabulate(graphs, platform)
        ratios = [shared.seconds(p, p.fitted.theta) / seconds for p in _two(platform, lesson)]
        middle = [f"{np.median(ratio):.2f}" for ratio in ratios]
        mape = [f"{100 * np.mean(np.abs(ratio - 1)):.1f} %" for ratio in ratios]
        table.add_row(rows.name, str(len(seconds)), *middle, *mape)
    return table


def _two(platform: Platform, lesson: Taught) -> Sequence[Platform]:
    return platform, unseen(platform, lesson, before())
