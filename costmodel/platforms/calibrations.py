"""Calibrations by name: their location, and the closest one for a platform without its own.

A calibration was measured with the settings in the name of its platform. Its parameters also hold
for other settings, because they are shares of peaks and bandwidths, and times of single kernels:
for another dtype, mixed precision or layout, with or without transfers (whose time is a separate
term), and for another number of threads or other cores, for which the unexplained spread is that
of the priors.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from costmodel.reading import is_file
from costmodel.timing.fitted import (
    MEASURED_WITH,
    PRIOR_NETWORK_SPREAD,
    PRIOR_OPERATOR_SPREAD,
    Fitted,
)

Settings = Mapping[str, str]
"""All settings of a platform, by name."""


def calibration_folder() -> Path:
    """Return the folder of the user's calibrations.

    ``$COSTMODEL_HOME/calibrations``, by default under ``~/.local/share/costmodel``.
    """
    home = os.environ.get("COSTMODEL_HOME")
    base = Path(home) if home else Path.home() / ".local" / "share" / "costmodel"
    return base / "calibrations"


def calibration_file(platform: str) -> str:
    """Return the file name of the calibration of a platform.

    Examples
    --------
    >>> calibration_file("host/torch-eager?threads=2")
    'host--torch-eager--threads=2.toml'
    """
    return platform.replace("/", "--").replace("?", "--").replace("&", "--") + ".toml"


def find_calibration(platform: str) -> Path | None:
    """Return the calibration of a platform: the user's if it exists, else that of the package."""
    own = calibration_folder() / calibration_file(platform)
    if is_file(own):
        return own
    shipped = Path(str(resources.files("costmodel") / "calibrations" / calibration_file(platform)))
    return shipped if is_file(shipped) else None


def platform_names() -> list[str]:
    """Return the platforms that have a calibration, the user's and those of the package."""
    return sorted(_files())


def calibrations(base: str) -> list[tuple[Path, dict[str, str]]]:
    """Return each calibration of ``hardware/runtime`` with the settings in its file name."""
    found = []
    for name, file in sorted(_files().items()):
        own, _, query = name.partition("?")
        if own == base:
            parts = [part.partition("=") for part in query.split("&") if part]
            found.append((file, {key: value for key, _, value in parts}))
    return found


def _files() -> dict[str, Path]:
    """Return the file of each calibration by the name of its platform; the user's take priority."""
    found = {}
    for folder in (Path(str(resources.files("costmodel") / "calibrations")), calibration_folder()):
        if folder.is_dir():
            for file in folder.glob("*--*.toml"):
                hardware, runtime, *settings = file.stem.split("--")
                query = "?" + "&".join(settings) if settings else ""
                found[f"{hardware}/{runtime}{query}"] = file
    return found


def distance(wanted: Settings, measured: Settings) -> tuple[bool, float, bool, bool, bool]:
    """Return a comparable distance between the settings of a calibration and of a platform.

    Examples
    --------
    >>> one = {"threads": "1", "cores": "", "dtype": "", "amp": "", "layout": "", "transfers": "no"}
    >>> distance(one, {**one, "transfers": "yes"}) < distance(one, {**one, "threads": "2"})
    True
    """
    threads = abs(math.log(int(wanted["threads"]) / int(measured["threads"])))
    cores = wanted["cores"] != measured["cores"]
    other = [k for k in ("dtype", "amp", "layout") if wanted[k] != measured[k]]
    stated = any(measured[key] for key in other)
    return cores, threads, bool(other), stated, wanted != measured


def derived(fitted: Fitted, wanted: Settings, measured: Settings) -> Fitted:
    """Return a calibration for settings other than those it was measured with.

    Parameters
    ----------
    fitted : Fitted
        Its parameters.
    wanted, measured : mapping of str to str
        The settings of the platform, and those of the measurements.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> load_platform("gtx-1080-ti/paper?transfers=yes").fitted.basis
    '51 measurements with transfers=no'
    """
    # Networks may have any dtype if the platform states none.
    other = [k for k, v in measured.items() if v != wanted[k] and (v or k == "cores")]
    if not other:
        return fitted
    stated = ", ".join(f"{key}={measured[key] or 'all'}" for key in other)
    found = replace(fitted, provenance={**fitted.provenance, MEASURED_WITH: stated})
    if not {"threads", "cores"} & set(other):
        return found
    return replace(
        found,
        surfaces=(),
        operator_spread=max(fitted.operator_spread, PRIOR_OPERATOR_SPREAD),
        network_spread=max(fitted.network_spread, PRIOR_NETWORK_SPREAD),
    )
