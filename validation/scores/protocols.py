"""How each data set is split, fitted and scored; one job a device, so that two run at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from validation.scores import deepbench, mlperf, nasbench201, ncnn, neusight, tophub
from validation.scores.baselines import BASELINES
from validation.scores.bench import MODEL, Bench, Guess, Score, scores_of, transferred
from validation.scores.dataset import DeviceSet
from validation.scores.paper_scores import score_paper
from validation.scores.splits import Split, draws, per_group

READERS: Mapping[str, Callable[[], list[DeviceSet]]] = {
    "nasbench201": nasbench201.device_sets,
    "neusight": neusight.device_sets,
    "deepbench": deepbench.device_sets,
    "tophub": tophub.device_sets,
    "ncnn": ncnn.device_sets,
    "mlperf": mlperf.device_sets,
}
SETS = ("paper", *READERS)
"""The data sets that can be scored."""
NETWORKS = 1000
"""Networks of a device of NAS-Bench-201 that take part, drawn once: figures are good to 0.002."""
MEASUREMENTS = 10
"""Measurements of each NAS-Bench-201 device that are fitted."""
PER_FAMILY = 200
"""Operators of each family that are fitted on a known GPU."""
_UNKNOWN = "never measured"
# For each GPU of the operator sets, the GPUs that teach it; never one with the same chip.
_TEACHERS = {
    "neusight v100-pcie-32gb": ("neusight t4", "neusight p100-pcie-16gb"),
    "neusight t4": ("neusight v100-pcie-32gb", "neusight p100-pcie-16gb"),
    "neusight p100-pcie-16gb": ("neusight v100-pcie-32gb", "neusight t4"),
}


@dataclass(frozen=True)
class Job:
    """What one process does at a time.

    Parameters
    ----------
    data, device : str
        Data set and device.
    draws : int
        Random splits of whole networks.
    """

    data: str
    device: str
    draws: int


@dataclass(frozen=True)
class Outcome:
    """What a job found.

    Parameters
    ----------
    scores : list of Score
        Figures.
    facts : mapping of str to float
        Further numbers that goals are about.
    """

    scores: list[Score]
    facts: dict[str, float] = field(default_factory=dict)


def jobs(data: str, count: int) -> list[Job]:
    """Return the jobs of a data set.

    Raises
    ------
    DataError
        If its files are not there.
    """
    names = ["gpu", "arm"] if data == "paper" else [s.name for s in _read(data)]
    if data == "neusight":
        names += [f"{name} {_UNKNOWN}" for name in _TEACHERS]
    return [Job(data, name, count) for name in names]


def run(job: Job) -> Outcome:
    """Do one job."""
    if job.data == "paper":
        return Outcome(*score_paper(job.device))
    if job.device.endswith(_UNKNOWN):
        return Outcome(_unknown(job.data, job.device.removesuffix(f" {_UNKNOWN}")))
    rows = _find(job.data, job.device)
    if job.data == "nasbench201":
        bench = Bench.of(rows, NETWORKS)
        splits = list(draws(len(bench.seconds), MEASUREMENTS, job.draws))
        how = f"{MEASUREMENTS} measurements, {job.draws} draws"
    elif job.data in ("ncnn", "mlperf"):
        bench = Bench.of(rows)
        count = max(1, job.draws // 4)
        splits = list(draws(len(bench.seconds), len(bench.seconds) // 2, count))
        how = f"half the networks, {count} draws"
    else:
        bench = Bench.of(rows)
        splits = [per_group(bench.groups, PER_FAMILY)]
        how = f"{PER_FAMILY} rows a family, at most half"
    device = job.device.removeprefix(f"{job.data} ")
    guesses = [bench.guesses(split) for split in splits]
    return Outcome(scores_of(job.data, device, how, bench, splits, guesses))


def _unknown(data: str, device: str) -> list[Score]:
    """Score a GPU of which nothing is known but the datasheet and what others taught."""
    own = Bench.of(_find(data, device))
    teachers = [Bench.of(_find(data, name)) for name in _TEACHERS[device]]
    learned = [b.fitted(per_group(b.groups, PER_FAMILY).fitted) for b in teachers]
    everything = np.arange(len(own.seconds))
    split = Split(np.array([], dtype=int), everything)
    guesses = {MODEL: own.predict(transferred(own.platform, learned), everything)}
    for name in ("roofline",):
        guesses[name] = Guess(BASELINES[name](own.features, everything, own.seconds))
    name = device.removeprefix(f"{data} ")
    return scores_of(data, name, "GPU never measured", own, [split], [guesses])


def _find(data: str, device: str) -> DeviceSet:
    return next(s for s in _read(data) if s.name == device)


@cache
def _read(data: str) -> list[DeviceSet]:
    return READERS[data]()
