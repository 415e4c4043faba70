"""Facts reported by a board, for the store and for its platform, and their checks."""

from __future__ import annotations

from costmodel.errors import DataError

from ..arm.bench.answers import Host
from ..arm.errors import BackendError
from ..arm.identity import name_device
from ..errors import MeasuringError
from ..measuring.backend import Settings
from ..measuring.platforms import platform_name

_STEADY_GOVERNOR = "performance"


def facts(host: Host) -> dict[str, str]:
    """Return what a reader must know of a board to judge a time measured on it."""
    found = {key: value for key, value in host.texts.items() if value}
    governors = sorted({core.governor for core in host.cores if core.governor})
    if governors:
        found["governor"] = ", ".join(governors)
    if governors not in ([], [_STEADY_GOVERNOR]):
        found["advice"] = (
            f"the governor is {found['governor']}: times are steadier under {_STEADY_GOVERNOR} "
            f"(echo {_STEADY_GOVERNOR} | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/"
            "scaling_governor)"
        )
    return found


def board_platform(host: Host, runtime: str, settings: Settings, name: str) -> str:
    """Return the platform that a board's cores are, with a runtime.

    Raises
    ------
    MeasuringError
        If none fits, or several do.
    """
    try:
        return platform_name(name_device(host), runtime, settings)
    except DataError as error:
        raise MeasuringError(
            f"{name}: {error} Give --platform, such as raspberry-pi-4/{runtime}"
        ) from None


def refuse_emulator(host: Host, where: str) -> None:
    """Refuse a machine whose times say nothing of a processor."""
    if host.emulator:
        raise BackendError(
            f"{where}: the binary found itself under the emulator {host.emulator}: its results are "
            "emulated, its wall time is no latency"
        )
