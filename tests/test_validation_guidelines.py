"""The guidelines as experiments: the verdicts are those of the times, and say whose they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel_validation.backends import KernelTiming, Label, Settings
from costmodel_validation.errors import MeasuringError
from costmodel_validation.guidelines.claims import GUIDELINES, guidelines_only
from costmodel_validation.measuring.campaign import GROUP
from costmodel_validation.measuring.clock import Plan, Timing, summary
from costmodel_validation.measuring.store import Store
from costmodel_validation.scores.paper_tables import TABLES, cells

PRINTED = {cell.network: cell.seconds for cell in cells("arm")}


class Machine:
    """Takes the times that a function of the printed ones says."""

    name = "machine"

    def __init__(
        self,
        seconds: Callable[[str], list[float]] = lambda name: [PRINTED[name]],
        label: Label = "measured",
    ) -> None:
        self.seconds, self.label = seconds, label
        self.groups: list[tuple[str, ...]] = []

    def describe(self, settings: Settings) -> dict[str, str]:
        return {"cpu": "a machine", "load": "0.00", "parameters": "its parameters"}

    def platform(self, settings: Settings) -> str:
        return "snapdragon-810/paper"

    def confirm_platform(self, name: str, settings: Settings) -> None:
        pass

    def check_settings(self, settings: Settings) -> None:
        pass

    def measure_networks(
        self, graphs: Mapping[str, nx.DiGraph], settings: Settings, plan: Plan
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        self.groups.append(tuple(graphs))
        for name in graphs:
            yield name, summary(self.seconds(name))

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        raise AssertionError("a guideline is about whole networks")


def run(machine: Machine, *words: str, code: int = 0) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("costmodel_validation.cli.load_backend", lambda name: machine)
        result = CliRunner().invoke(app, ["validate", *words], env={"COLUMNS": "1000"})
    assert result.exit_code == code, result.output
    return result


def verdicts(machine: Machine, *names: str) -> list[dict[str, Any]]:
    document = json.loads(run(machine, *names, "--json").stdout)
    return [tried["verdict"] for tried in document["guidelines"]]


def test_every_claim_is_about_rows_of_the_table() -> None:
    assert tuple(g.table for g in GUIDELINES.values()) == TABLES
    for guideline in GUIDELINES.values():
        rows = {cell.row for cell in cells("arm", (guideline.table,))}
        assert {row for pair in guideline.claims for row in pair} == rows
        assert set(guideline.extremes) <= rows


def test_the_paper_s_own_times_bear_the_guidelines_out() -> None:
    found = verdicts(Machine(), *GUIDELINES)
    for verdict in found:
        assert verdict["here"] == pytest.approx(verdict["printed"])
        assert verdict["here"] < 1
        assert verdict["spearman"] == pytest.approx(1)
        assert verdict["ratio"] == pytest.approx(1)
    g1, g2, _, g4 = found
    assert (g1["words"], g1["holds"], g1["contrary"]) == ("holds", 9, 0)
    assert (g2["words"], g2["holds"]) == ("holds", 9)
    assert (g4["words"], g4["holds"]) == ("holds", 12)


def test_strength_is_the_geometric_mean_of_the_columns() -> None:
    (g2,) = verdicts(Machine(), "g2")
    speeds = {(c.column, c.row): 1 / c.seconds for c in cells("arm", ("table2",))}
    product = 1.0
    for column in ("arm_x1", "arm_x2", "arm_x4"):
        product *= speeds[column, "g=8"] / speeds[column, "g=1"]
    assert g2["printed"] == pytest.approx(product ** (1 / 3))


def test_a_machine_that_likes_the_opposite_contradicts_them() -> None:
    for verdict in verdicts(Machine(lambda name: [1 / PRINTED[name]]), "g1", "g2"):
        assert (verdict["words"], verdict["holds"], verdict["contrary"]) == ("does not hold", 0, 9)
        assert verdict["here"] > 1


def test_what_noise_hides_is_undecided() -> None:
    def noisy(name: str) -> list[float]:
        return [PRINTED[name] * (1 + i / 10) for i in range(-5, 6)]

    (g1,) = verdicts(Machine(noisy), "g1")
    assert (g1["words"], g1["holds"], g1["undecided"]) == ("does not hold", 0, 9)
    (simulated,) = verdicts(Machine(noisy, "simulated"), "g1")
    assert simulated["holds"] == 9  # a range that all rows share hides nothing


def test_rows_of_a_column_are_timed_in_turns() -> None:
    machine = Machine()
    run(machine, "g3")
    assert [len(group) for group in machine.groups] == [5, 5, 5]
    assert max(map(len, machine.groups)) <= GROUP
    assert all("c=64" in name for name in machine.groups[0])


def test_the_table_shows_here_predicted_and_printed() -> None:
    out = run(Machine(), "g1").output
    assert "measured here" in out
    assert "predicted" in out
    assert "paper, ARM" in out
    assert "76.2" in out
    assert "G1 holds here: 9 of 9 comparisons bear it out" in " ".join(out.split())
    assert "predicted for snapdragon-810/paper" in out


def test_series_and_parallel_rows_are_told_apart_in_80_columns() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("costmodel_validation.cli.load_backend", lambda name: Machine())
        out = CliRunner().invoke(app, ["validate", "g3"], env={"COLUMNS": "80"}).output
    for row in ("2-fragment-series", "2-fragment-parallel", "4-fragment-parallel"):
        assert row in out


def test_simulated_times_are_called_so() -> None:
    out = " ".join(run(Machine(label="simulated"), "g1").output.split())
    assert "G1 holds in the simulated times" in out
    assert "Simulated, not measured: this validates nothing. It rests on its parameters" in out
    assert "measured" not in out.replace("not measured", "")


def test_results_are_kept_and_used_again(tmp_path: Path) -> None:
    path = str(tmp_path / "s.jsonl")
    run(Machine(), "g1", "-o", path)
    assert len(Store(path).results()) == 12
    again = Machine()
    run(again, "g1", "-o", path)
    assert again.groups == []


def test_a_network_that_fails_ends_it_with_one_sentence() -> None:
    class Failing(Machine):
        def measure_networks(
            self, graphs: Mapping[str, nx.DiGraph], settings: Settings, plan: Plan
        ) -> Iterator[tuple[str, Timing | MeasuringError]]:
            for name in graphs:
                yield name, MeasuringError("no memory")

    out = run(Failing(), "g1", code=2).output
    assert "costmodel: table1, 1:1: no memory" in out


def test_guidelines_and_networks_are_not_mixed() -> None:
    with pytest.raises(DataError, match="take out 'resnet18'"):
        guidelines_only(["g1", "resnet18"])
