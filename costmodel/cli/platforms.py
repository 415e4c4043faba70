"""``costmodel platforms``: hardware, runtimes and calibrations; every fact with its source."""

from __future__ import annotations

import os
from dataclasses import asdict, fields, is_dataclass
from math import exp
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.completion import complete_thing
from costmodel.cli.group import OnceCommand
from costmodel.cli.networks import JsonOption
from costmodel.errors import DataError
from costmodel.reading import MAX_TOML_BYTES, read_text

if TYPE_CHECKING:
    from costmodel.hardware import Fact, Hardware
    from costmodel.platforms import Platform
    from costmodel.runtimes import Runtime

platforms = typer.Typer(rich_markup_mode=None)
FINDINGS = 1
"""Exit code if there are findings."""


@platforms.callback(invoke_without_command=True)
def _default(ctx: typer.Context) -> None:
    """List, show and check platforms: hardware, runtimes and calibrations.

    Example: costmodel platforms show gtx-1080-ti
    """
    if ctx.invoked_subcommand is None:
        list_all(json=False)


@platforms.command("list", cls=OnceCommand)
def list_all(json: JsonOption = False) -> None:
    """List hardware, runtimes and calibrated platforms.

    Example: costmodel platforms list --json
    """
    from costmodel.cli.console import print_json, stdout
    from costmodel.hardware import hardware_names, load_hardware
    from costmodel.platforms import platform_names
    from costmodel.report import document
    from costmodel.report.terminal import table
    from costmodel.runtimes import load_runtime, runtime_names
    from costmodel.units import format_si

    devices = [load_hardware(name) for name in hardware_names()]
    runtimes = [load_runtime(name) for name in runtime_names()]
    if json:
        print_json(
            document(
                "platforms",
                hardware=[_summary(device) for device in devices],
                runtimes=[{"name": r.name, "title": r.title} for r in runtimes],
                calibrations=platform_names(),
            )
        )
        return
    console = stdout()
    hardware = table(
        console, "hardware", "kind", "units", "clock", "float32 peak", "memory", left=2
    )
    for device in devices:
        row = _summary(device)
        hardware.add_row(
            device.name,
            device.core or device.kind,
            str(device.units),
            format_si(device.clock, "Hz"),
            _si(row["peak_float32_flops"], "FLOP/s"),
            _si(row["bandwidth_bytes_per_second"], "B/s"),
        )
    hardware.add_row("host", "probed", "-", "-", "-", "-")
    console.print(hardware)
    console.print()
    rules = table(console, "runtime", "", left=2)
    for runtime in runtimes:
        rules.add_row(runtime.name, runtime.title)
    console.print(rules)
    console.print()
    known = platform_names()
    console.print("calibrated: " + (", ".join(known) if known else "none; all others use priors"))
    console.print("A platform is hardware/runtime, such as gtx-1080-ti/paper.")


@platforms.command(cls=OnceCommand)
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="Hardware, a runtime, or hardware/runtime.", autocompletion=complete_thing
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Print facts with their sources, rules of a runtime, or parameters.

    Example: costmodel platforms show raspberry-pi-4
    """
    from costmodel.cli.console import print_json
    from costmodel.hardware import load_hardware
    from costmodel.platforms import load_platform
    from costmodel.runtimes import load_runtime, runtime_names

    found: Platform | Runtime | Hardware
    if name in runtime_names() or _is_runtime(name):
        found = load_runtime(name)
    elif _is_platform(name):
        found = load_platform(name)
    else:
        found = load_hardware(name)
    document = _document(found)
    if json:
        print_json(document)
    else:
        _print(document)


@platforms.command(cls=OnceCommand)
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Devices or .toml files; by default all."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check hardware files and the consistency of their facts; exit with 1 on findings.

    Example: costmodel platforms check my-board.toml
    """
    from costmodel.cli.console import print_json
    from costmodel.hardware import hardware_names, lint_device
    from costmodel.report import document
    from costmodel.report.text import number_of

    wanted = names or list(hardware_names())
    findings = [finding for name in wanted for finding in lint_device(name)]
    if json:
        print_json(document("check", checked=len(wanted), findings=[asdict(f) for f in findings]))
    else:
        for finding in findings:
            print(finding)
        checked = number_of(len(wanted), "device")
        print(f"{checked} checked, {number_of(len(findings), 'finding')}")
    if findings:
        raise typer.Exit(FINDINGS)


