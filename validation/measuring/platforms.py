"""Platforms of a run, with the threads and the dtype of its settings."""

from __future__ import annotations

from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel.runtimes import load_runtime

from .backend import Settings

_LAYOUTS = {"contiguous": "nchw", "channels_last": "nhwc"}
"""Layouts of platforms by those of settings."""
_OPTIONS = {layout: option for option, layout in _LAYOUTS.items()}


def platform_name(hardware: str, runtime: str, settings: Settings) -> str:
    """Return ``hardware/runtime`` with the threads, dtype and layout of ``settings``.

    Examples
    --------
    >>> platform_name("host", "torch-eager", Settings(threads=2))
    'host/torch-eager?threads=2'
    >>> platform_name("rtx-3090", "torch-eager", Settings(device="cuda", dtype="tf32"))
    'rtx-3090/torch-eager?dtype=tf32'
    """
    query = []
    if settings.threads != 1 and settings.device == "cpu":
        query.append(f"threads={settings.threads}")
    if settings.dtype != "float32":
        query.append(f"dtype={settings.dtype}")
    chosen = settings.device == "cuda" or load_runtime(runtime).layouts_apply("cpu")
    if settings.layout != "contiguous" and chosen:
        query.append(f"layout={_LAYOUTS[settings.layout]}")
    return f"{hardware}/{runtime}" + ("?" + "&".join(query) if query else "")


def platform_for(name: str, settings: Settings) -> str:
    """Return the platform ``name`` with the threads, dtype and layout that networks are run with.

    Parameters
    ----------
    name : str
        As in :func:`costmodel.platforms.load_platform`.
    settings : Settings
        How the networks are run.

    Raises
    ------
    DataError
        If there is no such platform, or it states other threads, another dtype or layout.

    Examples
    --------
    >>> platform_for("raspberry-pi-4/ncnn", Settings(threads=4))
    'raspberry-pi-4/ncnn?threads=4'
    >>> platform_for("raspberry-pi-4/ncnn?threads=2", Settings(threads=4))
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: platform 'raspberry-pi-4/ncnn?threads=2' has threads 2, ...
    """
    where = load_platform(name)
    pairs: list[tuple[str, str, str]] = [("dtype", where.dtype or "float32", settings.dtype)]
    if where.hardware.kind == "cpu":
        pairs.append(("threads", str(where.threads), str(settings.threads)))
    if where.runtime.layouts_apply(where.hardware.kind) and len(where.runtime.layouts) > 1:
        pairs.append(("layout", where.rules.layout, _LAYOUTS[settings.layout]))
    for key, stated, wanted in pairs:
        if stated == wanted:
            continue
        if name.endswith(".toml") or f"{key}=" in name.partition("?")[2]:
            raise DataError(
                f"platform {name!r} has {key} {stated}, but the networks are run with {key} "
                f"{wanted}: give --{key} {_OPTIONS.get(stated, stated)}, or another platform"
            )
        name += f"{'&' if '?' in name else '?'}{key}={wanted}"
    load_platform(name)
    return name
