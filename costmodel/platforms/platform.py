"""Platforms: hardware + runtime (+ calibration); latencies are predicted for a platform.

The name of a platform is ``hardware/runtime``, with settings after a question mark:
``raspberry-pi-4/ncnn?threads=4``, ``snapdragon-835/ncnn?cores=cortex-a53``,
``rtx-3090/torch-eager?dtype=float16``. Either part may be the path of a user's TOML file:
``raspberry-pi-4/mine.toml``. A platform may also be a file written by ``costmodel calibrate``,
optionally followed by other settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from costmodel.errors import DataError, listed
from costmodel.hardware import Hardware, find_device, load_hardware
from costmodel.hardware.clusters import on_clusters
from costmodel.platforms.calibrations import (
    calibrations,
    derived,
    distance,
    find_calibration,
)
from costmodel.platforms.runs import TOLD, described, no_runtime, runs_on, runtimes_for
from costmodel.platforms.settings import (
    KINDS,
    NO_THREADS,
    amp_of,
    dtype_of,
    layout_of,
    parsed,
    threads_of,
    yes,
)
from costmodel.reading import MAX_TOML_BYTES, is_file, read_text
from costmodel.runtimes import Runtime, load_runtime
from costmodel.runtimes.runtime import INSTRUCTION_SETS
from costmodel.timing.fitted import Fitted, from_toml
from costmodel.timing.multipliers import multipliers
from costmodel.timing.parameters import Parameter, adjusted, priors


@dataclass(frozen=True)
class Platform:
    """Hardware, runtime and the parameters of the time model.

    Parameters
    ----------
    hardware : Hardware
        Facts of the device.
    runtime : Runtime
        How networks become kernels.
    threads : int
        CPU cores used; a GPU always uses all its units.
    dtype : str
        Dtype that every floating-point tensor of a network is converted to; ``""`` for none.
    fitted : Fitted
        Parameters, their covariance and the residuals.
    transfers : bool
        Whether inputs and outputs are moved between host and device within the time.
    amp : str
        Dtype of automatic mixed precision (:mod:`costmodel.kernels.autocast`); ``""`` for none.
    layout : {"", "nchw", "nhwc"}
        The layout of images between kernels; ``""`` for that of the runtime.
    cores : str
        The clusters of a CPU that threads are kept on (:mod:`costmodel.hardware.clusters`), ``""``
        for all; ``hardware`` holds these alone.
    """

    hardware: Hardware
    runtime: Runtime
    threads: int
    dtype: str
    fitted: Fitted
    transfers: bool
    amp: str
    layout: str
    cores: str

    def __repr__(self) -> str:
        return f"<Platform {self.name}, from {self.fitted.basis}>"

    @property
    def rules(self) -> Runtime:
        """The rules of the runtime, as its settings change them."""
        if not self.layout:
            return self.runtime
        # cuDNN does the depthwise convolutions of NHWC images, too.
        own = self.runtime.own_depthwise if self.layout == "nchw" else ()
        return replace(self.runtime, layout=self.layout, own_depthwise=own)

    @property
    def base(self) -> str:
        """``hardware/runtime``."""
        return f"{self.hardware.name}/{self.runtime.name}"

    @property
    def settings(self) -> dict[str, str]:
        """All settings by name."""
        return {
            "threads": str(self.threads),
            "cores": self.cores,
            "dtype": self.dtype,
            "amp": self.amp,
            "layout": self.layout,
            "transfers": yes(self.transfers),
        }

    @property
    def name(self) -> str:
        """``hardware/runtime?settings``."""
        usual = {
            "threads": str(NO_THREADS),
            "cores": "",
            "dtype": "",
            "amp": "",
            "layout": "",
            "transfers": yes(self.runtime.transfers),
        }
        stated = [f"{k}={v}" for k, v in self.settings.items() if v != usual[k]]
        return self.base + ("?" + "&".join(stated) if stated else "")


def load_platform(name: str | Platform, calibrated: bool = True) -> Platform:
    """Return a platform by name or from a calibration file.

    Parameters
    ----------
    name : str or Platform
        ``hardware/runtime?settings`` or a TOML file.
    calibrated : bool
        Whether to use a calibration of the platform, if there is one; otherwise priors.

    Raises
    ------
    DataError
        If a part is unknown; lists the known ones.

    Examples
    --------
    >>> load_platform("gtx-1080-ti/paper").hardware.units
    28
    """
    if isinstance(name, Platform):
        return name
    if not isinstance(name, str):
        raise DataError(
            f"a platform must be its name, such as 'gtx-1080-ti/paper', or a Platform, got "
            f"{type(name).__name__}"
        )
    base, _, query = name.partition("?")
    hardware_name, runtime_name = _parts(base)
    if base.endswith(".toml") and (not hardware_name or is_file(base)):
        return _with_settings(_from_file(Path(base)), name, query)
    if "/" not in base:
        raise DataError(no_runtime(base))
    platform = _named(hardware_name, runtime_name, parsed(name, query))
    return _calibrated(platform) if calibrated else platform


def _calibrated(platform: Platform) -> Platform:
    """Return ``platform`` with its calibration, or the one with the closest settings."""
    file, measured = find_calibration(platform.name), platform
    if file is None:
        others = [(_set(platform, s), file) for file, s in calibrations(platform.base)]
        if not others:
            return platform
        wanted = platform.settings
        measured, file = min(others, key=lambda o: (distance(wanted, o[0].settings), o[0].name))
    stated, fitted = from_toml(read_text(file, MAX_TOML_BYTES), str(file))
    if stated != measured.name:
        raise DataError(f"{file}: it calibrates {stated!r}, not {measured.name!r}")
    own = _with_fitted(measured, fitted, file).fitted
    return replace(platform, fitted=derived(own, platform.settings, measured.settings))


def _parts(base: str) -> tuple[str, str]:
    """Return the names of hardware and runtime; no hardware if the file is not a runtime.

    A file after a hardware name, or after another file, is a runtime file.
    """
    if not base.endswith(".toml"):
        hardware, _, runtime = base.rpartition("/")
        return hardware, runtime
    own, _, runtime = base.partition(".toml/")
    if runtime:
        return f"{own}.toml", runtime
    first, _, runtime = base.partition("/")
    return (first, runtime) if first == "host" or find_device(first) else ("", "")


def _refuse_description(text: str, file: Path) -> None:
    """Refuse a file that describes hardware or a runtime, which is half of a platform."""
    kind = described(text)
    if kind == "runtime":
        raise DataError(
            f"{file} describes a runtime: name the hardware before it, such as "
            f"raspberry-pi-4/{file}"
        )
    if kind:
        own = runtimes_for(kind) or ["ncnn", "torch-eager"]
        others = f" (or {listed(own[1:], TOLD)})" if own[1:] else ""
        raise DataError(
            f"{file} describes hardware: name the runtime behind it, such as {file}/{own[0]}"
            f"{others}"
        )


def _from_file(file: Path) -> Platform:
    text = read_text(file, MAX_TOML_BYTES)
    _refuse_description(text, file)
    platform, fitted = from_toml(text, str(file))
    if ".toml" in platform:  # which might be this file again
        raise DataError(f"{file}: platform must be HARDWARE/RUNTIME by name, got {platform!r}")
    try:
        found = load_platform(platform, calibrated=False)
    except DataError:
        own = _beside(file, platform)
        if own == platform:
            raise
        found = load_platform(own, calibrated=False)
    return _with_fitted(found, fitted, file)


def _beside(file: Path, platform: str) -> str:
    """Return a platform with the user's own files, which are searched next to its calibration."""
    base, mark, query = platform.partition("?")
    own = [file.parent / f"{part}.toml" for part in base.split("/")]
    parts = zip(base.split("/"), own, strict=True)
    return "/".join(str(path) if is_file(path) else part for part, path in parts) + mark + query


