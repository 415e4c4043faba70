"""Measured savings of the rewrites that ``costmodel advise`` proposes.

The command ``advice`` scores them on networks of the zoo: the share of rewrites whose saving has
the predicted sign, the errors of the savings, and their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from json import dumps
from statistics import median
from typing import Annotated

import networkx as nx
import typer
from rich.console import Console
from rich.table import Table

import costmodel as cm
from costmodel.guidelines import Finding, advise

from .backends import Settings, load_backend
from .errors import MeasuringError
from .measuring.clock import Plan, Timing

PLAN = Plan(precision=0.01, budget=1.5, warm_up=0.3, turn=0.1, rounds=6)
"""How a network and its rewrites are timed, in turns of each."""
NETWORKS = (
    "shufflenet_v1",
    "mobilenet_v2",
    "densenet",
    "timm/resnext50_32x4d",
    "timm/efficientnet_b0",
    "timm/regnetx_008",
    "timm/rexnet_100",
    "timm/convnext_atto",
    "timm/inception_v3",
)
"""Those of the zoo, and those that timm must be installed for; each of another form of block."""
_TIMM = "timm/"
GOALS = (("right", 0.9), ("size", 0.15), ("proposed", 0.05))
"""Share of right signs; median distance of measured and predicted share; median of savings."""


@dataclass(frozen=True)
class Tried:
    """A rewrite, predicted and measured.

    Parameters
    ----------
    network, title : str
        Which.
    predicted, measured : float
        Share of the latency that is saved. [1]
    noise : float
        Half the width of the interval of the measured share. [1]
    interval : (float, float)
        Where the predicted share lies with the probability of the advice. [1]
    """

    network: str
    title: str
    predicted: float
    measured: float
    noise: float
    interval: tuple[float, float]


def measure_rewrites(
    backend: str, graphs: Sequence[nx.DiGraph], plan: Plan = PLAN
) -> list[tuple[float, float]]:
    """Measure networks in turns.

    Parameters
    ----------
    backend : str
        What runs them, as in :func:`validation.backends.load_backend`.
    graphs : sequence of DiGraph
        The networks.
    plan : Plan
        How exactly and how long each is measured.

    Returns
    -------
    list of (float, float)
        The seconds of each, and half the width of their interval as a share of them.

    Raises
    ------
    MeasuringError
        If one cannot be run.
    """
    runner = load_backend(backend)
    named = {f"network {i}": graph for i, graph in enumerate(graphs)}
    found: dict[str, Timing] = {}
    for name, timing in runner.measure_networks(named, Settings(), plan):
        if isinstance(timing, MeasuringError):
            raise timing
        found[name] = timing
    timings = [found[name] for name in named]
    return [(t.quiet, (t.high - t.low) / 2 / t.median) for t in timings]


def try_rewrites(
    spec: str, backend: str, platform: str | None = None, most: int = 5, plan: Plan = PLAN
) -> list[Tried]:
    """Measure the findings on a network that pay most; those on larger batches are left out.

    Raises
    ------
    MeasuringError
        If the backend cannot run the network.
    """
    graph = _network(spec)
    where = platform or load_backend(backend).platform(Settings())
    findings = [f for f in advise(graph, where).findings if f.rewrite.inputs == 1][:most]
    if not findings:
        return []
    times = measure_rewrites(backend, [graph, *(f.graph for f in findings)], plan)
    return [_tried(spec, f, times[0], t) for f, t in zip(findings, times[1:], strict=True)]


def _network(spec: str) -> nx.DiGraph:
    """Return a network by its spec, or one of timm with random weights by its name."""
    if not spec.startswith(_TIMM):
        return cm.network(spec)
    import torch
    from timm import create_model

    model = create_model(spec.removeprefix(_TIMM)).eval()
    return cm.from_torch(model, torch.zeros(1, *model.default_cfg["input_size"]))


def _installed(networks: Sequence[str]) -> list[str]:
    """Return the networks whose library is installed; say what is left out."""
    if find_spec("timm") is not None:
        return list(networks)
    kept = [spec for spec in networks if not spec.startswith(_TIMM)]
    if len(kept) < len(networks):
        Console(stderr=True).print(f"timm is not installed: {len(networks) - len(kept)} left out")
    return kept


def _tried(
    spec: str, finding: Finding, before: tuple[float, float], after: tuple[float, float]
) -> Tried:
    ratio = after[0] / before[0]
    noise = ratio * (after[1] ** 2 + before[1] ** 2) ** 0.5
    whole = finding.saving / finding.share
    low, high = finding.interval
    ends = (low / whole, high / whole)
    return Tried(spec, finding.rewrite.title, finding.share, 1 - ratio, noise, ends)


def score(tried: Sequence[Tried]) -> Mapping[str, float]:
    """Return the figures that :data:`GOALS` are about.

    Examples
    --------
    >>> ends = (0.05, 0.3)
    >>> tried = [Tried("n", "t", 0.2, 0.1, 0.01, ends), Tried("n", "t", 0.1, -0.1, 0.01, ends)]
    >>> score(tried)["right"], score(tried)["within"]
    (0.5, 0.5)
    """
    return {
        "right": sum(t.measured > 0 for t in tried) / len(tried),
        "size": median(abs(t.measured - t.predicted) for t in tried),
        "proposed": median(t.predicted for t in tried),
        "within": sum(t.interval[0] <= t.measured <= t.interval[1] for t in tried) / len(tried),
    }


def advice(
    networks: Annotated[
        list[str] | None, typer.Argument(help="Networks; default: some of the zoo.")
    ] = None,
    backend: Annotated[str, typer.Option(help="Backend: torch, ncnn ...")] = "torch",
    platform: Annotated[
        str | None,
        typer.Option("--platform", "-p", help="Platform; default: the backend's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the rewrites that advise proposes, beside the goals.

    For example:

    python -m validation advice mobilenet_v2 densenet --backend torch
    """
    console = Console(stderr=True)
    tried: list[Tried] = []
    left_out: dict[str, str] = {}
    for spec in _installed(networks or NETWORKS):
        with console.status(f"measuring {spec}"):
            try:
                tried += try_rewrites(spec, backend, platform)
            except MeasuringError as error:
                left_out[spec] = str(error)
    for spec, why in left_out.items():
        console.print(f"{spec} is left out: {why}")
    if not tried:
        raise MeasuringError("nothing was proposed for these networks, so that nothing is measured")
    figures = score(tried)
    if as_json:
        print(
            dumps(
                {
                    "figures": figures,
                    "rewrites": [asdict(t) for t in tried],
                    "left_out": left_out,
                },
                indent=1,
            )
        )
        return
    _show(tried, figures)


def _show(tried: Sequence[Tried], figures: Mapping[str, float]) -> None:
    table = Table(title="Savings of rewrites, share of the latency")
    for heading in ("network", "rewrite", "predicted", "interval", "measured"):
        table.add_column(heading, justify="left" if heading in ("network", "rewrite") else "right")
    for t in tried:
        table.add_row(
            t.network,
            t.title,
            f"{100 * t.predicted:.1f} %",
            "{:.1f} to {:.1f} %".format(*(100 * end for end in t.interval)),
            f"{100 * t.measured:.1f} % +- {100 * t.noise:.1f} %",
            style=None if t.measured > 0 else "yellow",
        )
    console = Console()
    console.print(table)
    right, size, proposed = (figures[name] for name, _ in GOALS)
    console.print(f"sign right in {100 * right:.0f} % of {len(tried)} rewrites (goal 90 %)")
    console.print(f"size off by {100 * size:.1f} points (median; goal 15)")
    console.print(f"proposed saving {100 * proposed:.1f} % (median; goal 5 %)")
    console.print(f"measured within the 90 % interval: {100 * figures['within']:.0f} %")
