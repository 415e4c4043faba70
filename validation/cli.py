"""The commands ``costmodel measure`` and ``costmodel validate``."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from costmodel.measurement import write_measurements
from costmodel.specs import network
from validation.backends import Backend, Settings, load_backend
from validation.campaign import Campaign, run_campaign
from validation.compare import Comparison, compare
from validation.store import Result, Store
from validation.tables import kernels_table, networks_table, to_dict
from validation.timing import Plan, Timing

_KERNEL_BUDGET = 0.3
"""Time on one kernel alone, as a share of that on a network; a network has dozens."""

Networks = Annotated[
    list[str], typer.Argument(help="Networks, such as 'shufflenet_v2?width=1.0' or model.onnx.")
]
BackendName = Annotated[str, typer.Option("--backend", help="What runs them.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads, each bound to a core.")]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="Where they run.")]
Mode = Annotated[
    Literal["eager", "compile", "graphs"],
    typer.Option(help="Operator by operator, compiled, or replayed as CUDA graphs."),
]
Layout = Annotated[
    Literal["contiguous", "channels_last"], typer.Option(help="Order of the elements of images.")
]
Dtype = Annotated[
    Literal["float32", "tf32", "float16", "bfloat16"],
    typer.Option(help="Dtype in the place of float32."),
]
Cache = Annotated[
    Literal["warm", "cold"], typer.Option(help="Whether caches are flushed before every run.")
]
Precision = Annotated[
    float,
    typer.Option(
        min=1e-4, max=1.0, help="Half width of the median's interval that is enough, as a share."
    ),
]
Budget = Annotated[float, typer.Option(min=0.01, help="Seconds on one network at most.")]


def measure(
    networks: Networks,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Store; results are appended.")
    ] = Path("measurements.jsonl"),
    backend: BackendName = "torch",
    table: Annotated[
        Path | None, typer.Option(help="Also write a CSV table for `costmodel calibrate`.")
    ] = None,
    run: Annotated[
        int, typer.Option(min=0, help="Number of the repetition: 1 measures all again.")
    ] = 0,
    device: Device = "cpu",
    mode: Mode = "eager",
    layout: Layout = "contiguous",
    dtype: Dtype = "float32",
    threads: Threads = 1,
    cache: Cache = "warm",
    precision: Precision = 0.01,
    budget: Budget = 10.0,
) -> None:
    """Measure the latency of NETWORKS and append it to a store.

    What the store holds already is not measured again: the same command goes on after an
    interruption. For example:

    costmodel measure shufflenet_v2 "resnet50?size=160" --backend torch -o host.jsonl

    costmodel measure "conv2d?cin=64&size=56&cout=64&k=1" --threads 2 --table host.csv
    """
    console = Console(stderr=True)
    settings = Settings(device, mode, layout, dtype, threads, cache)
    plan = Plan(precision=precision, budget=budget)
    with Store(output) as store:
        campaign = Campaign(tuple(networks), load_backend(backend), settings, plan, run)
        _run(campaign, store, console)
        if table is not None:
            write_measurements(table, store.to_measurements())
    console.print(f"{len(networks) - len(campaign.missing(store))} results are in {output}")
    if campaign.missing(store):
        raise typer.Exit(1)


def validate(
    networks: Networks,
    backend: BackendName = "torch",
    platform: Annotated[
        str | None, typer.Option(help="What predicts; by default the backend's own platform.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds.")] = False,
    kernels: Annotated[
        bool, typer.Option(help="Whether every kernel is measured alone, too.")
    ] = True,
    repeat: Annotated[
        bool, typer.Option(help="Whether all is measured again afterwards: the noise floor.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Store to keep and reuse results.")
    ] = None,
    device: Device = "cpu",
    mode: Mode = "eager",
    layout: Layout = "contiguous",
    dtype: Dtype = "float32",
    threads: Threads = 1,
    cache: Cache = "warm",
    precision: Precision = 0.01,
    budget: Budget = 10.0,
) -> None:
    """Measure NETWORKS here and print what is predicted beside what is measured.

    For example:

    costmodel validate shufflenet_v2 mobilenet_v2 resnet50 --backend torch

    costmodel validate "vit?size=160" --no-kernels --repeat --json
    """
    console = Console(stderr=True)
    settings = Settings(device, mode, layout, dtype, threads, cache)
    plan = Plan(precision=precision, budget=budget)
    with contextlib.ExitStack() as stack:
        runner = load_backend(backend)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = stack.enter_context(Store(output or Path(folder) / "results.jsonl"))
        runs = []
        for run in range(1 + repeat):
            campaign = Campaign(tuple(networks), runner, settings, plan, run)
            _run(campaign, store, console)
            runs.append(_timings(campaign, store))
        where = platform or runner.platform(settings)
        kernel_plan = replace(plan, budget=_KERNEL_BUDGET * budget / 10, turn=0.05, warm_up=0.3)
        compared = [
            _compare(spec, where, runs, runner, settings, kernel_plan if kernels else None)
            for spec in runs[0]
        ]
        host = runner.describe(settings)
    if not compared:
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(to_dict(compared, host), indent=1))
        return
    _print(compared, _where(runner, settings, host), runner.label)


def _compare(
    spec: str,
    platform: str,
    runs: list[dict[str, Timing]],
    backend: Backend,
    settings: Settings,
    kernel_plan: Plan | None,
) -> Comparison:
    graph = network(spec)
    kernels = backend.measure_kernels(graph, settings, kernel_plan) if kernel_plan else ()
    again = runs[1].get(spec) if len(runs) > 1 else None
    return compare(spec, graph, platform, runs[0][spec], again, kernels)


def _where(backend: Backend, settings: Settings, host: dict[str, str]) -> str:
    """Say in a line what ran the networks: device, software, threads, load."""
    device = host.get("gpu") or host.get("cpu") or "the device"
    software = f"{backend.name} {host.get(backend.name, '')}".strip()
    threads = "1 thread" if settings.threads == 1 else f"{settings.threads} threads"
    return f"{device}, {software} {settings.mode}, {settings.dtype}, {threads}, load {host.get('load', 'unknown')}"


def _print(compared: list[Comparison], where: str, label: str) -> None:
    console = Console()
    console.print(networks_table(compared, where, label))
    for comparison in compared:
        if comparison.kernels:
            console.print(kernels_table(comparison))


def _timings(campaign: Campaign, store: Store) -> dict[str, Timing]:
    found = {result.key: result for result in store.results()}
    results = {spec: found.get(campaign.key(spec)) for spec in campaign.specs}
    return {spec: r.timing for spec, r in results.items() if r is not None and r.timing is not None}


def _run(campaign: Campaign, store: Store, console: Console) -> list[Result]:
    """Measure what is missing; say what failed, and how to go on after an interruption."""
    for number in store.torn:
        console.print(f"{store.path}: line {number} was cut off and is not read", style="yellow")
    try:
        done = run_campaign(campaign, store, console)
    except KeyboardInterrupt:
        left = len(campaign.missing(store))
        console.print(
            f"interrupted with {left} of {len(campaign.specs)} left; the results so far are in "
            f"{store.path}, and the same command goes on"
        )
        raise typer.Exit(130) from None
    for result in done:
        if result.timing is None:
            console.print(result.failure, style="red")
    return done
