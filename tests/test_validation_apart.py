"""Campaigns in worker processes: what crashes, hangs or is killed costs one network alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from faulty_backend import MESSAGES, Faulty

import costmodel as cm
from costmodel_validation.errors import MeasuringError, StoreError
from costmodel_validation.measuring import worker
from costmodel_validation.measuring.campaign import Campaign, run_campaign
from costmodel_validation.measuring.clock import Plan
from costmodel_validation.measuring.rounds import Rounds, StoredTurn
from costmodel_validation.measuring.store import Store

SPECS = ("linear?cin=8", "softmax", "linear?cin=4", "linear?cin=2")
BAD = "softmax"
PLAN = Plan(budget=0.2, warm_up=0.0, turn=0.0, sample=1e-9, rounds=6, min_samples=3, precision=1.0)


def campaign(tmp_path: Path, faults: dict[str, str], **fields) -> Campaign:
    backend = Faulty(tmp_path / "log", faults, fields.pop("at", "first"))
    return Campaign(SPECS, backend, plan=PLAN, **fields)


FAILURES = {
    "raise": "softmax: ValueError: it went wrong",
    "exit": "softmax: its code ended the program (exit 0)",
    "os exit": "softmax: its process ended with code 3",
    "segfault": "softmax: its process crashed (SIGSEGV)",
    "abort": "softmax: its process crashed (SIGABRT)",
    "killed": "softmax: its process was killed, most likely as memory ran out",
    "memory": "softmax: there is not enough memory to run it",
    "interrupt": "softmax: KeyboardInterrupt",
    "recursion": "softmax: RecursionError: maximum recursion depth exceeded",
    "hang": "softmax: no sign of life for 1.2 s, so that it was ended (--limit allows more)",
}


@pytest.mark.parametrize(
    ("how", "at"),
    [*((how, "first") for how in FAILURES), ("raise", "later"), ("os exit", "later")],
)
def test_a_network_costs_itself_alone(tmp_path: Path, how: str, at: str) -> None:
    path = tmp_path / "s.jsonl"
    limit = 1.0 if how == "hang" else 60.0
    with Store(path) as store:
        done = run_campaign(campaign(tmp_path, {BAD: how}, at=at, limit=limit), store)
    found = {result.spec: result for result in done}
    assert found.keys() == set(SPECS)
    assert found[BAD].timing is None
    assert found[BAD].failure.startswith(FAILURES[how])
    assert all(found[spec].timing is not None for spec in SPECS if spec != BAD)
    kept = {r.spec: r.failure for r in Store(path).results()}
    assert kept == {spec: r.failure for spec, r in found.items()}


def test_a_network_that_forks_is_measured_once(tmp_path: Path) -> None:
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(campaign(tmp_path, {BAD: "fork"}), store)
    assert sorted(r.spec for r in done) == sorted(SPECS)
    assert all(r.timing is not None for r in done)


@pytest.mark.parametrize("how", MESSAGES)
def test_a_network_that_writes_into_the_pipe_of_its_worker(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_LAST_WORDS", 1.0)
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(campaign(tmp_path, {BAD: how}, limit=60.0), store)
    assert {r.spec for r in done if r.timing is None} == {BAD}
    assert len(done) == len(SPECS)


def test_code_of_a_network_that_changes_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves_the_folder.py").write_text(
        "import os, costmodel\n"
        "def net():\n    os.chdir('/')\n    return costmodel.zoo.pointwise(7, 7, 8, 8)\n"
    )
    cm.save(cm.zoo.pointwise(7, 7, 8, 8), tmp_path / "graph.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    specs = ("python:leaves_the_folder:net", "graph.json")
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(Campaign(specs, Faulty(tmp_path / "log"), plan=PLAN), store)
    assert {r.spec: r.failure for r in done} == dict.fromkeys(specs, "")


def test_two_that_fail_and_a_process_for_each_that_is_left(tmp_path: Path) -> None:
    faults = {SPECS[0]: "segfault", SPECS[3]: "exit"}
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(campaign(tmp_path, faults), store)
    assert {r.spec for r in done if r.timing is None} == set(faults)
    assert len(done) == len(SPECS)


def test_where_memory_is_short_a_network_is_tried_once_more_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(campaign(tmp_path, {BAD: "crowded"}), store)
    assert all(r.timing is not None for r in done)
    assert [r.spec for r in done][-1] == BAD


def rounds_of(store: Store, what: Campaign) -> dict[str, int]:
    found = store.rounds._turns
    return {spec: len(found.get(what.key(spec), ())) for spec in what.specs}


def test_others_go_on_from_their_rounds_when_one_crashes(tmp_path: Path) -> None:
    what = campaign(tmp_path, {BAD: "segfault"}, at="later")
    with Store(tmp_path / "s.jsonl") as store:
        done = run_campaign(what, store)
    calls = re.findall(r"call (\S+)", what.backend.log.read_text())
    timings = {r.spec: r.timing for r in done if r.timing}
    for spec, timing in timings.items():
        assert timing.rounds == PLAN.rounds
        # Two warm-ups of 2 calls, 6 turns of 1 + 3, and at most one turn that was cut off.
        assert 4 + 24 <= calls.count(spec) <= 4 + 24 + 4


class StopsAfter(Store):
    """A store whose campaign is interrupted after some rounds."""

    left = 3

    def append_round(self, turns: Sequence[StoredTurn]) -> None:
        super().append_round(turns)
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_an_interrupted_campaign_goes_on_from_its_last_round(tmp_path: Path) -> None:
    path, what = tmp_path / "s.jsonl", campaign(tmp_path, {})
    with StopsAfter(path) as store, pytest.raises(KeyboardInterrupt):
        run_campaign(what, store)
    assert rounds_of(Store(path), what) == dict.fromkeys(SPECS, 3)
    before = what.backend.log.read_text().count("call")
    with Store(path) as store:
        done = run_campaign(what, store)
    assert all(r.timing and r.timing.rounds == PLAN.rounds for r in done)
    after = what.backend.log.read_text().count("call") - before
    assert after == len(SPECS) * (2 + 3 * 4)  # a warm-up of two calls, three turns
    assert not Rounds(path).path.exists()


def test_rounds_of_another_graph_or_machine_are_not_gone_on_from(tmp_path: Path) -> None:
    path, what = tmp_path / "s.jsonl", campaign(tmp_path, {})
    with StopsAfter(path) as store, pytest.raises(KeyboardInterrupt):
        run_campaign(what, store)
    rounds = Store(path).rounds
    key = what.key(SPECS[0])
    (origin,) = {turn.origin for turn in rounds._turns[key]}
    assert len(rounds.of(key, origin)) == 3
    assert rounds.of(key, "another") == ()


def test_a_torn_round_is_dropped_with_its_number(tmp_path: Path) -> None:
    path, what = tmp_path / "s.jsonl", campaign(tmp_path, {})
    with StopsAfter(path) as store, pytest.raises(KeyboardInterrupt):
        run_campaign(what, store)
    file = Rounds(path).path
    file.write_bytes(file.read_bytes()[:-10])
    torn = Store(path)
    assert torn.rounds.torn == [3]
    assert rounds_of(torn, what) == dict.fromkeys(SPECS, 2)
    with Store(path) as store:
        assert all(r.timing for r in run_campaign(what, store))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_a_round_of_impossible_numbers_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    turn = {"clean": [10**400], "disturbed": [], "median": 1.0, "spent": 10**400, "repeat": 1}
    entry = {"key": "a", "origin": "b", "spec": "c", "turn": turn}
    (tmp_path / "s.jsonl.rounds").write_text(json.dumps({"round": [entry]}) + "\n")
    assert Store(path).rounds.torn == [1]


def test_a_disk_that_fills_up_between_rounds_is_one_sentence(tmp_path: Path) -> None:
    path, what = tmp_path / "s.jsonl", campaign(tmp_path, {})
    os.symlink("/dev/full", Rounds(path).path)
    with Store(path) as store, pytest.raises(StoreError, match="the disk is full; the 0 results"):
        run_campaign(what, store)


def test_a_worker_that_cannot_start_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costmodel_validation.measuring.worker._START", "import os; os._exit(7)")
    with (
        Store(tmp_path / "s.jsonl") as store,
        pytest.raises(MeasuringError, match="ended before the first network: .* with code 7"),
    ):
        run_campaign(campaign(tmp_path, {}), store)
