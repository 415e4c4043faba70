"""Whether a platform is the machine at hand with the runtime of a backend."""

from __future__ import annotations

from costmodel.hardware import core_names, hardware_names
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.settings import yes
from costmodel.runtimes import runtime_names

from ..errors import MeasuringError
from .backend import Backend, Settings


def confirm_here(name: str, backend: Backend, settings: Settings) -> None:
    """Refuse a platform that is not this machine, or its GPU, with the runtime of a backend.

    Parameters
    ----------
    name : str
        The platform.
    backend : Backend
        Runs the networks on this machine.
    settings : Settings
        How.

    Raises
    ------
    MeasuringError
        If it contradicts where the networks are run.
    """
    where = load_platform(name)
    kind = where.hardware.kind
    if (kind == "gpu") != (settings.device == "cuda"):
        raise MeasuringError(
            f"platform {name!r} is a {kind.upper()}, and {backend.name} runs on the "
            f"{'GPU' if settings.device == 'cuda' else 'processor'}: give --device "
            f"{'cuda' if kind == 'gpu' else 'cpu'}, or another platform"
        )
    if settings.device == "cpu":
        _confirm_host(where, backend, settings)
    else:
        _confirm_gpu(where, backend, settings)


def _confirm_host(where: Platform, backend: Backend, settings: Settings) -> None:
    """Refuse a platform that is not this machine with the runtime of a backend.

    Parameters
    ----------
    where : Platform
        What predicts.
    backend : Backend
        What runs the networks on this machine.
    settings : Settings
        How.

    Raises
    ------
    MeasuringError
        If the runtime, mixed precision, transfers or the cores are others.
    """
    own = load_platform(backend.platform(settings), calibrated=False)
    _confirm_runtime(where, own, backend)
    if where.hardware.name == "host":
        return  # probed on this very machine, whatever its cores are called
    here, cores = own.hardware, [cluster.core for cluster in own.hardware.clusters]
    # A core that no pattern recognizes may be this one, described by its user.
    known = where.hardware.isa and (here.isa != where.hardware.isa or here.core in core_names())
    if known and where.hardware.core not in cores:
        raise MeasuringError(
            f"platform {where.name!r} has cores {where.hardware.core}, and {backend.name} runs on "
            f"those of this machine, {' and '.join(cores)}: give {own.name}, or measure on a board "
            "by ssh"
        )


def _confirm_gpu(where: Platform, backend: Backend, settings: Settings) -> None:
    """Refuse a platform that is not the GPU at hand with the runtime of a backend.

    Hardware that its user described may be any GPU, and so may a GPU that no file describes.

    Raises
    ------
    MeasuringError
        If the runtime, mixed precision, transfers or the GPU are others.
    """
    try:
        own = load_platform(backend.platform(settings), calibrated=False)
    except MeasuringError:
        return
    _confirm_runtime(where, own, backend)
    if where.hardware.name in hardware_names() and where.hardware.name != own.hardware.name:
        raise MeasuringError(
            f"platform {where.name!r} predicts another GPU, and {backend.name} runs on "
            f"{own.hardware.name}: give {own.name}"
        )


def _confirm_runtime(where: Platform, own: Platform, backend: Backend) -> None:
    """Refuse what is not ``own``, which runs here: runtime, mixed precision, transfers."""
    if where.runtime.name in runtime_names() and where.runtime.name != own.runtime.name:
        raise MeasuringError(
            f"platform {where.name!r} predicts {where.runtime.name}, and {backend.name} runs "
            f"{own.runtime.name}: give {own.name}, or another backend"
        )
    if where.amp:
        raise MeasuringError(
            f"platform {where.name!r} has automatic mixed precision, with which {backend.name} "
            "measures nothing: leave amp out"
        )
    if where.transfers != own.transfers:
        raise MeasuringError(
            f"platform {where.name!r} has transfers={yes(where.transfers)}, and {backend.name} "
            f"measures with transfers={yes(own.transfers)}: leave transfers out"
        )
