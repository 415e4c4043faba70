"""Boards in ``costmodel validate``: turns, throttled cores, clusters, threads."""

from __future__ import annotations

import json
import re
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from fake_board import A72, Board, validate
from fake_board import board_at_hand as board_at_hand
from typer.testing import CliRunner

from costmodel import zoo
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel_validation.arm.bench.answers import BoardSample, BoardTurn, State
from costmodel_validation.arm.bench.board import Board as BoardCommands
from costmodel_validation.arm.errors import BackendError
from costmodel_validation.backends import Settings
from costmodel_validation.backends.arm import ArmBackend
from costmodel_validation.backends.arm_board import BoardCampaign
from costmodel_validation.backends.arm_timing import Watch
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.clock import Plan
from costmodel_validation.measuring.options import chosen_cores

SMALL = "shufflenet_v2?width=0.5&size=64"


def test_what_a_board_measures_has_percentiles_rounds_and_drift(board: Board) -> None:
    words = ("--backend", "arm:ssh://me@board", "--json", "--no-kernels")
    (found,) = json.loads(validate(SMALL, *words).stdout)["networks"]
    timing = found["measured"]
    assert timing["minimum"] < timing["low"] < timing["median"] < timing["high"] < timing["p90"]
    assert timing["p90"] / timing["minimum"] == pytest.approx(1 + 0.009, abs=2e-3)
    assert timing["rounds"] >= 3
    assert timing["samples"] >= 60
    assert timing["precise"]
    rough = json.loads(validate(SMALL, *words, "--precision", "0.0001", "--budget", "0.2").stdout)
    assert not rough["networks"][0]["measured"]["precise"]


def test_networks_are_prepared_in_one_process_and_timed_in_turns(board: Board) -> None:
    small = "conv2d?cin=8&size=14&cout=8"
    validate(SMALL, small, "--backend", "arm:ssh://me@board", "--no-kernels")
    words = [command.split()[:2] for command in board.commands]
    kinds = [word for word, *_ in words]
    loaded = [i for i, kind in enumerate(kinds) if kind == "network"]
    turns = [number for word, number in words[loaded[-1] + 1 :] if word == "turn"]
    assert len(loaded) == 2
    assert "turn" not in kinds[: loaded[-1]]
    assert sum(a != b for a, b in pairwise(turns)) >= 4  # one after the other: 1


def test_a_board_that_is_not_steady_says_so(board: Board, tmp_path: Path) -> None:
    board.noise = 0.5
    words = ("--backend", "arm:ssh://me@board", "--json", "--no-kernels", "--budget", "0.2")
    (found,) = json.loads(validate(SMALL, *words).stdout)["networks"]
    assert not found["measured"]["steady"]
    assert found["measured"]["spread"] > 0.2


