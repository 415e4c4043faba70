"""Calibration with op graphs in memory, and the choice among several platforms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.calibration.measurement import Measurement, write_measurements
from costmodel.calibration.residuals import residuals_of
from costmodel.cli.app import app
from costmodel.cli.calibrate import _with_runtimes
from costmodel.errors import DataError

BOARD = "raspberry-pi-4/tflite"
SPECS = [
    *(f"conv2d?cin={c}&cout={c}&size=14&k=1" for c in (16, 32, 64, 128, 256)),
    *(f"linear?n=1&cin={c}&cout=1000" for c in (64, 256, 1024)),
    *(f"elementwise?kind=relu&shape=1x{c}x28x28" for c in (16, 64, 128)),
    "shufflenet_v2?size=64",
]


def rows(platform: str = BOARD, specs: list[str] = SPECS) -> list[Measurement]:
    """Return times of a device twice as slow as its prior, with noise."""
    prior = cm.load_platform(platform, calibrated=False)
    rng = np.random.default_rng(5)
    return [
        Measurement(
            spec,
            2 * float(cm.latency(cm.network(spec), prior).seconds * np.exp(rng.normal(0, 0.03))),
        )
        for spec in specs
    ]


def in_memory(table: list[Measurement]) -> list[Measurement]:
    return [replace(m, network=cm.network(m.network)) for m in table]


def refusal(row: Measurement, platform: str = BOARD) -> str:
    with pytest.raises(DataError) as error:
        cm.calibrate([row], platform)
    text = str(error.value)
    assert "\n" not in text
    return text


# Graphs


def test_graphs_fit_as_their_names_do() -> None:
    named, graphs = rows(), in_memory(rows())
    by_name, by_graph = cm.calibrate(named, BOARD), cm.calibrate(graphs, BOARD)
    prepared = [replace(m, network=cm.prepare(m.network)) for m in graphs]
    for other in (by_graph, cm.calibrate(prepared, BOARD)):
        assert other.platform.fitted.theta == by_name.platform.fitted.theta
        assert other.residuals.tolist() == by_name.residuals.tolist()


def test_a_graph_shows_by_its_name() -> None:
    table = in_memory(rows())
    found = residuals_of(cm.calibrate(table, BOARD), table)
    assert {r.network for r in found} == {
        "conv2d",
        "linear",
        "elementwise",
        "shufflenet_v2",
    }
    assert Measurement(nx.DiGraph(), 1.0).name == "a graph"


def test_a_table_on_disk_cannot_hold_a_graph(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 2: conv2d is a graph in memory, .*save it"):
        write_measurements(tmp_path / "t.csv", in_memory(rows()))
    assert not list(tmp_path.iterdir())


def test_a_graph_that_is_none_is_refused_with_its_row() -> None:
    wrong = Measurement(nx.DiGraph([(1, 2)]), 1e-3)
    assert refusal(wrong).startswith("row 2: edge 1 -> 2 has no 'links' attribute")
    assert refusal(replace(wrong, row=9)).startswith("row 9: ")
    said = refusal(Measurement(3, 1e-3))  # type: ignore[arg-type]
    assert said == "row 2: network must be a text or an op graph, got int"


@pytest.mark.parametrize("network", ["pointwise", cm.zoo.pointwise(*cm.symbols("h w c1 c2"))])
def test_open_sizes_are_refused(network: str | nx.DiGraph) -> None:
    said = refusal(Measurement(network, 1e-3))
    assert said == "row 2: pointwise: its sizes must be numbers; open are c1, c2, h, w"


# What a row says of its graph


def test_the_batch_of_a_row_is_that_of_its_graph() -> None:
    graph = cm.zoo.resnet18(size=64, batch=4)
    assert cm.calibrate([Measurement(graph, 1.0, batch=4)], BOARD).platform.fitted.rows == 1
    said = refusal(Measurement(graph, 1.0, batch=8))
    assert said == "row 2: batch is 8, but the first input of resnet18 has 4"


def test_the_dtype_of_a_row_is_that_of_its_graph() -> None:
    half = cm.zoo.resnet18(size=64, dtype="float16")
    full = cm.zoo.resnet18(size=64)
    good = [
        (Measurement(half, 1.0, dtype="float16"), BOARD),
        (Measurement(full, 1.0, dtype="float32"), BOARD),
        (Measurement(full, 1.0, dtype="float16"), f"{BOARD}?dtype=float16"),
        (Measurement("resnet18?size=64&dtype=float16", 1.0, dtype="float16"), BOARD),
    ]
    for row, platform in good:
        assert cm.calibrate([row], platform).platform.fitted.rows == 1
    bad = [
        (Measurement(full, 1.0, dtype="float16"), BOARD, "dtype is float16, but resnet18 is in"),
        (Measurement(half, 1.0, dtype="float32"), BOARD, "dtype is float32, but resnet18 is in"),
        (
            Measurement(full, 1.0, dtype="float32"),
            f"{BOARD}?dtype=float16",
            "dtype is float32, but the platform has float16",
        ),
        (
            Measurement("resnet18?size=64&dtype=float16", 1.0, dtype="float32"),
            BOARD,
            "dtype is float32, but the platform has float16",
        ),
    ]
    for row, platform, part in bad:
        assert part in refusal(row, platform)


def test_threads_layout_and_transfers_of_a_graph_are_those_of_the_platform() -> None:
    graph = cm.zoo.resnet18(size=64)
    assert "threads is 4" in refusal(Measurement(graph, 0.01, threads=4))
    assert cm.calibrate([Measurement(graph, 0.01, threads=4)], f"{BOARD}?threads=4")
    eager = "raspberry-pi-4/torch-eager"
    assert "layout is nhwc" in refusal(Measurement(graph, 0.01, extra={"layout": "nhwc"}), eager)
    moved = Measurement(graph, 0.01, platform="gtx-1080-ti/paper?transfers=yes")
    said = refusal(moved, "gtx-1080-ti/paper")
    assert said.endswith(
        "transfers are yes, but the platform's are no: take gtx-1080-ti/paper?transfers=yes"
    )
    assert cm.calibrate([moved], "gtx-1080-ti/paper?transfers=yes")


# Several platforms


def networks(runtime: str) -> list[Measurement]:
    """Return cells with edges "none", which one runtime computes and the other leaves out."""
    cell = "|{}~0|+|{}~0|none~1|+|skip_connect~0|{}~1|none~2|"
    ops = ("nor_conv_1x1", "nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3")
    rng = np.random.default_rng(2)
    cells = {cell.format(*rng.choice(ops, 3)) for _ in range(6)}
    return rows(f"raspberry-pi-4/{runtime}", [f"nasbench201?arch_str={c}" for c in sorted(cells)])


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tflite", "tflite-strict"])
def test_the_runtime_that_ran_explains_the_rows_best(runtime: str) -> None:
    names = ["raspberry-pi-4/tflite", "raspberry-pi-4/tflite-strict"]
    table = networks(runtime)
    found = cm.calibrate(table, names)
    assert found.platform.name == f"raspberry-pi-4/{runtime}"
    best, worse = found.tried
    assert best.platform == found.platform.name
    assert best.error < 0.05 < worse.error
    assert best.rank > worse.rank
    if runtime == "tflite":
        alone = cm.calibrate(table, f"raspberry-pi-4/{runtime}")
        assert alone.tried == ()
        assert alone.platform.fitted.theta == found.platform.fitted.theta


def test_few_rows_do_not_tell_one_platform_from_another() -> None:
    pair = ["raspberry-pi-4/tflite", "raspberry-pi-4/ncnn"]
    with pytest.raises(DataError, match="4 rows do not tell one platform from another"):
        cm.calibrate(rows()[:4], pair)
    for few in ([], pair[:1]):
        with pytest.raises(DataError, match="give one platform, or two and more to try"):
            cm.calibrate(rows(), few)
    with pytest.raises(DataError, match="nothing to calibrate with"):
        cm.calibrate([], pair)


def test_hardware_alone_is_tried_under_every_runtime_that_it_may_have() -> None:
    found = _with_runtimes("raspberry-pi-4?threads=4")
    assert {"raspberry-pi-4/ncnn?threads=4", "raspberry-pi-4/tflite?threads=4"} <= set(found)
    assert not [name for name in found if "cuda" in name]
    assert "gtx-1080-ti/cuda-graphs" in _with_runtimes("gtx-1080-ti")
    assert _with_runtimes("rk3399/ncnn") == ["rk3399/ncnn"]
    assert _with_runtimes("mine.toml") == ["mine.toml"]


@pytest.mark.slow
def test_the_command_says_what_it_tried(tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "fitted.toml"
    write_measurements(table, networks("tflite-strict"))
    words = ["calibrate", str(table), "-o", str(out)]
    for runtime in ("tflite", "tflite-strict"):
        words += ["-p", f"raspberry-pi-4/{runtime}"]
    text = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert text.exit_code == 0, text.output
    first, second, third = text.stdout.splitlines()[:3]
    assert first.startswith("tried raspberry-pi-4/tflite-strict: rows left out are ")
    assert second.startswith("tried raspberry-pi-4/tflite: ")
    assert third.startswith("raspberry-pi-4/tflite-strict: ")
    assert cm.load_platform(str(out)).name == "raspberry-pi-4/tflite-strict"
    small = tmp_path / "small.csv"
    write_measurements(small, rows()[:6])
    shown = CliRunner().invoke(app, [words[0], str(small), *words[2:], "--json"])
    tried = json.loads(shown.stdout)["tried"]
    assert {t["platform"] for t in tried} == {BOARD, f"{BOARD}-strict"}
    assert all(t["error"] > 0 and -1 <= t["rank"] <= 1 for t in tried)
    several = CliRunner().invoke(app, [*words[:1], *words[4:], "--design", "3"])
    assert several.exit_code != 0
