"""Split, fit and score of each data set, with one job per device so that two run in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np

from costmodel.errors import DataError
from costmodel.platforms import Platform, load_platform

from . import (
    boards,
    deepbench,
    mlperf,
    nasbench201,
    ncnn,
    neusight,
    own_gpu,
    paddle_lite,
    silicon,
    timm,
    tophub,
    transformer_layers,
)
from .baselines import BASELINES
from .bench import MODEL, PRIORS, Bench, Guess, Score, scores_of
from .dataset import DeviceSet
from .paper_scores import score_paper
from .splits import Split, beyond, by_site, draws, per_group
from .teachers import TEACHERS
from .transfer import transferred

READERS: Mapping[str, Callable[[], list[DeviceSet]]] = {
    "nasbench201": nasbench201.device_sets,
    "neusight": neusight.device_sets,
    "deepbench": deepbench.device_sets,
    "tophub": tophub.device_sets,
    "ncnn": ncnn.device_sets,
    "mlperf": mlperf.device_sets,
    "paddle_lite": paddle_lite.device_sets,
    "silicon": silicon.device_sets,
    "transformer_layers": transformer_layers.device_sets,
    "timm": timm.device_sets,
    "h200": partial(own_gpu.device_sets, "h200"),
    "h100": partial(own_gpu.device_sets, "h100"),
}
SETS = ("paper", *READERS, "boards")
"""The data sets that can be scored."""
NETWORKS = 1000
"""Networks per device of NAS-Bench-201, in a fixed draw; figures are accurate to 0.002."""
MEASUREMENTS = 10
"""Number of fitted measurements of a device in splits with few."""
PER_FAMILY = 200
"""Number of fitted operators per family on a known GPU."""
SITES = 1000
"""Operators per family with split sites, in a fixed draw."""
THIRD = 30
"""Number of fitted networks of timm, at most half of them."""
SMALL = 500
"""Maximum number of rows of a device whose families are split several times."""
FEW_DRAWS = 10
"""Maximum number of draws of few operators, which are averaged."""
NEVER = "never measured"


@dataclass(frozen=True)
class Job:
    """The task of one process.

    Parameters
    ----------
    data, device : str
        Data set and device.
    draws : int
        Random splits of whole networks.
    teachers : tuple of str
        Devices whose rows are fitted if none of this device are.
    """

    data: str
    device: str
    draws: int
    teachers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The result of a job.

    Parameters
    ----------
    scores : list of Score
        Figures.
    facts : mapping of str to float
        Further numbers for goals.
    """

    scores: list[Score]
    facts: dict[str, float] = field(default_factory=dict)


def jobs(data: str, count: int) -> tuple[list[Job], list[str]]:
    """Return the jobs of a data set, and one sentence for each part that is left out.

    Raises
    ------
    DataError
        If its files are not there.
    """
    if data == "paper":
        return [Job(data, name, count) for name in ("gpu", "arm")], []
    if data == "boards":
        return [Job(data, "all", count)], [
            f"{board} teaches no others: {why}" for board, why in boards.NOT_TEACHING.items()
        ]
    names, missing = [], mlperf.left_out() if data == "mlperf" else []
    for rows in _read(data):
        try:
            load_platform(rows.platform, calibrated=False)
            names.append(rows.name)
        except DataError as error:
            missing.append(f"{rows.name} is skipped, {len(rows.rows)} rows: {error}")
    found = [Job(data, name, count) for name in names]
    found += [
        Job(data, name, count, teachers)
        for name in names
        for teachers in TEACHERS.get(name, ())
        if set(teachers) <= set(names)
    ]
    return found, missing


def run(job: Job) -> Outcome:
    """Do one job."""
    if job.data == "paper":
        return Outcome(*score_paper(job.device))
    if job.data == "boards":
        return Outcome(*boards.score_boards(boards.benches()))
    if job.teachers:
        return Outcome(_unknown(job))
    rows = _find(job.data, job.device)
    bench = Bench.of(rows, _MOST.get(job.data))
    device = job.device.removeprefix(f"{job.data} ")
    scores = []
    for how, splits in _PROTOCOLS.get(job.data, _families)(bench, job.draws):
        guesses = [bench.guesses(split) for split in splits]
        scores += scores_of(job.data, device, how, bench, splits, guesses)
    if lessons := own_gpu.designed(job.device):
        scores += _designed(job.data, device, bench, Bench.of(lessons))
    return Outcome(scores)


