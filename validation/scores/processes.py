"""Parallel processes for scores, each with one thread for linear algebra.

Threads of linear algebra that wait for each other on small matrices cost more than they save: two
processes with two each take up to four times the time of two with one.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that libraries of linear algebra read once, when they are loaded."""


@contextmanager
def pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Yield processes with one thread each, unless the user set other numbers.

    Parameters
    ----------
    processes : int
        Their number.
    """
    added = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        # Forked processes would have the threads of this one: its libraries are loaded.
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as found:
            yield found
    finally:
        for name in added:
            del os.environ[name]
