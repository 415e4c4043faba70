"""Boards without measurements: priors from the other boards, leaving one board out at a time.

Networks of ncnn, MLPerf, Paddle-Lite and NAS-Bench-201 on CPUs; all rows of the board left out are
scored. Eager PyTorch is excluded, because it has its own priors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from costmodel.calibration.fit import fit
from costmodel.errors import DataError
from costmodel.platforms import load_platform

from . import mlperf, nasbench201, ncnn, paddle_lite
from .assumed import before, offsets
from .baselines import BASELINES
from .bench import MODEL, PRIORS, Bench, Guess, Score, scores_of
from .dataset import DeviceSet
from .hierarchy import Taught, known
from .levels import leaving_out, unseen, with_level
from .splits import Split

READERS: Mapping[str, Callable[[], list[DeviceSet]]] = {
    "ncnn": ncnn.device_sets,
    "mlperf": mlperf.device_sets,
    "paddle_lite": paddle_lite.device_sets,
    "nasbench201": nasbench201.device_sets,
}
MOST = 60
"""Number of networks of a set, in a fixed draw."""
NOT_TEACHING = {
    "xeon-e5-2686-v4": "a t2.medium, which is throttled once its credits are spent: the median is "
    "up to six times the least time",
    "rk3588/armnn": "four threads that no one pins: a system that saves power keeps them on LITTLE "
    "cores in small networks, which is its setting and not the engine's",
}
"""Boards, or boards under an engine, that are scored but excluded from the priors, and why."""
_OWN_PRIORS = "torch-eager"


def benches() -> dict[str, Bench]:
    """Return the sets of all CPUs that have a platform, by name."""
    found = {}
    for read in READERS.values():
        for rows in read():
            try:
                platform = load_platform(rows.platform, calibrated=False)
            except DataError:
                continue  # the command reports this when the set itself is scored
            if platform.hardware.kind == "cpu" and platform.runtime.name != _OWN_PRIORS:
                found[rows.name] = Bench.of(rows, MOST)
    return found


def teaching(sets: Mapping[str, Bench]) -> list[Bench]:
    """Return the sets whose boards contribute to the priors."""
    return [
        b
        for b in sets.values()
        if not {b.platform.hardware.name, b.platform.base} & NOT_TEACHING.keys()
    ]


def score_boards(sets: Mapping[str, Bench]) -> tuple[list[Score], dict[str, float]]:
    """Return the scores of every set, and the errors of speed-ups by threads.

    The priors come from the other boards. A speed-up is predicted from rows of one thread and
    scored separately for small and large kernels: networks whose mean kernel is shorter, or longer,
    than the median one.
    """
    teachers = teaching(sets)
    everything = known(teachers, before(), offsets())
    lessons = leaving_out(teachers, everything, before())
    scores: list[Score] = []
    facts: dict[str, float] = {}
    for board in dict.fromkeys(b.platform.hardware.name for b in sets.values()):
        if board not in lessons:
            lessons[board] = with_level(teachers, everything, before())
        lesson = lessons[board]
        own = {n: b for n, b in sets.items() if b.platform.hardware.name == board}
        for name, bench in own.items():
            rows = np.arange(len(bench.seconds))
            guesses = {
                MODEL: bench.predict(unseen(bench.platform, lesson, before()), rows),
                PRIORS: bench.predict(bench.platform, rows),
                "roofline": Guess(BASELINES["roofline"](bench.features, rows, bench.seconds)),
            }
            split = Split(np.array([], dtype=int), rows)
            scores += scores_of("boards", name, "board never measured", bench, [split], [guesses])
        facts |= _speedups(own, lesson)
    return scores, facts


def _speedups(own: Mapping[str, Bench], lesson: Taught) -> dict[str, float]:
    """Return the mean errors of the speed-ups of a board whose rows of one thread are fitted."""
    facts: dict[str, float] = {}
    for name, many in own.items():
        one = own.get(f"{name.rpartition(' x')[0]} x1")
        if many.platform.threads == 1 or one is None:
            continue
        fitted = fit(
            one.table, one.seconds, unseen(one.platform, lesson, before()), {}
        ).platform.fitted
        threads = replace(many.platform, fitted=fitted)
        mine = [one.names.index(n) for n in many.names if n in one.names]
        other = [i for i, n in enumerate(many.names) if n in one.names]
        alone = one.table.seconds(replace(one.platform, fitted=fitted), fitted.theta)[mine]
        predicted = alone / many.table.seconds(threads, fitted.theta)[other]
        measured = one.seconds[mine] / many.seconds[other]
        error = np.abs(predicted / measured - 1)
        size = one.seconds[mine] / one.table.kernels[mine]
        small = size < np.median(size)
        label = f"threads {name.removeprefix('ncnn ')}"
        facts |= {f"{label} small": float(error[small].mean())}
        facts |= {f"{label} large": float(error[~small].mean())}
    return facts