Protocol = Iterator[tuple[str, Sequence[Split]]]
"""Descriptions of splits, with the splits."""


def _few(bench: Bench, count: int) -> Protocol:
    splits = list(draws(len(bench.seconds), MEASUREMENTS, count))
    yield f"{MEASUREMENTS} measurements, {count} draws", splits


def _few_and_half(bench: Bench, count: int) -> Protocol:
    yield from _few(bench, max(1, count // 4))
    yield from _half(bench, count)


def _half(bench: Bench, count: int) -> Protocol:
    few = max(1, count // 4)
    yield (
        f"half the networks, {few} draws",
        list(draws(len(bench.seconds), len(bench.seconds) // 2, few)),
    )


def _third(bench: Bench, count: int) -> Protocol:
    few = min(count, FEW_DRAWS)
    fitted = min(THIRD, len(bench.seconds) // 2)
    yield f"{fitted} networks, {few} draws", list(draws(len(bench.seconds), fitted, few))


def _families(bench: Bench, count: int) -> Protocol:
    # A handful of scored rows tells a method from another by chance: several draws are averaged.
    few = min(count, FEW_DRAWS) if len(bench.seconds) <= SMALL else 1
    how = f"{PER_FAMILY} rows a family, at most half"
    splits = [per_group(bench.groups, PER_FAMILY, draw) for draw in range(few)]
    yield how + (f", {few} draws" if few > 1 else ""), splits


def _sites(bench: Bench, count: int) -> Protocol:
    few = min(count, FEW_DRAWS)
    yield f"{MEASUREMENTS} rows, {few} draws", list(by_site(bench.sites, MEASUREMENTS, few))
    some = max(1, count // 4)
    yield f"{PER_FAMILY} rows, {some} draws", list(by_site(bench.sites, PER_FAMILY, some))
    size = bench.features.flops + bench.features.bytes
    yield f"{PER_FAMILY} rows, larger ones scored", [beyond(size, PER_FAMILY)]


_PROTOCOLS: Mapping[str, Callable[[Bench, int], Protocol]] = {
    "nasbench201": _few,
    "ncnn": _few_and_half,
    "mlperf": _half,
    "paddle_lite": _half,
    "silicon": _sites,
    "timm": _third,
}
_MOST: Mapping[str, int] = {"nasbench201": NETWORKS, "silicon": SITES}


def _unknown(job: Job) -> list[Score]:
    """Score a GPU with its datasheet and the fits to other GPUs only."""
    own = Bench.of(_find(job.data, job.device), _MOST.get(job.data))
    learned = []
    for name in job.teachers:
        bench = Bench.of(_find(job.data, name), _MOST.get(job.data))
        learned.append(bench.fitted(per_group(bench.groups, PER_FAMILY).fitted))
    everything = np.arange(len(own.seconds))
    split = Split(np.array([], dtype=int), everything)
    guesses = _with_nothing_fitted(own, transferred(own.platform, learned))
    taught = " + ".join(where.hardware.name for where in learned)
    name = job.device.removeprefix(f"{job.data} ")
    return scores_of(job.data, name, f"GPU {NEVER}: {taught}", own, [split], [guesses])


def _designed(data: str, device: str, own: Bench, lessons: Bench) -> list[Score]:
    """Score all rows after the calibration with the operators that it chooses itself."""
    fitted = len(lessons.seconds)
    everything = np.arange(len(own.seconds))
    split = Split(np.array([], dtype=int), everything)
    guesses = _with_nothing_fitted(own, lessons.fitted(np.arange(fitted)))
    how = f"{fitted} designed operators"
    found = scores_of(data, device, how, own, [split], [guesses])
    return [replace(score, fitted=fitted) for score in found]


def _with_nothing_fitted(own: Bench, platform: Platform) -> dict[str, Guess]:
    """Return what ``platform``, the priors and the roofline predict for all rows."""
    everything = np.arange(len(own.seconds))
    return {
        MODEL: own.predict(platform, everything),
        PRIORS: own.predict(own.platform, everything),
        "roofline": Guess(BASELINES["roofline"](own.features, everything, own.seconds)),
    }


def _find(data: str, device: str) -> DeviceSet:
    return next(s for s in _read(data) if s.name == device)


@cache
def _read(data: str) -> list[DeviceSet]:
    return READERS[data]()
