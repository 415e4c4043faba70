"""What design spaces take: an own space, millions of variants in bounded memory, a cluster."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import numpy as np

import costmodel as cm
from costmodel.ops import BatchNorm, Conv, Elementwise, Linear, Reshape
from costmodel.spaces import Space
from costmodel.spaces.evaluate import evaluate

from .errors import MeasuringError

PLATFORM = "gtx-1080-ti/paper"
OWN = 500
"""Structures of an own space that are predicted."""
CELLS = 800
"""Cells of NAS-Bench-201 that a cluster predicts."""
MANY = "resnet"
"""The space that is swept whole in one command: 17.8 million variants."""
_BLOCKS = 8
# ru_maxrss of a started process is at least that of the process that started it; VmHWM is its own.
_RUN = """
import re, sys
from pathlib import Path
from costmodel.cli import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\\s*(\\d+)", status)[1], file=sys.stderr)
"""


@dataclass(frozen=True)
class Figure:
    """A figure with a goal that is no time.

    Parameters
    ----------
    name : str
        What it is of.
    goal : float
        What it must be at most, or at least where ``at_least``.
    measure : callable
        Returns it.
    text : callable
        Says it with its unit.
    at_least : bool
        Whether more is better.
    """

    name: str
    goal: float
    measure: Callable[[], float]
    text: Callable[[float], str]
    at_least: bool = False

    def reached(self, value: float) -> bool:
        """Return whether ``value`` reaches the goal."""
        return value >= self.goal if self.at_least else value <= self.goal


def figures() -> list[Figure]:
    """Return the figures of design spaces that are no times."""
    count = cm.find_space(MANY).count
    return [
        Figure(
            f"memory of one command that sweeps {count:,} variants into Parquet",
            1.0,
            _gigabytes,
            lambda v: f"{v:.2f} GB",
        ),
        Figure(
            f"{CELLS:,} cells of NAS-Bench-201 on Dask, two workers over one",
            1.5,
            _two_over_one,
            lambda v: f"{v:.2f} x",
            at_least=True,
        ),
    ]


def own_space() -> Space:
    """Return a space of 13,122 residual networks that differ in structure."""
    kernels = {f"kernel{i}": (1, 3, 5) for i in range(_BLOCKS)}
    return Space("own", _residual, {**kernels, "act": ("relu", "hard_swish")})


def sweep_own() -> None:
    """Predict some networks of the own space."""
    space = own_space()
    numbers = np.linspace(0, space.count - 1, OWN).astype(int)
    evaluate(space, cm.load_platform(PLATFORM), numbers, ("latency", "params"))


def _residual(act: str, **kernels: int) -> nx.DiGraph:
    b = cm.Builder("own")
    x = b.input((1, 3, 32, 32))
    x = b.add(BatchNorm(), b.add(Conv(32, (3, 3), padding=1), x))
    for i in range(_BLOCKS):
        with b.module(str(i)):
            k = kernels[f"kernel{i}"]
            y = b.add(BatchNorm(), b.add(Conv(32, (k, k), padding=k // 2), x))
            y = b.add(Elementwise(act), y)
            y = b.add(BatchNorm(), b.add(Conv(32, (3, 3), padding=1), y))
            x = b.add(Elementwise(act), b.add(Elementwise("add"), x, y))
    return b.finish(b.add(Linear(10), b.add(Reshape((1, 32 * 32 * 32)), x)))


def _gigabytes() -> float:
    """Return the peak memory of the command that sweeps a space into a file [GB]."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "all.parquet"
        command = [sys.executable, "-c", _RUN, "sweep", MANY, "-p", PLATFORM, "-o", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not file.exists():
            raise MeasuringError(f"the sweep failed: {done.stderr.strip()[-200:]}")
    return int(done.stderr.split()[-1]) / 1e6  # Linux counts kilobytes


def _two_over_one() -> float:
    """Return how many times as fast two workers of a cluster are as one [1]."""
    seconds = [_on_workers(n) for n in (1, 2)]
    return seconds[0] / seconds[1]


def _on_workers(count: int) -> float:
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError:
        raise MeasuringError(
            "a cluster needs the package distributed: pip install 'nn-costmodel[cluster]'"
        ) from None
    space = cm.find_space("nasbench201")
    with (
        warnings.catch_warnings(),
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")
        executor = client.get_executor(pure=False)
        parts = np.array_split(np.arange(0, space.count, space.count // CELLS), 16)
        platform = cm.load_platform(PLATFORM)
        for _ in range(2):  # the first time, workers import what they need
            start = time.perf_counter()
            for future in [executor.submit(evaluate, space, platform, part) for part in parts]:
                future.result()
        return time.perf_counter() - start