def test_a_failure_on_a_board_is_shown_as_it_is(board: Board, tmp_path: Path) -> None:
    """Also where it holds what a terminal or the tables' markup would obey."""
    board.failure = "[/x] \x1b[31mno kernel [bold]"
    words = ["measure", SMALL, "--backend", "arm:ssh://me@board", "-o", str(tmp_path / "s.jsonl")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "[/x] \\x1b[31mno kernel [bold]" in result.output
    assert "\x1b" not in result.output


def test_turns_of_a_throttled_core_are_left_out_and_counted(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(0.0, (3,), pause=lambda seconds: None)
    fast, slow = State(2e9, 3, 60.0), State(1.4e9, 3, 85.0)
    sample = (BoardSample(1e-3, 1e-3, False),)
    assert not watch.judge(BoardTurn(fast, fast, sample))
    assert watch.judge(BoardTurn(fast, slow, sample))
    board.hertz = (*[2e9] * 6, 1e9, 2e9)
    board.slow = 3.0
    monkeypatch.setattr(
        "costmodel_validation.backends.arm_board.Watch", partial(Watch, pause=lambda seconds: None)
    )
    words = ("--backend", "arm:ssh://me@board", "--json", "--no-kernels")
    document = json.loads(validate(SMALL, *words).stdout)
    (found,) = document["networks"]
    assert found["measured"]["disturbed"] == 0
    assert found["measured"]["p90"] < 1.1 * found["measured"]["minimum"]
    assert re.fullmatch(
        r"throttled in 1 of \d+ turns \(1.00 instead of 2.00 GHz\), whose \d+ samples are left "
        r"out, at most 50 degrees: cool the board",
        document["host"]["throttling"],
    )


def test_a_board_is_given_pauses_to_cool_and_given_up_where_they_do_not_help() -> None:
    pauses: list[float] = []
    watch = Watch(30.0, pause=pauses.append)
    fast, slow = State(2e9, 0, 60.0), State(1.2e9, 0, 85.0)
    sample = (BoardSample(1e-3, 1e-3, False),)
    turns = iter([BoardTurn(s, s, sample) for s in (fast, slow, slow, fast)])
    assert watch.kept(lambda: next(turns)).before == fast
    assert watch.kept(lambda: next(turns)).before == fast
    assert pauses == [3.0, 6.0]
    assert (watch.throttled, watch.left_out) == (2, 2)
    with pytest.raises(BackendError) as caught:
        watch.kept(lambda: BoardTurn(slow, slow, sample))
    assert str(caught.value) == (
        "the board is throttled (1.20 instead of 2.00 GHz, at most 85 degrees) even after 30 s of "
        "pauses: cool it, or let it run at a clock that it can hold"
    )
    assert sum(pauses[2:]) == 30.0


def test_a_throttled_core_fails_its_networks_rather_than_slows_them(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "costmodel_validation.backends.arm_board.Watch", partial(Watch, pause=lambda seconds: None)
    )
    board.hertz = (*[2e9] * 3, 1e9)
    words = ("--backend", "arm:ssh://me@board", "--no-kernels")
    assert (
        "the board is throttled (1.00 instead of 2.00 GHz" in validate(SMALL, *words, code=1).output
    )
    board.hertz, board.commands = (*[2e9] * 5, 1e9, *[2e9] * 99), []
    timing = ArmBackend("ssh://me@board")
    graph = zoo.shufflenet_v2(width=0.5, size=64)
    assert len(timing.measure_kernels(graph, Settings(), Plan(warm_up=0))) > 50


@pytest.mark.parametrize(
    ("name", "bound"), [("big", [5]), ("little", [3]), ("cortex-a76", [5]), ("cortex-a55", [3])]
)
def test_clusters_are_named(board: Board, name: str, bound: list[int]) -> None:
    little, big = {"part": "arm:0x41:0xd05"}, {"part": "arm:0x41:0xd0b"}
    board.cores = tuple(
        {**A72, **(big if i > 3 else little), "max_khz": 2_000_000 + 200_000 * (i > 3), "cpu": i}
        for i in range(6)
    )
    measured = ArmBackend("ssh://me@board")
    (core,) = chosen_cores(name, measured, 1)
    assert [core] == bound
    assert chosen_cores("4-5", measured, 1) == (4, 5)
    with pytest.raises(DataError, match="no cores called 'medium'; it has big, little, cortex-a55"):
        chosen_cores("medium", measured, 1)
    with pytest.raises(MeasuringError, match="arm:simulated cannot honour --cores big"):
        chosen_cores("big", ArmBackend("simulated"), 1)


def test_a_governor_that_changes_clocks_is_told_with_what_to_do(board: Board) -> None:
    board.cores = tuple({**core, "governor": "schedutil"} for core in board.cores)
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--no-kernels").output
    assert (
        "the governor is schedutil: times are steadier under performance (echo performance |" in out
    )


def test_a_program_that_runs_elsewhere_than_it_was_bound_to_is_refused() -> None:
    watch = Watch(0.0, (3,))
    state = State(2e9, 1, None)
    with pytest.raises(BackendError, match="bound to core 3 and ran on core 1"):
        watch.judge(BoardTurn(state, state, (BoardSample(1e-3, 1e-3, False),)))


def test_cores_reach_the_board(board: Board) -> None:
    validate(SMALL, "--backend", "arm:ssh://me@board", "--no-kernels", "--cores", "2")
    assert board.bound == [2]
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--cores", "9", code=1).output
    assert "the board has no core 9; it has 0, 1, 2, 3" in out
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--cores", "2-3", code=1).output
    assert "2 cores are given for 1 threads" in out
    out = validate(SMALL, "--backend", "torch", "--cores", "0", code=2).output
    assert "torch cannot honour --cores" in out


def test_threads_reach_the_board_one_a_core(board: Board) -> None:
    words = (SMALL, "--backend", "arm:ssh://me@board", "--no-kernels", "--threads", "2")
    validate(*words, "--cores", "1,3")
    assert board.commands.index("pin 1 3") < board.commands.index("threads 2")
    assert board.bound == [1, 3]
    validate(*words)
    assert board.bound == [2, 3]
    out = validate(*words[:-1], "5", code=2).output
    assert "raspberry-pi-4 has 4 cores, not 5" in out


@pytest.mark.parametrize(
    ("threads", "words"),
    [
        ([[1]], r"and has 1 on \[\[1\]\]"),
        ([[1, 3], [1, 3]], "and has 2"),
        ([[1], [1]], "and has 2"),
    ],
)
def test_threads_that_are_not_there_are_refused(
    board: Board, threads: list[list[int]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Board, "threads", lambda self, count: {"threads": threads})
    with pytest.raises(BackendError, match=f"to have 2 threads on cores of their own, {words}"):
        BoardCampaign(board, Settings(threads=2), Plan()).prepare(BoardCommands(board))


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_narrow_products_reach_the_board(board: Board, dtype: str) -> None:
    words = ("--backend", "arm:ssh://me@board", "--no-kernels", "--dtype", dtype, "--json")
    (found,) = json.loads(validate(SMALL, *words).stdout)["networks"]
    (told,) = [command for command in board.commands if command.startswith("network")]
    assert told.count(f"dtype={dtype}") > 30
    assert f"dtype={dtype}" in json.dumps(found)
    out = validate(SMALL, "--backend", "arm:simulated", "--dtype", dtype, code=2).output
    assert f"arm:simulated cannot honour --dtype {dtype}" in out


def test_cold_caches_and_the_budget_reach_the_board(board: Board) -> None:
    validate(SMALL, "--backend", "arm:ssh://me@board", "--no-kernels", "--cache", "cold")
    turns = [command for command in board.commands if command.startswith("turn")]
    assert turns
    assert all(command.endswith("cold=1") for command in turns)
