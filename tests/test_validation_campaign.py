"""Campaigns on a backend that is a script: failures, interruptions, resumption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import networkx as nx
import pytest

from costmodel_validation.backends import KernelTiming, Settings
from costmodel_validation.errors import ClockError, MeasuringError
from costmodel_validation.measuring.campaign import Campaign, _in_groups, run_campaign
from costmodel_validation.measuring.clock import Plan, Timing, summary
from costmodel_validation.measuring.store import Store

NETWORKS = ("pointwise?h=7&w=7&c1=8&c2=8", "linear", "resnet18", "softmax")


class Scripted:
    """Takes as many seconds as the graph has nodes; fails or stops where it is told to."""

    name = "scripted"
    label: Literal["measured"] = "measured"

    def __init__(self, fail: str = "", stop: str = "", error: type[BaseException] = ValueError):
        self.fail, self.stop, self.error = fail, stop, error
        self.asked: list[str] = []

    def describe(self, settings: Settings) -> dict[str, str]:
        return {"cpu": "none"}

    def platform(self, settings: Settings) -> str:
        return "host/scripted"

    def measure_networks(
        self, graphs: Mapping[str, nx.DiGraph], settings: Settings, plan: Plan
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        for name, graph in graphs.items():
            self.asked.append(name)
            if name == self.stop:
                raise self.error("stopped")
            if name == self.fail:
                yield name, MeasuringError(f"{name}: it crashed")
            else:
                yield name, summary([float(len(graph))])

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        return ()


def test_everything_is_measured_once(tmp_path: Path) -> None:
    backend = Scripted()
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(Campaign(NETWORKS * 2, backend), store)
        again = run_campaign(Campaign(NETWORKS, backend), store)
    assert [r.spec for r in done] == list(NETWORKS)
    assert again == []
    assert backend.asked == list(NETWORKS)
    assert all(r.timing and r.host == {"cpu": "none"} and r.batch >= 1 for r in done)


def test_more_operators_than_networks_are_timed_in_turns() -> None:
    operators = [f"linear?n={n}" for n in range(1, 14)]
    networks = ["resnet18", "pointwise", "model.onnx"]
    assert [len(group) for group in _in_groups(operators, 2)] == [10, 3]
    assert list(_in_groups(networks, 2)) == [networks[:2], networks[2:]]
    mixed = [operators[0], *networks, *operators[1:]]
    groups = list(_in_groups(mixed, 2))
    assert groups[0] == [operators[0], "resnet18"]  # a second network does not fit beside them
    assert [spec for group in groups for spec in group] == mixed
    assert list(_in_groups([], 2)) == []


def test_another_run_or_setting_measures_again(tmp_path: Path) -> None:
    with Store(tmp_path / "s.jsonl") as store:
        for campaign in (
            Campaign(NETWORKS, Scripted()),
            Campaign(NETWORKS, Scripted(), run=1),
            Campaign(NETWORKS, Scripted(), Settings(threads=2)),
        ):
            assert len(run_campaign(campaign, store)) == len(NETWORKS)
        assert len(store.to_measurements()) == 3 * len(NETWORKS)


def test_a_failure_is_one_sentence_and_the_rest_is_measured(tmp_path: Path) -> None:
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(Campaign(("no_such_net", *NETWORKS), Scripted(fail="linear")), store)
        failures = {r.spec: r.failure for r in done if r.timing is None}
        assert set(failures) == {"no_such_net", "linear"}
        assert "no_such_net" in failures["no_such_net"]
        # Failures are tried again, results are not.
        retry = run_campaign(Campaign(NETWORKS, Scripted()), store)
    assert [r.spec for r in retry] == ["linear"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ClockError])
def test_an_interruption_keeps_what_is_done(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path) as store, pytest.raises(error):
        run_campaign(Campaign(NETWORKS, Scripted(stop="resnet18", error=error)), store)
    assert [r.spec for r in Store(path).results()] == list(NETWORKS[:2])
    backend = Scripted()
    with Store(path) as store:
        run_campaign(Campaign(NETWORKS, backend), store)
    assert backend.asked == list(NETWORKS[2:])


def test_kill_9_of_a_real_campaign_is_resumed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "s.jsonl"
    specs = [f"linear?cin=8&cout={i}" for i in range(8, 200)]
    code = (
        "import sys\n"
        "from costmodel_validation.backends import load_backend\n"
        "from costmodel_validation.measuring.campaign import Campaign, run_campaign\n"
        "from costmodel_validation.measuring.store import Store\n"
        "from costmodel_validation.measuring.clock import Plan\n"
        "plan = Plan(budget=0.05, warm_up=0.01, turn=0.005)\n"
        "with Store(sys.argv[1]) as store:\n"
        "    print('open', flush=True)\n"
        "    run_campaign(Campaign(tuple(sys.argv[2:]), load_backend('torch'), plan=plan), store)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), *specs],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
    ) as process:
        while not path.exists() or path.read_bytes().count(b"\n") < 3:
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    store = Store(path)
    kept = len(store.results())
    assert 3 <= kept < len(specs)
    campaign = Campaign(tuple(specs), Scripted())
    assert len(campaign.missing(store)) == len(specs)  # another backend: other keys
    from costmodel_validation.backends import load_backend

    plan = Plan(budget=0.05, warm_up=0.01, turn=0.005)
    assert len(Campaign(tuple(specs), load_backend("torch"), plan=plan).missing(store)) == (
        len(specs) - kept
    )
