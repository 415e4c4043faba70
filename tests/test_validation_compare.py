"""Predicted beside measured: the decomposition adds up, the scores are those of the definitions."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from costmodel import zoo
from costmodel.prediction.latency import latency
from costmodel_validation.backends import KernelTiming
from costmodel_validation.comparing.compare import Comparison, KernelComparison, compare, score
from costmodel_validation.comparing.tables import (
    kernels_table,
    milliseconds,
    networks_table,
    to_dict,
    unsteady,
)
from costmodel_validation.measuring.backend import Label
from costmodel_validation.measuring.clock import summary

PLATFORM = "host/torch-eager"


def row(name: str, predicted: float, measured: float, **fields: object) -> Comparison:
    interval = (0.8 * predicted, 1.2 * predicted)
    return Comparison(name, "p", predicted, interval, summary([measured]), **fields)  # type: ignore[arg-type]


def test_scores_are_those_of_the_definitions() -> None:
    rows = [row("a", 1.05, 1.0), row("b", 1.5, 2.0), row("c", 4.0, 4.0), row("d", 3.9, 3.0)]
    found = score(rows)
    assert found.mape == pytest.approx((0.05 + 0.25 + 0.0 + 0.3) / 4)
    assert found.within == 0.5
    assert found.covered == 0.5
    assert found.spearman == pytest.approx(1.0)
    assert found.kendall == pytest.approx(1.0)
    assert score(rows[:2]).spearman is None


def test_ranks_that_are_wrong_lower_the_correlations() -> None:
    rows = [row("a", 1, 4), row("b", 2, 3), row("c", 3, 2), row("d", 4, 1)]
    assert score(rows).spearman == pytest.approx(-1.0)
    assert score(rows).kendall == pytest.approx(-1.0)


def test_the_noise_is_the_difference_of_two_measurements() -> None:
    assert row("a", 1.0, 2.0, again=summary([2.2])).noise == pytest.approx(0.1)
    wide = Comparison("a", "p", 1.0, (0, 2), summary([1.0, 2.0, 3.0]))
    assert wide.noise == pytest.approx(0.5)


def test_networks_that_do_not_repeat_are_named() -> None:
    """A model is not judged within the noise, so networks that vary must not look precise."""
    rows = [
        row("a", 1.0, 2.0, again=summary([2.05])),
        row("[b]", 2.0, 4.0, again=summary([3.0])),
        row("c", 3.0, 6.0, again=summary([6.6])),
    ]
    assert [r.repeats for r in (*rows, row("d", 1.0, 2.0))] == [True, False, False, None]
    shown = unsteady(rows)
    assert "2 of 3 networks differ by more than 3.0 %: [b] (25 %), c (10 %)" in shown
    assert unsteady(rows[:1]) == ". Measured again, all networks agree within 3.0 %"
    assert unsteady([row("d", 1.0, 2.0)]) == ""
    out = io.StringIO()
    console = Console(file=out, width=200)
    console.print(networks_table(console, rows, "p"))
    assert "[b] (25 %)" in " ".join(out.getvalue().split())
    assert [n["repeats"] for n in to_dict(rows, {})["networks"]] == [True, False, False]


def test_the_parts_of_an_error_add_up_to_it() -> None:
    kernels = (
        KernelComparison("x", "conv", 3.0, 2.0, "compute"),
        KernelComparison("y", "conv", 1.0, 1.5, "traffic"),
        KernelComparison("z", "copy", 0.5, 0.5, "overhead"),
    )
    c = row("a", 5.0, 4.5, kernels=kernels)
    parts = c.decomposition()
    assert parts["compute"] == pytest.approx(1.0 / 4.5)
    assert parts["traffic"] == pytest.approx(-0.5 / 4.5)
    # Beyond the kernels: predicted 5 - 4.5, measured 4.5 - 4.
    assert parts["between"] == pytest.approx(0.0)
    assert sum(parts.values()) == pytest.approx(c.error)
    assert c.by_kind() == {"conv": (4.0, 3.5), "copy": (0.5, 0.5)}


def test_a_network_is_compared_with_its_prediction_kernel_by_kernel() -> None:
    graph = zoo.shufflenet_v2(width=0.5)
    predicted = latency(graph, PLATFORM)
    alone = [
        KernelTiming(k.kernel.name, k.kernel.kind, summary([2 * float(k.seconds)]))
        for k in predicted.kernels
    ]
    c = compare("net", graph, PLATFORM, summary([2 * float(predicted.seconds)]), None, alone)
    assert c.error == pytest.approx(-0.5)
    assert len(c.kernels) == len(predicted.kernels)
    assert sum(c.decomposition().values()) == pytest.approx(c.error)


def test_kernels_of_another_runtime_are_not_mixed_in() -> None:
    graph = zoo.shufflenet_v2(width=0.5)
    alone = [KernelTiming("something", "copy", summary([1.0]))]
    assert compare("net", graph, PLATFORM, summary([1.0]), None, alone).kernels == ()


def test_tables_name_what_was_measured_where() -> None:
    kernels = (KernelComparison("x", "convolution", 0.003, 0.002, "compute"),)
    rows = [row(n, t, 1.1 * t, kernels=kernels) for n, t in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(networks_table(console, rows, "my machine"))
    console.print(kernels_table(console, rows[0]))
    console.file.close()
    text = console.export_text()
    assert "measured on my machine" in text
    assert "Latency in ms" in text
    assert " 1000 " in text
    assert "-9.1 %" in text
    assert "Spearman 1.000" in text
    assert "+50 %" in text


@pytest.mark.parametrize("label", ["measured", "simulated"])
def test_tables_fit_60_columns_and_lose_no_figure(label: Label) -> None:
    kernels = (KernelComparison("x", "convolution", 0.003, 0.002, "compute"),)
    name = "mobilenet_v2?width=0.75&size=192&batch=16"
    rows = [row(name, t, 1.1 * t, kernels=kernels) for t in (0.0114, 1.234)]
    stream = io.StringIO()
    console = Console(width=60, file=stream)
    console.print(networks_table(console, rows, "a processor, torch 2 eager", label))
    console.print(kernels_table(console, rows[0], label))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 60
    assert "\u2026" not in text
    assert "\u2501" not in text, "no boxes in what is piped"
    for c in rows:
        assert f"{milliseconds(c.interval[0])}-{milliseconds(c.interval[1])}" in text
    assert "-9.1 %" in text
    assert "mobile..." in text


def test_json_holds_seconds_and_reads_back() -> None:
    document = json.loads(json.dumps(to_dict([row("a", 1.0, 2.0)], {"cpu": "x"})))
    (network,) = document["networks"]
    assert (network["predicted"], network["measured"]["median"]) == (1.0, 2.0)
    assert network["error"] == -0.5
    assert document["score"]["mape"] == 0.5
    assert (document["label"], document["note"]) == ("measured", "")


def app() -> typer.Typer:
    from costmodel_validation.cli import measure, validate

    made = typer.Typer()
    made.command("measure")(measure)
    made.command("validate")(validate)
    return made


def test_validate_prints_predicted_beside_measured() -> None:
    pytest.importorskip("torch")
    arguments = [
        "validate",
        "mobilenet_v1?width=0.25&size=64",
        "linear",
        "--budget",
        "0.1",
        "--json",
    ]
    result = CliRunner().invoke(app(), [*arguments, "--platform", PLATFORM, "--repeat"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [n["network"] for n in document["networks"]] == [arguments[1], "linear"]
    for network in document["networks"]:
        assert network["predicted"] > 0
        assert network["again"]["median"] > 0
        assert sum(network["decomposition"].values()) == pytest.approx(network["error"])
    assert document["host"]["torch"]


def test_a_kernel_alone_gets_its_share_of_the_time_on_a_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from costmodel_validation import cli
    from costmodel_validation.backends.torch import TorchBackend
    from costmodel_validation.measuring.clock import Plan

    plans: list[Plan] = []

    def noted(self: TorchBackend, graph: object, settings: object, plan: Plan) -> tuple[()]:
        plans.append(plan)
        return ()

    monkeypatch.setattr(TorchBackend, "measure_kernels", noted)
    words = ["validate", "linear", "--budget", "0.2", "--platform", PLATFORM]
    result = CliRunner().invoke(app(), words)
    assert result.exit_code == 0, result.output
    assert [plan.budget for plan in plans] == pytest.approx([cli._KERNEL_BUDGET * 0.2])


def test_measure_writes_a_store_and_a_table_and_goes_on(tmp_path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    from costmodel.calibration.measurement import read_measurements

    store, table = tmp_path / "s.jsonl", tmp_path / "t.csv"
    fast = ["--budget", "0.05", "-o", str(store), "--table", str(table)]
    first = CliRunner().invoke(app(), ["measure", "linear", "no_such_network", *fast])
    assert first.exit_code == 1
    assert "no_such_network" in first.stderr
    second = CliRunner().invoke(app(), ["measure", "linear", "softmax?shape=8x8", *fast])
    assert second.exit_code == 0, second.output
    rows, _ = read_measurements(table)
    assert [r.network for r in rows] == ["linear", "softmax?shape=8x8"]
    assert store.read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("linear", "no_such_network"), "unknown network 'no_such_network'"),
        (("linear", "--platform", "no_such/torch-eager"), "no hardware 'no_such'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_measured(
    words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    store = tmp_path / "s.jsonl"
    result = CliRunner().invoke(app(), ["validate", *words, "-o", str(store)])
    assert sentence in str(result.exception)
    assert not store.exists() or store.read_text() == ""
