"""The commands ``costmodel measure`` and ``costmodel validate``."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from costmodel.calibration.measurement import write_measurements
from costmodel.cli.limits import share_limit
from costmodel.cli.unused import refuse_unused
from costmodel.errors import DataError

from .backends import Backend, Settings, load_backend
from .comparing.compare import Comparison, compare
from .comparing.export import write_kernels
from .comparing.figure import check_figure, write_figure
from .comparing.show import show_emulated, show_guidelines, show_networks
from .errors import MeasuringError
from .guidelines.claims import guidelines_only
from .guidelines.experiments import try_guideline
from .measuring.campaign import LIMIT, Campaign
from .measuring.clock import Plan, Timing
from .measuring.options import (
    changed,
    chosen_cores,
    confirmed_platform,
    refuse_unhonoured,
    refuse_unpredicted,
    runnable,
)
from .measuring.running import run_or_exit, say
from .measuring.store import Store

_KERNEL_BUDGET = 0.03
"""Time budget of one kernel alone, as a share of that of a network, which has dozens. [1]"""

_LEAST_PRECISION = 1e-4
"""Smallest half width of an interval that can be asked for, as a share of the median. [1]"""

Networks = Annotated[
    list[str], typer.Argument(help="Networks, such as 'shufflenet_v2?width=1.0' or model.onnx.")
]
BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        help="Backend: torch, ncnn, onnxruntime; arm:ssh://user@host for a board, an "
        "engine there with ncnn:ssh://user@host.",
    ),
]
Predictor = Annotated[
    str | None,
    typer.Option(
        "--platform",
        "-p",
        help="Platform; default: the backend's own platform. Boards and GPUs that are not "
        "known need it.",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="Threads, each bound to a core.")]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="Device.")]
Mode = Annotated[
    Literal["eager", "compile", "graphs"],
    typer.Option(help="Operator by operator, compiled, or replayed as CUDA graphs."),
]
Layout = Annotated[
    Literal["contiguous", "channels_last"], typer.Option(help="Memory format of images.")
]
Dtype = Annotated[
    Literal["float32", "tf32", "float16", "bfloat16", "int8"],
    typer.Option(help="Dtype that replaces float32."),
]
Cache = Annotated[
    Literal["warm", "cold"], typer.Option(help="Whether caches are flushed before every run.")
]
Cores = Annotated[
    str | None,
    typer.Option(help="Cores that the threads are bound to: 4-7 or 0,2; on a board also big."),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="SHARE",
        help="Sufficient half width of the median's interval: 1% or 0.01 of the median.",
    ),
]
Budget = Annotated[float, typer.Option(min=0.01, help="Maximum time per network. [s]")]
Limit = Annotated[
    float,
    typer.Option(
        min=1.0,
        help="Time without a sign of life, beyond the budget, after which a network hangs. [s]",
    ),
]


def measure(
    networks: Networks,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Store; results are appended.")
    ] = Path("measurements.jsonl"),
    backend: BackendName = "torch",
    platform: Predictor = None,
    table: Annotated[
        Path | None, typer.Option(help="Also write a CSV table for `costmodel calibrate`.")
    ] = None,
    run: Annotated[
        int, typer.Option(min=0, help="Number of the repetition; 1 measures everything again.")
    ] = 0,
    device: Device = "cpu",
    mode: Mode = "eager",
    layout: Layout = "contiguous",
    dtype: Dtype = "float32",
    threads: Threads = 1,
    cache: Cache = "warm",
    cores: Cores = None,
    precision: Precision = "1%",
    budget: Budget = 10.0,
    limit: Limit = LIMIT,
) -> None:
    """Measure the latency of NETWORKS and append it to a store.

    Stored results are not measured again: after an interruption, the same command resumes from the
    last round. A network that crashes, hangs or lacks memory costs that network alone. Exit 0: all
    are measured; 1: some failed and are named at the end; 2: bad input or nothing to go on with;
    130: interrupted. For example:

    costmodel measure shufflenet_v2 "resnet50?size=160" --backend torch -o host.jsonl

    costmodel measure "conv2d?cin=64&size=56&cout=64&k=1" --threads 2 --table host.csv
    """
    console = Console(stderr=True)
    plan = Plan(precision=_precision(precision), budget=budget)
    runner = load_backend(backend)
    bound = chosen_cores(cores, runner, threads)
    settings = Settings(device, mode, layout, dtype, threads, cache, cores=bound)
    refuse_unhonoured(runner, settings, changed(plan))
    where = confirmed_platform(platform or runner.platform(settings), runner, settings)
    specs = runnable(networks, runner, settings, console)
    with Store(output) as store:
        campaign = Campaign((*specs,), runner, settings, plan, run, where, limit=limit)
        run_or_exit(campaign, store, console)
        _say_verdict(runner, console)
        if table is not None:
            write_measurements(table, store.to_measurements())
    missing = len(campaign.missing(store)) + len(set(networks)) - len(specs)
    say(console, f"{len(set(networks)) - missing} results are in {output}")
    if missing:
        raise typer.Exit(1)


def validate(
    networks: Networks,
    backend: BackendName = "torch",
    platform: Predictor = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds.")] = False,
    kernels: Annotated[bool, typer.Option(help="Also measure every kernel alone.")] = True,
    table: Annotated[
        Path | None, typer.Option(help="Also write a CSV table of the kernels.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw predicted, simulated, measured times here.")
    ] = None,
    repeat: Annotated[
        bool, typer.Option(help="Measure everything again to determine the noise floor.")
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
    cores: Cores = None,
    precision: Precision = "1%",
    budget: Budget = 10.0,
    limit: Limit = LIMIT,
) -> None:
    """Run NETWORKS and print what is predicted beside what is measured (or simulated).

    g1, g2, g3 and g4 are the experiments of the paper's Tables 1-4: does the guideline hold here?
    Under arm:emulated, which has no latency, results are checked and instructions counted.

    For example:

    costmodel validate shufflenet_v2 mobilenet_v2 resnet50 --backend torch

    costmodel validate "vit?size=160" --no-kernels --repeat --json

    costmodel validate g1 g2 g3 g4 --backend torch
    """
    console = Console(stderr=True)
    plan = Plan(precision=_precision(precision), budget=budget)
    runner = load_backend(backend)
    bound = chosen_cores(cores, runner, threads)
    settings = Settings(device, mode, layout, dtype, threads, cache, cores=bound)
    if runner.label == "emulated":
        given = {"--platform": platform is not None, "--no-kernels": not kernels}
        given |= {"--table": table is not None, "--plot": plot is not None, "--repeat": repeat}
        given |= {"--output": output is not None, "--precision and --budget": bool(changed(plan))}
        _refuse_timed(runner, settings, given)
        show_emulated(networks, as_json)
        return
    refuse_unhonoured(runner, settings, changed(plan))
    if plot is not None:
        check_figure(plot)
    if not kernels:
        refuse_unused({"--table": table is not None}, "--table is of the kernels")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        where = confirmed_platform(platform or runner.platform(settings), runner, settings)
        refuse_unpredicted(where, settings)
        store = stack.enter_context(Store(output or Path(folder) / "results.jsonl"))
        if guidelines_only(networks):
            if table is not None or plot is not None:
                raise DataError("--table and --plot are of networks: guidelines print tables")
            if repeat or not kernels:
                raise DataError("--repeat and --no-kernels are of networks: leave them out")
            how = Campaign((), runner, settings, plan, platform=where, limit=limit)
            tried = [try_guideline(name, how, store, console) for name in networks]
            show_guidelines(tried, runner, settings, as_json)
            return
        # What is wrong is told before anything is measured, and what is measured is predicted.
        graphs = runnable(networks, runner, settings, console, built=True)
        campaign = Campaign(
            (*graphs,), runner, settings, plan, platform=where, graphs=graphs, limit=limit
        )
        runs = []
        for run in range(1 + repeat):
            again = replace(campaign, run=run)
            run_or_exit(again, store, console)
            _say_verdict(runner, console)
            runs.append(_timings(again, store))
        kernel_plan = replace(plan, budget=_KERNEL_BUDGET * budget, turn=0.05, warm_up=0.3)
        compared = [
            _compare(spec, campaign, runs, kernel_plan if kernels else None) for spec in runs[0]
        ]
    if not compared:
        raise typer.Exit(1)
    if table is not None:
        write_kernels(table, compared, runner.label)
    if plot is not None:
        say(console, write_figure(plot, compared, campaign))
    show_networks(compared, runner, settings, as_json)
    if len(compared) < len(set(networks)):
        raise typer.Exit(1)


def _refuse_timed(runner: Backend, settings: Settings, given: Mapping[str, bool]) -> None:
    """Refuse options and settings that a backend without latencies does not use."""
    refuse_unused(given, f"{runner.name} checks results, and predicts and times nothing")
    if settings != Settings():
        raise MeasuringError(
            f"{runner.name} checks results and counts in float32 on one thread: leave out "
            "--device, --mode, --layout, --dtype, --threads, --cache and --cores"
        )


def _precision(text: str) -> float:
    """Return the share of the median that the option ``--precision`` gives [1]."""
    found = share_limit(text)
    if not _LEAST_PRECISION <= found <= 1:
        raise DataError(
            f"--precision must be between {100 * _LEAST_PRECISION:g}% and 100%, got {text!r}"
        )
    return found


def _say_verdict(runner: Backend, console: Console) -> None:
    """Print the state of a board's clock during the measurement."""
    if verdict := getattr(runner, "verdict", ""):
        say(console, f"{runner.name}: {verdict}")


def _compare(
    spec: str, campaign: Campaign, runs: list[dict[str, Timing]], kernel_plan: Plan | None
) -> Comparison:
    graph, backend = campaign.graphs[spec], campaign.backend
    kernels = backend.measure_kernels(graph, campaign.settings, kernel_plan) if kernel_plan else ()
    told = getattr(backend, "measure_layers", None) if kernel_plan else None
    layers = told(spec, graph, campaign.settings, kernel_plan) if told is not None else ()
    again = runs[1].get(spec) if len(runs) > 1 else None
    return compare(spec, graph, campaign.platform, runs[0][spec], again, kernels, layers)


def _timings(campaign: Campaign, store: Store) -> dict[str, Timing]:
    results = {spec: campaign.result(spec, store) for spec in campaign.specs}
    return {spec: r.timing for spec, r in results.items() if r is not None and r.timing is not None}
