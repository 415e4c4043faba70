"""Output of ``costmodel validate``: networks, guidelines and counts, each with its label."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console

from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel.specs import network

from ..guidelines.claims import guidelines_only
from ..guidelines.experiments import Experiment
from ..guidelines.tables import experiment_dict, experiment_table
from ..measuring.backend import Backend, Settings
from ..measuring.running import say
from .compare import Comparison
from .tables import (
    NOTES,
    kernels_table,
    layers_table,
    networks_table,
    to_dict,
)

COLD = "Predictions are for warm caches, not for --cache cold. "
"""Note where the caches are flushed before every run, which no platform states."""


def show_networks(
    compared: Sequence[Comparison], backend: Backend, settings: Settings, as_json: bool
) -> None:
    """Print predicted beside measured (or simulated) networks and kernels."""
    host, label = dict(backend.describe(settings)), backend.label
    if verdict := getattr(backend, "verdict", ""):
        host["throttling"] = verdict
    if as_json:
        document = to_dict(compared, host, label)
        _print_json({**document, "note": document["note"] + _cold(settings)})
        return
    console = Console()
    console.print(networks_table(console, compared, _where(backend, settings, host), label))
    for comparison in compared:
        if comparison.kernels:
            inside = comparison.inside or getattr(backend, "kernels_inside", False)
            console.print(kernels_table(console, comparison, label, inside))
        if comparison.layers:
            console.print(layers_table(console, comparison))
    _print_note(console, NOTES[label], host, settings)
    _print_command(console, compared, backend)


def show_guidelines(
    tried: Sequence[Experiment], backend: Backend, settings: Settings, as_json: bool
) -> None:
    """Print the paper's tables with what was measured (or simulated) here, and the verdicts."""
    host, label = backend.describe(settings), backend.label
    if as_json:
        note = NOTES[label] + host.get("parameters", "") + _cold(settings)
        experiments = [experiment_dict(experiment) for experiment in tried]
        _print_json({"label": label, "note": note, "host": host, "guidelines": experiments})
        return
    console = Console()
    for experiment in tried:
        console.print(experiment_table(experiment))
    where = _where(backend, settings, host)
    say(console, f"{label} on {where}; predicted for {tried[0].platform}")
    _print_note(console, NOTES[label], host, settings)


def show_emulated(networks: list[str], as_json: bool) -> None:
    """Check and count every network under the emulator; exit 1 where a result is wrong.

    Raises
    ------
    DataError
        If guidelines are asked for.
    """
    from ..arm.checks.emulate import emulate, emulated_table  # slow to import

    if guidelines_only(networks):
        raise DataError("guidelines are about speed, and an emulator has none: arm:simulated has")
    console = Console()
    found = []
    for name in networks:
        found.append(emulate(name, network(name)))
        if not as_json:
            console.print(emulated_table(found[-1]))
            for wrong in found[-1].wrong:
                say(console, f"wrong: {wrong}", "red")
    note = NOTES["emulated"].strip()
    if as_json:
        networks_found = [emulated.to_dict() for emulated in found]
        _print_json({"label": "emulated", "note": note, "networks": networks_found})
    else:
        console.print(note)
    if any(emulated.wrong for emulated in found):
        raise typer.Exit(1)


def _print_json(document: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=1))


def _cold(settings: Settings) -> str:
    return COLD if settings.cache == "cold" else ""


def _print_note(console: Console, note: str, host: Mapping[str, str], settings: Settings) -> None:
    if note:
        say(console, note + host.get("parameters", ""))
    if cold := _cold(settings):
        say(console, cold.strip())
    if advice := host.get("advice"):
        say(console, advice)


def _print_command(console: Console, compared: Sequence[Comparison], backend: Backend) -> None:
    """Name the command that fits this machine, where it is predicted from priors."""
    platform = compared[0].platform
    if platform.startswith("host/") and not load_platform(platform).fitted.rows:
        command = f"costmodel calibrate --backend {backend.name}"
        if "?" in platform:
            command += f' -p "{platform}"'
        say(console, f"{platform} is predicted from priors; this fits it in ten minutes: {command}")


def _where(backend: Backend, settings: Settings, host: Mapping[str, str]) -> str:
    """Print the conditions of the measurement in a line: device, software, threads, load."""
    device = host.get("gpu") or host.get("cpu") or "the device"
    if backend.label == "simulated":
        return f"{device}, by {backend.name}"
    software = f"{backend.name} {host.get(backend.name, '')}".strip()
    threads = "1 thread" if settings.threads == 1 else f"{settings.threads} threads"
    parts = (device, f"{software} {settings.mode}", settings.dtype, threads)
    doubt = f", unverified: {host['unverified']}" if "unverified" in host else ""
    return f"{', '.join(parts)}, load {host.get('load', 'unknown')}{doubt}"