def _with_fitted(platform: Platform, fitted: Fitted, file: Path) -> Platform:
    """Return ``platform`` with the parameters of a calibration, which must be those of its own."""
    own = {p.name: p.unit for p in platform.fitted.parameters}
    theirs = {p.name: p.unit for p in fitted.parameters}
    if own != theirs:
        name = min(own.keys() ^ theirs.keys(), default="")
        if not name:
            name = min(n for n in own if own[n] != theirs[n])
            wrong = f"is in {theirs[name]}, not in {own[name]}"
        else:
            wrong = "is missing" if name in own else "is unknown"
        raise DataError(
            f"{file}: parameter {name!r} {wrong}: another version of costmodel wrote it; "
            f"calibrate {platform.name} again"
        )
    return replace(platform, fitted=fitted)


def _with_settings(platform: Platform, name: str, query: str) -> Platform:
    """Return the platform of a calibration file with the settings after the file name."""
    if not query:
        return platform
    wanted = _set(platform, {**platform.settings, **parsed(name, query)})
    return replace(wanted, fitted=derived(platform.fitted, wanted.settings, platform.settings))


def _named(hardware: str, runtime: str, settings: Mapping[str, str]) -> Platform:
    return _bare(load_hardware(hardware), load_runtime(runtime), settings)


def _set(platform: Platform, settings: Mapping[str, str]) -> Platform:
    """Return the same hardware and runtime with other settings, and priors."""
    return _bare(platform.hardware, platform.runtime, settings)


def _parameters(hardware: Hardware, runtime: Runtime) -> tuple[Parameter, ...]:
    """Return the parameters of a kind of hardware with the priors of a runtime.

    The priors for other hardware are checked, too, so that a wrong one is found at once.
    """
    for name, table in runtime.priors.items():
        kind = "cpu" if name in INSTRUCTION_SETS else name
        adjusted((*priors(kind), *multipliers()), table, f"runtime {runtime.name}: priors.{name}")
    return adjusted(
        (*priors(hardware.kind), *multipliers()),
        {**runtime.priors.get(hardware.kind, {}), **runtime.priors.get(hardware.isa, {})},
        f"runtime {runtime.name}",
    )


def _bare(device: Hardware, runtime: Runtime, settings: Mapping[str, str]) -> Platform:
    hardware, cores = on_clusters(device, settings.get("cores", ""))
    if not runs_on(runtime, hardware.kind):
        (only,) = runtime.algorithms
        runs = KINDS[only].partition(" ")[2]
        raise DataError(
            f"{runtime.name} runs on {runs}s, and {hardware.name} is {KINDS[hardware.kind]}; use "
            f"another runtime: {listed(runtimes_for(hardware.kind), TOLD)}"
        )
    threads = threads_of(settings.get("threads", str(NO_THREADS)), hardware)
    parameters = _parameters(hardware, runtime)
    return Platform(
        hardware,
        runtime,
        threads,
        dtype_of(settings, hardware),
        Fitted.prior(parameters),
        transfers=settings.get("transfers", yes(runtime.transfers)) == "yes",
        amp=amp_of(settings, runtime, hardware),
        layout=layout_of(settings, runtime, hardware),
        cores=cores,
    )
