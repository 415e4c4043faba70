"""The command ``speed``: durations on this machine, compared to the goals."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx
import numpy as np
from rich.console import Console
from rich.table import Table

import costmodel as cm
from costmodel.ops import Conv, Elementwise
from costmodel.spaces.evaluate import evaluate

from .space_speed import OWN, figures, own_space, sweep_own

OPERATORS = 1000
"""Operators of the graph whose metrics are timed."""
VARIANTS = 100_000
"""Widths of ShuffleNet v2 that are computed at once."""
ROWS = 1000
"""Operator measurements that are fitted."""
SWEPT = 65_536
"""Variants of ShuffleNet v2 that are swept."""
STRUCTURES = 250
"""Cells of NAS-Bench-201 that are swept."""
_PLATFORM = "gtx-1080-ti/paper"
_SLOWEST = "host/torch-eager"
"""The runtime with the slowest search for a closed form."""
_NOISE = 0.05
_SEED = 18


@dataclass(frozen=True)
class Task:
    """A task with a goal for its time.

    Parameters
    ----------
    name : str
        Description of the task.
    goal : float
        Time allowed. [s]
    run : callable
        Runs it once.
    repeats : int
        Number of runs; the fastest counts.
    """

    name: str
    goal: float
    run: Callable[[], object]
    repeats: int = 1


def speed() -> None:
    """Time all tasks with a goal, in one process on one core; measure memory and a cluster.

    For example:

    python -m validation speed
    """
    console = Console()
    table = Table(title="Speed on this machine")
    table.add_column("task")
    for heading in ("time", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("reached")
    with console.status("timing"):
        for task in tasks():
            seconds = best_of(task.run, task.repeats)
            reached = seconds <= task.goal
            cells = (task.name, _text(seconds), _text(task.goal), "yes" if reached else "no")
            table.add_row(*cells, style=None if reached else "yellow")
        for figure in figures():
            value = figure.measure()
            reached = figure.reached(value)
            said = "yes" if reached else "no"
            cells = (figure.name, figure.text(value), figure.text(figure.goal), said)
            table.add_row(*cells, style=None if reached else "yellow")
    console.print(table)


def best_of(run: Callable[[], object], repeats: int) -> float:
    """Return the shortest of ``repeats`` durations. [s]."""
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return min(durations)


def tasks() -> list[Task]:
    """Return the timed tasks; their inputs are made here, outside the timed part."""
    deep = chain(OPERATORS)
    hundred = chain(200)  # two operators a kernel
    rows = measurements(ROWS)
    n, s = cm.symbols("n s")
    return [
        Task(
            f"all metrics of a graph of {OPERATORS:,} operators", 0.006, lambda: _metrics(deep), 5
        ),
        Task(
            "ResNet-50 in closed form, batch and size symbolic",
            1.0,
            lambda: _flops_and_mac(cm.zoo.resnet50(size=s, batch=n)),
        ),
        Task(
            "latency of ResNet-50 in closed form, batch and size symbolic, on the slowest runtime",
            3.0,
            lambda: cm.latency(cm.zoo.resnet50(size=s, batch=n), _SLOWEST),
        ),
        Task(
            "latency of 50 residual convolutions in closed form, four symbols",
            3.0,
            lambda: cm.latency(residual(25), _PLATFORM),
        ),
        Task(
            "latency of ResNet-50 in closed form, batch and size symbolic",
            3.0,
            lambda: cm.latency(cm.zoo.resnet50(size=s, batch=n), _PLATFORM),
        ),
        Task("import costmodel in a fresh process", 0.55, _import, 3),
        Task(f"FLOPs and MAC of {VARIANTS:,} widths of ShuffleNet v2", 2.0, _many_costs),
        Task(
            f"latency of a network of {_kernels(hundred)} kernels, with its interval",
            0.003,
            lambda: cm.latency(hundred, _PLATFORM),
            5,
        ),
        Task(f"latency of {VARIANTS:,} widths of ShuffleNet v2", 1.0, _many_latencies),
        Task(
            f"sweep of {SWEPT:,} ShuffleNet v2 variants, latency and parameters",
            SWEPT / 200_000,
            _sweep_widths,
            3,
        ),
        Task(
            f"{STRUCTURES:,} cells of NAS-Bench-201, of 15,625 in 10 s",
            10.0 * STRUCTURES / 15_625,
            _sweep_cells,
        ),
        Task(
            f"{OWN:,} structures of an own space, {_operators()} operators each, of 10,000 in 15 s",
            15.0 * OWN / 10_000,
            sweep_own,
        ),
        Task(
            f"calibration on {len(rows):,} operator rows",
            20.0,
            lambda: cm.calibrate(rows, _PLATFORM),
        ),
    ]


def chain(operators: int) -> nx.DiGraph:
    """Return a network of residual blocks with ``operators`` operators."""
    b = cm.Builder("chain")
    x = b.input((1, 64, 28, 28))
    for _ in range(operators // 4):
        y = b.add(Elementwise("relu"), b.add(Conv(64, (3, 3), padding=1), x))
        x = b.add(Elementwise("add"), x, b.add(Conv(64, (1, 1)), y))
    return b.finish(x)


def residual(blocks: int) -> nx.DiGraph:
    """Return residual blocks of two convolutions; batch, size and both widths are symbols."""
    n, c, k, s = cm.symbols("n c k s")
    b = cm.Builder("residual")
    x = b.input((n, c, s, s))
    for _ in range(blocks):
        y = b.add(Elementwise("relu"), b.add(Conv(k, (3, 3), padding=1), x))
        x = b.add(Elementwise("add"), x, b.add(Conv(c, (1, 1)), y))
    return b.finish(x)


def measurements(rows: int) -> list[cm.Measurement]:
    """Return made-up measurements of pointwise convolutions: the prior with noise of 5 %."""
    random = np.random.default_rng(_SEED)
    found = []
    for _ in range(rows):
        size = int(random.choice([7, 14, 28, 56, 112]))
        c1, c2 = (int(2 ** random.uniform(4, 10)) for _ in range(2))
        spec = f"pointwise?h={size}&w={size}&c1={c1}&c2={c2}"
        seconds = cm.latency(cm.network(spec), _PLATFORM).seconds
        found.append(cm.Measurement(spec, float(seconds * np.exp(_NOISE * random.normal()))))
    return found


def _metrics(graph: nx.DiGraph) -> None:
    ready = cm.prepare(graph)
    metrics = (
        cm.multiply_adds,
        cm.mac,
        cm.params,
        cm.work,
        cm.span,
        cm.parallelism,
        cm.mac_lower_bound,
    )
    for metric in metrics:
        metric(ready)
    cm.activation_memory(ready)
    cm.intensity(ready)


def _flops_and_mac(graph: nx.DiGraph) -> None:
    ready = cm.prepare(graph)
    cm.multiply_adds(ready)
    cm.mac(ready)


def _import() -> None:
    subprocess.run([sys.executable, "-c", "import costmodel"], check=True)


def _variants() -> nx.DiGraph:
    """Return ShuffleNet v2 in 100,000 widths, with an even number of channels."""
    first = 2 * np.linspace(24, 244, VARIANTS).astype(int)
    return cm.zoo.shufflenet_v2(channels=(24, first, 2 * first, 4 * first, 1024))


def _many_costs() -> None:
    _flops_and_mac(_variants())


def _many_latencies() -> None:
    cm.latency(_variants(), _PLATFORM)


def _sweep_widths() -> None:
    space = cm.find_space("shufflenet_v2")
    numbers = np.arange(SWEPT) * 7 % space.alike  # all of one size
    evaluate(space, cm.load_platform(_PLATFORM), numbers, ("latency", "params"))


def _sweep_cells() -> None:
    space = cm.find_space("nasbench201")
    numbers = np.linspace(0, space.count - 1, STRUCTURES).astype(int)
    evaluate(space, cm.load_platform(_PLATFORM), numbers, ("latency",))


def _operators() -> int:
    return len(own_space().graph(0))


def _kernels(graph: nx.DiGraph) -> int:
    return len(cm.latency(graph, _PLATFORM).kernels)


def _text(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