def _is_runtime(name: str) -> bool:
    """Return whether a name is of a file that describes a runtime."""
    from costmodel.platforms.runs import described

    try:
        return name.endswith(".toml") and described(read_text(name, MAX_TOML_BYTES)) == "runtime"
    except DataError:
        return False


def _is_platform(name: str) -> bool:
    """Return whether a name is of a platform or calibration, not of a device or device file."""
    if name.endswith(".toml"):
        try:
            return "costmodel-calibration" in read_text(name, MAX_TOML_BYTES)
        except DataError:
            return False
    if os.path.exists(name):
        raise DataError(f"{name}: a description of hardware or a calibration is a .toml file")
    return "/" in name


def _summary(device: Hardware) -> dict[str, Any]:
    return {
        "name": device.name,
        "title": device.title,
        "kind": device.kind,
        "year": device.year,
        "units": device.units,
        "clock_hz": device.clock,
        "peak_float32_flops": device.peak.get("float32"),
        "bandwidth_bytes_per_second": device.dram.bandwidth,
    }


def _document(found: Platform | Runtime | Hardware) -> dict[str, Any]:
    from costmodel.hardware import Hardware
    from costmodel.report import document
    from costmodel.runtimes import Runtime

    if isinstance(found, Hardware):
        facts = {name: asdict(fact) for name, fact in found.facts.items()}
        return document(
            "hardware", name=found.name, title=found.title, kind=found.kind, facts=facts
        )
    if isinstance(found, Runtime):
        names = [f.name for f in fields(found) if f.name not in _NOT_RULES]
        rules = {name: _plain(getattr(found, name)) for name in names}
        return document(
            "runtime",
            name=found.name,
            title=found.title,
            source=" ".join(found.source.split()),
            rules=rules,
        )
    parameters = [{k: getattr(p, k) for k in _PARAMETER_FIELDS} for p in found.fitted.parameters]
    return document("platform", name=found.name, basis=found.fitted.basis, parameters=parameters)


_NOT_RULES = ("name", "title", "source")
_PARAMETER_FIELDS = ("name", "value", "spread", "lower", "upper", "unit", "meaning", "source")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _print(document: dict[str, Any]) -> None:
    from costmodel.cli.console import stdout
    from costmodel.hardware import Fact
    from costmodel.report.terminal import table

    console = stdout()
    if "facts" in document:
        console.print(f"{document['name']}: {document['title']}", style="bold")
        facts = table(console, "fact", "value", "kind", "source", left=4)
        for name, fields in document["facts"].items():
            fact = Fact(**fields)
            facts.add_row(name, _value(fact), fact.kind, _source(fact))
        console.print(facts)
    elif "rules" in document:
        console.print(f"{document['name']}: {document['title']}", style="bold")
        console.print(document["source"])
        rules = table(console, "rule", "", left=2)
        priors = document["rules"]["priors"]
        for name, value in document["rules"].items():
            rules.add_row(name, _rule(value if name != "priors" else list(priors)))
        for kind, changed in priors.items():
            for name, prior in changed.items():
                given = ", ".join(f"{k} {v:g}" for k, v in prior.items() if k != "source")
                rules.add_row(f"{kind} {name}", f"{given}: {prior['source']}")
        console.print(rules)
    else:
        console.print(f"{document['name']}, from {document['basis']}", style="bold")
        parameters = table(console, "parameter", "value", "error", "meaning", left=4)
        for p in document["parameters"]:
            error = f"x/ {exp(p['spread']):.3g}" if p["spread"] else "fixed"
            value = f"{p['value']:.4g} {p['unit']}".removesuffix(" 1")
            parameters.add_row(p["name"], value, error, p["meaning"])
        console.print(parameters)
        # The values of a calibration come from its measurements.
        sources = [f"{p['name']}: {p['source']}" for p in document["parameters"] if p["source"]]
        if sources:
            console.print("\n".join(["", "Sources of the priors", *sources]))


def _value(fact: Fact) -> str:
    return f"{fact.value:g}" if fact.unit == "1" else _si(fact.value, fact.unit)


def _source(fact: Fact) -> str:
    return f"{fact.source} ({fact.note})" if fact.note else fact.source


def _rule(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(map(_fusion_rule, value))
    if isinstance(value, dict):
        return "\n".join(f"{k}: {_rule(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _fusion_rule(rule: dict[str, Any]) -> str:
    names = f"{', '.join(rule['behind'])} take {', '.join(rule['takes'])}"
    return f"{names} ({rule['source']})"


def _si(value: float | None, unit: str) -> str:
    from costmodel.units import format_si

    return "-" if value is None else format_si(value, unit)
