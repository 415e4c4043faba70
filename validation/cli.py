"""The commands ``costmodel measure`` and ``costmodel validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from costmodel.errors import CostModelError
from costmodel.measurement import write_measurements
from validation.backends import Settings, load_backend
from validation.campaign import Campaign, run_campaign
from validation.store import Store
from validation.timing import Plan

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
    interruption.

    Examples:

      costmodel measure shufflenet_v2 "resnet50?size=160" --backend torch -o host.jsonl

      costmodel measure "conv2d?cin=64&size=56&cout=64&k=1" --threads 2 --table host.csv
    """
    console = Console(stderr=True)
    settings = Settings(device, mode, layout, dtype, threads, cache)
    plan = Plan(precision=precision, budget=budget)
    with _sentences(), Store(output) as store:
        for number in store.torn:
            console.print(f"{output}: line {number} was cut off and is not read")
        campaign = Campaign(tuple(networks), load_backend(backend), settings, plan, run)
        try:
            done = run_campaign(campaign, store, console)
        except KeyboardInterrupt:
            left = len(campaign.missing(store))
            console.print(
                f"interrupted: {left} of {len(networks)} are left; what is measured is in {output}, "
                "the same command goes on"
            )
            raise typer.Exit(130) from None
        if table is not None:
            write_measurements(table, store.to_measurements())
    for result in done:
        if result.timing is None:
            console.print(result.failure, style="red")
