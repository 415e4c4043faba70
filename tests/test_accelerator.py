"""Accelerators: linear times from ten rows, facts that bound or do not, and every way of use."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

import costmodel as cm
import costmodel.hardware
from costmodel import plots
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.hardware import lint_device, load_hardware
from costmodel.kinds import KINDS
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.fitted import with_values
from costmodel.timing.parameters import priors, read_priors

PLATFORM = "accelerator/accelerator"
TEMPLATE = Path(costmodel.hardware.__file__).parent / "devices/accelerator.toml"
OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def cells(count: int, seed: int) -> list[tuple[str, list[str]]]:
    """Cells of NAS-Bench-201 with the operators on their six edges."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        e = [rng.choice(OPERATORS) for _ in range(6)]
        found.append((f"|{e[0]}~0|+|{e[1]}~0|{e[2]}~1|+|{e[3]}~0|{e[4]}~1|{e[5]}~2|", e))
    return found


# Constant, then none, skip, 1x1, 3x3, pool on an edge [ms]: scales three orders apart.
COLUMNS = {
    "pool as slow as a convolution": (1.0, 0.0, 0.05, 0.5, 0.55, 0.4),
    "slow": (100.0, 0.0, 0.0, 20.0, 90.0, 8.0),
    "fast": (0.2, 0.0, 0.002, 0.01, 0.03, 0.02),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_ten_rows_suffice_for_times_that_are_linear_in_the_operators(column: str) -> None:
    """Twelve other cells, none of them fitted."""
    constant, *costs = COLUMNS[column]

    def seconds(edges: list[str]) -> float:
        return 1e-3 * (constant + sum(costs[OPERATORS.index(e)] for e in edges))

    def spec(cell: str) -> str:
        return f"nasbench201?arch_str={cell}"

    rows = [cm.Measurement(spec(cell), seconds(edges)) for cell, edges in cells(10, seed=3)]
    platform = cm.calibrate(rows, PLATFORM).platform
    others = cells(24, seed=4)
    measured = np.array([seconds(edges) for _, edges in others])
    predicted = np.array([cm.latency(cm.network(spec(c)), platform).seconds for c, _ in others])
    assert np.mean(np.abs(predicted / measured - 1)) < 0.035
    assert spearmanr(predicted, measured)[0] > 0.95


def test_each_kind_has_a_call_a_rate_and_a_bandwidth_of_its_own() -> None:
    names = {p.name for p in priors("accelerator")}
    assert {f"{what}_{kind}" for what in ("call", "rate", "bandwidth") for kind in KINDS} < names
    (pool,) = [p for p in priors("accelerator") if p.name == "rate_pool"]
    assert pool.meaning == "rate of pool kernels, relative to rate"


def test_a_star_stands_for_every_kind() -> None:
    text = '["x_*"]\nvalue = 1.0\nspread = 1.0\nlower = 0.1\nupper = 9\nunit = "1"\n'
    found = read_priors(text + 'meaning = "of {kind}"\nsource = "made up"\n', "mine.toml")
    assert [p.name for p in found] == [f"x_{kind}" for kind in KINDS]


@pytest.mark.parametrize(("term", "kind"), [("rate", "pointwise"), ("bandwidth", "elementwise")])
def test_a_kernel_goes_with_its_own_kind(term: str, kind: str) -> None:
    platform = load_platform(PLATFORM, calibrated=False)
    nets = {
        "pointwise": cm.network("conv2d?cin=256&size=56&cout=256&k=1"),
        "elementwise": cm.network("elementwise?kind=relu&shape=1x256x56x56"),
        "pool": cm.network("pool?c=256&size=56"),
    }
    before = {name: cm.latency(net, platform).seconds for name, net in nets.items()}
    name = f"{term}_{kind}"
    slower = replace(
        platform,
        fitted=with_values(platform.fitted, {name: platform.fitted.theta[name] / 10}),
    )
    after = {name: cm.latency(net, slower).seconds for name, net in nets.items()}
    assert after[kind] > 1.2 * before[kind]
    assert {n: after[n] for n in nets if n != kind} == {n: before[n] for n in nets if n != kind}


def test_only_facts_that_are_not_assumed_bound_the_time() -> None:
    net = cm.network("conv2d?cin=64&size=56&cout=64&k=3")
    assert load_hardware("accelerator").assumed
    assert float(cm.latency(net, PLATFORM).bound_seconds) == 0
    eyeriss = load_platform("eyeriss/accelerator")
    assert not eyeriss.hardware.assumed
    multiply_adds = 64 * 64 * 9 * 56 * 56
    assert float(cm.latency(net, eyeriss).bound_seconds) == pytest.approx(
        multiply_adds / (168 * 200e6)
    )


def test_an_accelerator_computes_in_the_types_that_it_has() -> None:
    eyeriss = load_hardware("eyeriss")
    assert eyeriss.peak_for("float32") == eyeriss.peak_for("int8") == 2 * 168 * 200e6
    both = machine_for(load_platform("eyeriss/accelerator?dtype=int8"), "int8")
    assert both.cache == 108 * 1024


def test_an_npu_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "my-npu.toml"
    own.write_text(TEMPLATE.read_text().replace('"accelerator"\ntitle', '"my-npu"\ntitle'))
    assert lint_device(own) == []
    rows = [cm.Measurement(f"conv2d?cin={c}&size=28&cout={c}&k=3", c * 1e-5) for c in (32, 64, 128)]
    found = cm.calibrate(rows, f"{own}/accelerator").platform
    assert found.base == "my-npu/accelerator"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raspberry-pi-4/accelerator", "accelerator runs on accelerators, and raspberry-pi-4 is a"),
        ("gtx-1080-ti/accelerator", "accelerator runs on accelerators, and gtx-1080-ti is a GPU"),
        ("eyeriss/cuda-graphs", "cuda-graphs runs on GPUs, and eyeriss is an accelerator"),
        ("eyeriss/ncnn", "ncnn runs on CPUs, and eyeriss is an accelerator; use another runtime"),
        ("gtx-1080-ti/neon", "neon runs on CPUs, and gtx-1080-ti is a GPU; use another runtime"),
        (f"{PLATFORM}?threads=2", "accelerator is an accelerator, which has no threads to set"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_platform(name)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('core = "cortex-a72"', "of kind accelerator must give lanes, and neither core"),
        ('architecture = "ampere"', "of kind accelerator must give lanes, and neither core"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, line: str, said: str) -> None:
    own = tmp_path / "accelerator.toml"
    own.write_text(TEMPLATE.read_text().replace("[lanes]", f"{line}\n\n[lanes]"))
    with pytest.raises(DataError, match=said):
        load_hardware(own)


def test_report_command_and_plots(tmp_path: Path) -> None:
    run = CliRunner().invoke
    done = run(app, ["report", "mobilenet_v2", "-p", PLATFORM, "--html", str(tmp_path / "r.html")])
    assert done.exit_code == 0, done.output
    printed = run(app, ["report", "mobilenet_v2", "-p", PLATFORM]).output
    assert "Latency on accelerator/accelerator" in printed
    assert "accelerator/accelerator" in (tmp_path / "r.html").read_text()
    shown = run(app, ["platforms", "show", PLATFORM, "--json"])
    assert {"rate", "rate_pool"} < {p["name"] for p in json.loads(shown.output)["parameters"]}
    assert run(app, ["advise", "shufflenet_v2", "--platform", PLATFORM]).exit_code == 0
    prediction = cm.latency(cm.zoo.mobilenet_v2(), PLATFORM)
    plots.roofline(prediction)
    plots.breakdown([prediction])
