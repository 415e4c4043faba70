"""Measurement of the designed operators for ``costmodel calibrate --backend``.

The results are kept in a user's store, so that an interrupted run can resume.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from rich.console import Console

from costmodel.calibration.candidates import candidates
from costmodel.calibration.conditions import MODES
from costmodel.calibration.design import design
from costmodel.calibration.measurement import Measurement
from costmodel.platforms import Platform, calibration_file, calibration_folder, load_platform

from .backends import Backend, Settings, load_backend
from .errors import MeasuringError, StoreError
from .measuring.backend import Mode
from .measuring.campaign import Campaign
from .measuring.clock import Plan
from .measuring.options import confirmed_platform
from .measuring.running import run_or_exit
from .measuring.store import Store

MOST = 200
"""Operators measured at most."""
PLAN = Plan(precision=0.02, budget=0.75, warm_up=0.2, turn=0.05, rounds=10)
"""How each is timed; 200 take less than 10 minutes even where none gets precise."""
BETWEEN = 32_000_000
"""Bytes touched by other operators when timing as if inside a network. [byte]"""
_DTYPES = ("float32", "tf32", "float16", "bfloat16")


def measure_design(
    backend: str, platform: str | None = None, plan: Plan = PLAN
) -> tuple[str, list[Measurement], dict[str, str]]:
    """Measure the operators that determine a platform best, most informative first.

    Parameters
    ----------
    backend : str
        What runs them, as in :func:`validation.backends.load_backend`.
    platform : str, optional
        What is calibrated; its threads, dtype, runtime and kind of device decide how the operators
        are run. By default the backend's own platform.
    plan : Plan
        How exactly and how long each is measured.

    Returns
    -------
    tuple
        The name of the platform, the rows, and what they are (for the calibration's provenance).

    Raises
    ------
    MeasuringError
        If the backend has no times, or runs none of the operators.
    """
    console = Console(stderr=True)
    runner = load_backend(backend)
    if runner.label == "emulated":
        raise MeasuringError(f"{backend} has no latency, so that nothing can be calibrated on it")
    where = load_platform(platform or runner.platform(Settings()), calibrated=False)
    confirmed_platform(where.name, runner, settings_of(where))
    specs = design(where, min(MOST, len(candidates(where.hardware.kind))))
    campaigns = list(_campaigns(tuple(specs), runner, where, plan))
    with Store(_store_path(where)) as store:
        if not any(campaign.missing(store) for campaign in campaigns):
            console.print(f"nothing is measured anew: remove {store.path} to start again")
        for campaign in campaigns:
            run_or_exit(campaign, store, console)
        rows = store.to_measurements({c.key(spec) for c in campaigns for spec in specs})
        left_out = len(campaigns[0].missing(store))
    if not rows:
        raise MeasuringError(f"{backend} could run none of the {len(specs)} operators")
    console.print(
        f"{runner.label}: {len(specs) - left_out} operators on {runner.name}"
        + (", each again and again, and among others" if len(campaigns) > 1 else "")
        + (f", without {left_out} that it cannot run" if left_out else "")
    )
    return where.name, rows, _provenance(runner, campaigns[0].settings, len(rows))


def _campaigns(
    specs: tuple[str, ...], runner: Backend, where: Platform, plan: Plan
) -> Iterator[Campaign]:
    """Yield how the operators are measured: repeated, and among others where that can be done."""
    settings = settings_of(where)
    yield Campaign(specs, runner, settings, plan, platform=where.name)
    if runner.among_others and settings.device == "cpu":
        among = replace(settings, between=BETWEEN)
        yield Campaign(specs, runner, among, plan, platform=where.name)


def settings_of(platform: Platform) -> Settings:
    """Return how a backend has to run networks so that it is ``platform``.

    Raises
    ------
    MeasuringError
        If nothing is measured in its dtype.

    Examples
    --------
    >>> settings_of(load_platform("raspberry-pi-4/torch-compile?threads=2")).mode
    'compile'
    >>> settings_of(load_platform("h100-sxm/cuda-graphs")).mode
    'graphs'
    """
    dtype = platform.dtype or "float32"
    if dtype not in _DTYPES:
        raise MeasuringError(
            f"{platform.name}: operators are measured in {', '.join(_DTYPES)}, not in {dtype}"
        )
    return Settings(
        device="cuda" if platform.hardware.kind == "gpu" else "cpu",
        mode=_mode(platform),
        layout="channels_last" if platform.settings["layout"] == "nhwc" else "contiguous",
        dtype=dtype,  # type: ignore[arg-type]
        threads=platform.threads,
    )


def _mode(platform: Platform) -> Mode:
    """Return the mode that its runtime stands for; engines of their own have none but "eager"."""
    (mode,) = MODES.get(platform.runtime.name, ("eager",))
    if mode not in get_args(Mode):
        raise MeasuringError(f"{platform.name}: nothing here runs operators in mode {mode}")
    return cast("Mode", mode)


def _store_path(platform: Platform) -> Path:
    """Return the store of a platform, under the folder that calibrations are kept in."""
    folder = calibration_folder().parent / "measurements"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}") from None
    name = calibration_file(platform.name).removesuffix(".toml")
    return folder / f"{name}.jsonl"


def _provenance(backend: Backend, settings: Settings, rows: int) -> dict[str, str]:
    host = backend.describe(settings)
    kept = ("cpu", "gpu", "cores", "governor", "system", "torch", "parameters")
    return {
        "data": f"{rows} times of single operators, {backend.label} by costmodel calibrate",
        "backend": backend.name,
        **{name: host[name] for name in kept if name in host},
    }
