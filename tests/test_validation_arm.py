"""The ARM backend in ``costmodel validate``: every number says whether it was measured."""

from __future__ import annotations

import importlib.util
import json
import platform as python_platform
import re
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from costmodel import zoo
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.specs import network
from costmodel_validation.arm.bench.answers import BoardSample, BoardTurn, State
from costmodel_validation.arm.bench.board import Board as BoardCommands
from costmodel_validation.arm.bench.build import arm_compiler
from costmodel_validation.arm.bench.texts import harmless
from costmodel_validation.arm.checks.emulate import TOTAL, emulate
from costmodel_validation.arm.errors import BackendError, KernelError
from costmodel_validation.arm.simulator.core import load_core
from costmodel_validation.backends import BACKENDS, Settings, load_backend
from costmodel_validation.backends.arm import ArmBackend
from costmodel_validation.backends.arm_board import BoardCampaign
from costmodel_validation.backends.arm_timing import Watch
from costmodel_validation.comparing.tables import NOTES
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.campaign import Campaign, run_campaign
from costmodel_validation.measuring.clock import Plan, Timing, summary
from costmodel_validation.measuring.options import chosen_cores
from costmodel_validation.measuring.store import Store

_NEEDED = [name for name in ("unicorn", "capstone") if importlib.util.find_spec(name) is None]
needs_simulation = pytest.mark.skipif(
    bool(_NEEDED), reason=f"{' and '.join(_NEEDED)} not found: pip install 'nn-costmodel[arm]'"
)
SMALL = "shufflenet_v2?width=0.5&size=64"
PI = "raspberry-pi-4/neon"
ODD = "elementwise?kind=log&shape=1x4x4x4"


def validate(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["validate", *words], env={"COLUMNS": "1000"})
    assert result.exit_code == code, result.output
    return result


A72 = {"part": "arm:0x41:0xd08", "max_khz": 1_500_000, "governor": "performance"}


@dataclass
class Board:
    """A board whose operators take a millisecond each, as its program would answer."""

    emulator: str | None = None
    cores: tuple[dict[str, Any], ...] = tuple({**A72, "cpu": number} for number in range(4))
    unverified: str | None = None
    hertz: tuple[float, ...] = (1.5e9,)
    slow: float = 1.0
    noise: float = 0.0
    failure: str = ""
    bound: list[int] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    networks: list[int] = field(default_factory=list)
    name: str = "arm:ssh://me@board"
    where: str = "arm:ssh://me@board"

    @property
    def runs(self) -> int:
        return sum(command.startswith(("turn", "detail")) for command in self.commands)

    def session(self) -> Board:
        return self

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, command: str, timeout: float) -> dict[str, Any]:
        self.commands.append(command)
        word, *rest = command.split()
        return getattr(self, word)(*rest)

    def host(self) -> dict[str, Any]:
        told = {"machine": "aarch64", "emulator": self.emulator, "load": "0.1 0.1"}
        if self.unverified:
            told["unverified"] = self.unverified
        return {"host": {**told, "cores": list(self.cores)}}

    def pin(self, *cores: str) -> dict[str, Any]:
        self.bound = [int(core) for core in cores]
        return {"cores": self.bound}

    def threads(self, count: str) -> dict[str, Any]:
        return {"threads": [[core] for core in self.bound[: int(count)]]}

    def network(self, *words: str) -> dict[str, Any]:
        if self.failure:
            raise KernelError(harmless(self.failure))
        self.networks.append(words.count("op"))
        return {"network": len(self.networks) - 1}

    def turn(self, number: str, repeat: str, least: str, *_: str) -> dict[str, Any]:
        operators = self.networks[int(number)]
        count = max(20, int(least.partition("=")[2]))
        hertz = self.hertz[min(self.runs, len(self.hertz)) - 1]
        state = {"hertz": hertz, "core": (self.bound or [0])[0], "khz": -1, "millicelsius": 50000}
        each = operators * 1e-3 * (self.slow if hertz < max(self.hertz) else 1.0)
        each *= 1 + self.noise * (self.runs % 3)
        samples = [[(1 + 0.01 * i / count) * each, 1.0, 0] for i in range(count)]
        return {"before": state, "after": state, "samples": samples}

    def detail(self, number: str, *_: str) -> dict[str, Any]:
        return {"operators": [[1e-3] * 20] * self.networks[int(number)]}


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    board = Board()
    monkeypatch.setattr("costmodel_validation.backends.arm.parse_target", lambda name: board)
    return board


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("arm:native", "measured"),
        ("arm:ssh://me@board:22", "measured"),
        ("arm:adb://123", "measured"),
        ("arm:emulated", "emulated"),
        ("arm:simulated", "simulated"),
        ("torch", "measured"),
    ],
)
def test_backends_are_found_by_name_and_say_what_their_times_are(name: str, label: str) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    backend = load_backend(name)
    assert (backend.name, backend.label) == (name, label)


def test_every_label_that_is_not_measured_has_a_note() -> None:
    assert "arm" in BACKENDS
    assert NOTES["measured"] == ""
    assert "not measured" in NOTES["simulated"]
    assert "no latency" in NOTES["emulated"]


@needs_simulation
def test_simulated_times_are_never_called_measured() -> None:
    out = validate(SMALL, "--backend", "arm:simulated").output
    assert "Latency in ms, simulated on" in out
    assert "Simulated, not measured: this validates nothing" in out
    assert load_core("cortex-a57").parameters()[:40] in " ".join(out.split())
    before = out.replace("not measured", "")
    assert "measured" not in before
    assert "range" in out
    assert "95 %" not in out


@needs_simulation
def test_simulated_json_keeps_times_under_their_label() -> None:
    document = json.loads(validate(SMALL, "--backend", "arm:simulated", "--json").stdout)
    assert document["label"] == "simulated"
    assert "misses at once (range: 8 to 1)" in document["note"]
    assert f"kernels compiled by {arm_compiler()}" in document["note"]
    (found,) = document["networks"]
    assert "measured" not in found
    times = found["simulated"]
    assert times["low"] < times["median"] < times["high"]
    assert found["kernels"]
    assert all("measured" not in kernel for kernel in found["kernels"])
    inside = sum(kernel["simulated"] for kernel in found["kernels"])
    assert inside == pytest.approx(times["median"], rel=0.02)


@needs_simulation
def test_an_emulator_checks_and_counts_and_has_no_latency() -> None:
    document = json.loads(validate(SMALL, "--backend", "arm:emulated", "--json").stdout)
    assert document["label"] == "emulated"
    text = json.dumps(document)
    assert "seconds" not in text
    assert "median" not in text
    (found,) = document["networks"]
    assert found["wrong"] == []
    *kernels, total = found["kernels"]
    assert total["kernel"] == TOTAL
    assert total["worst"] <= found["tolerance"] == 1e-5
    for name in ("operators", "instructions", "loads", "stores", "bytes_read", "bytes_written"):
        assert total[name] == sum(row[name] for row in kernels)
    assert total["instructions"] > total["loads"] > total["stores"] > 0
    assert {"conv1x1", "depthwise", "shuffle", "concat"} <= {row["kernel"] for row in kernels}


@needs_simulation
def test_counts_are_the_same_to_the_instruction() -> None:
    graph = network("depthwise?c=8&size=14&k=3")
    assert emulate("dw", graph) == emulate("dw", graph)


@needs_simulation
def test_counts_of_a_copy_are_those_of_its_bytes() -> None:
    row, _ = emulate("concat", network("concat?shape=1x16x28x28")).kernels
    moved = 2 * 16 * 28 * 28 * 4
    assert row.bytes_read >= moved
    assert row.bytes_written >= moved
    assert row.bytes_written < 1.1 * moved
    assert row.worst == 0


@needs_simulation
def test_a_wrong_result_is_named_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from costmodel_validation.arm.checks import emulate as module

    real = module.check

    def worse(*args: Any) -> Any:
        first, *rest = real(*args)
        return [type(first)(first.index, first.kernel, 2e-5), *rest]

    monkeypatch.setattr(module, "check", worse)
    out = validate("pointwise?h=7&w=7&c1=8&c2=8", "--backend", "arm:emulated", code=1).output
    assert "0 of 1 operators agree" in out
    assert "wrong: " in out
    assert "(conv1x1, 2.0e-05)" in out


def test_an_emulator_is_refused_where_times_are_asked_for(tmp_path: Path) -> None:
    with Store(tmp_path / "s.jsonl") as store:
        campaign = Campaign((SMALL,), load_backend("arm:emulated"))
        (result,) = run_campaign(campaign, store)
    assert "arm:emulated has no latency" in result.failure
    out = validate("g1", "--backend", "arm:emulated", code=2).output
    assert "an emulator has none" in out


def test_a_board_is_measured_kernel_by_kernel(board: Board) -> None:
    arguments = (SMALL, "--backend", "arm:ssh://me@board", "--platform", PI, "--json")
    document = json.loads(validate(*arguments).stdout)
    assert (document["label"], document["note"]) == ("measured", "")
    assert document["host"]["machine"] == "aarch64"
    (found,) = document["networks"]
    assert found["platform"] == PI
    assert found["kernels"]
    assert found["measured"]["median"] == pytest.approx(1e-3 * len(found["kernels"]), rel=0.01)
    assert sum(found["decomposition"].values()) == pytest.approx(found["error"])


def test_the_kernels_are_those_that_the_runtime_neon_predicts() -> None:
    graph = zoo.shufflenet_v2(width=0.5, size=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("costmodel_validation.backends.arm.parse_target", lambda name: Board())
        timings = ArmBackend("ssh://me@board").measure_kernels(graph, Settings(), Plan(warm_up=0))
    assert len(timings) > 50
    assert {t.timing.median for t in timings} == {1e-3}


def test_a_board_that_is_an_emulator_ends_with_one_sentence(board: Board) -> None:
    board.emulator = "qemu"
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--platform", PI, code=2).output
    assert out.strip().startswith("costmodel: arm:ssh://me@board: the binary found itself under")
    assert "its wall time is no latency" in out
    assert board.runs == 0


def test_the_cores_of_a_board_name_its_platform(board: Board, tmp_path: Path) -> None:
    document = json.loads(validate(SMALL, "--backend", "arm:ssh://me@board", "--json").stdout)
    assert document["networks"][0]["platform"] == PI
    board.cores = ({**A72, "cpu": 0, "part": "arm:0x41:0xfff"},)
    words = "the board has 1 arm:0x41:0xfff: which hardware is it? Give --platform, such as"
    assert words in validate(SMALL, "--backend", "arm:ssh://me@board", code=2).output
    measured = CliRunner().invoke(
        app, ["measure", SMALL, "--backend", "arm:adb://1", "-o", str(tmp_path / "s.jsonl")]
    )
    assert measured.exit_code == 2
    assert words in measured.output


@pytest.mark.parametrize(
    ("platform", "change", "words"),
    [
        ("rtx-3090/torch-eager", {}, "rtx-3090 is a GPU, the board's processor is not"),
        ("raspberry-pi-5/neon", {}, "the board has 4 cortex-a72, raspberry-pi-5 has 4 cortex-a76"),
        (PI, {"part": "arm:0x41:0xd0b"}, "the board has 4 cortex-a76, raspberry-pi-4 has"),
        (PI, {"max_khz": 2_400_000}, "core 0 of the board runs at up to 2.40 GHz"),
        ("raspberry-pi-4/neon?threads=4", {}, "has threads 4, but the networks are run with"),
    ],
)
def test_a_platform_that_is_not_the_board_is_refused(
    board: Board, platform: str, change: dict[str, Any], words: str
) -> None:
    board.cores = tuple({**core, **change} for core in board.cores)
    command = (SMALL, "--backend", "arm:ssh://me@board", "--platform", platform)
    assert words in validate(*command, code=2).output
    assert board.runs == 0


def test_more_cores_than_the_device_has_contradict_it(board: Board) -> None:
    board.cores = tuple({**A72, "cpu": number} for number in range(6))
    command = (SMALL, "--backend", "arm:ssh://me@board", "--platform", PI)
    assert "the board has 6 cores cortex-a72" in validate(*command, code=2).output


@pytest.mark.parametrize("platform", ["rtx-3090/torch-eager", "raspberry-pi-4/neon"])
def test_a_simulated_core_is_compared_with_its_own_device_alone(platform: str) -> None:
    command = (SMALL, "--backend", "arm:simulated", "--platform", platform)
    out = validate(*command, code=2).output
    assert "arm:simulated is cortex-a57 at 1.96 GHz" in out
    assert "give snapdragon-810/neon" in out


def test_a_gpu_does_not_predict_what_runs_on_the_processor() -> None:
    pytest.importorskip("torch")
    out = validate(SMALL, "--backend", "torch", "--platform", "rtx-3090/torch-eager", code=2).output
    assert "is a GPU, and torch runs on the processor: give --device cuda" in out


def test_a_board_of_doubtful_kind_is_called_unverified(board: Board) -> None:
    board.unverified = "the machine is a virtual one"
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--no-kernels").output
    assert "unverified: the machine is a virtual one" in out


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
    out = validate(SMALL, "--backend", "arm:simulated", "--dtype", dtype, code=1).output
    assert f"arm:simulated cannot honour --dtype {dtype}" in out


def test_int8_is_refused_where_nothing_is_quantized() -> None:
    pytest.importorskip("torch")
    result = CliRunner().invoke(app, ["validate", SMALL, "--backend", "torch", "--dtype", "int8"])
    assert result.exit_code in (1, 2)
    assert "dtype int8 needs a backend that quantizes" in result.output


def test_cold_caches_and_the_budget_reach_the_board(board: Board) -> None:
    validate(SMALL, "--backend", "arm:ssh://me@board", "--no-kernels", "--cache", "cold")
    turns = [command for command in board.commands if command.startswith("turn")]
    assert turns
    assert all(command.endswith("cold=1") for command in turns)


@pytest.mark.parametrize(
    "option",
    [
        ("--layout", "channels_last"),
        ("--mode", "compile"),
        ("--dtype", "bfloat16"),
        ("--device", "cuda"),
        ("--threads", "2"),
    ],
)
@pytest.mark.parametrize("backend", ["arm:ssh://me@board", "arm:simulated", "ncnn"])
def test_options_that_are_not_honoured_are_refused_by_name(
    board: Board, backend: str, option: tuple[str, str]
) -> None:
    if option[0] == "--threads" and backend != "arm:simulated":
        return  # they have threads
    if backend == "ncnn":
        pytest.importorskip("ncnn")
    result = CliRunner().invoke(
        app, ["validate", SMALL, "--backend", backend, *option], env={"COLUMNS": "1000"}
    )
    assert result.exit_code in (1, 2)
    assert " ".join(option) in result.output or "platform" in result.output
    assert board.runs == 0


def test_exactness_is_refused_where_nothing_is_measured() -> None:
    out = validate(SMALL, "--backend", "arm:simulated", "--precision", "0.1", code=2).output
    assert "arm:simulated cannot honour --precision: it calculates, and measures nothing" in out


def test_kernels_are_written_as_csv_and_headed_by_how_they_were_timed(
    board: Board, tmp_path: Path
) -> None:
    path = tmp_path / "kernels.csv"
    shown = validate(SMALL, "--backend", "arm:ssh://me@board", "--table", str(path)).output
    out = " ".join(shown.split())
    assert "its kernels in ms, inside the network" in out
    assert "each measured alone" not in out
    head, *rows = path.read_text().splitlines()
    assert head == "network,platform,kernel,kind,predicted,measured"
    assert len(rows) > 50
    assert all(row.endswith(",0.001") and f",{PI}," in row for row in rows)


def test_a_figure_holds_predicted_and_simulated_times_against_measured_ones(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(
        "costmodel_validation.backends.arm.ArmBackend._simulated",
        lambda self, graph, how: summary([0.02]),
    )
    path = tmp_path / "net.svg"
    words = ("--backend", "arm:ssh://me@board", "--no-kernels", "--plot", str(path))
    said = "predicted and simulated against measured times of 1 networks"
    assert f"{path}: {said}" in validate(SMALL, *words).output
    assert "simulated" in path.read_text()

    def fails(*_: Any) -> Timing:
        raise MeasuringError("no table of this instruction")

    monkeypatch.setattr("costmodel_validation.backends.arm.ArmBackend._simulated", fails)
    assert f"{path}: predicted against measured times" in validate(SMALL, *words).output
    for name, reason in (
        ("net.txt", "a figure is one of .pdf, .png, .svg"),
        ("no/net.svg", "there is no folder"),
    ):
        runs = board.runs
        wrong = (*words[:-1], str(tmp_path / name))
        assert reason in validate(SMALL, *wrong, code=2).output
        assert board.runs == runs
    out = validate("g1", "--backend", "arm:ssh://me@board", "--plot", str(path), code=2).output
    assert "--table and --plot are of networks" in out


@needs_simulation
def test_a_figure_of_simulated_times_says_that_none_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "net.svg"
    words = ("--backend", "arm:simulated", "--no-kernels", "--plot", str(path))
    out = validate("conv2d?cin=8&size=14&cout=8", *words).output
    assert "predicted against simulated times of 1 networks" in out
    assert "simulated, not measured" in path.read_text().replace("<!-- ", "")


def test_what_has_no_kernel_is_named_before_anything_is_measured(board: Board) -> None:
    words = (ODD, SMALL, "--backend", "arm:ssh://me@board", "--no-kernels")
    out = validate(*words, code=1).output
    assert "1 of 2 networks cannot be run there:" in out
    assert f"{ODD}: the ARM backend has no kernel for" in out
    assert len(board.networks) == 1


def test_text_of_a_board_is_shown_and_not_obeyed(board: Board) -> None:
    board.cores = tuple({**core, "governor": "[/x]\x1b[31mpowersave"} for core in board.cores)
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--no-kernels").output
    assert "[/x]\\x1b[31mpowersave" in out
    assert "\x1b" not in out


def test_results_of_a_board_are_kept_under_the_platform_that_was_named(
    board: Board, tmp_path: Path
) -> None:
    path = tmp_path / "s.jsonl"
    words = ["measure", SMALL, "--backend", "arm:adb://1", "--platform", PI, "-o", str(path)]
    assert CliRunner().invoke(app, words).exit_code == 0
    (result,) = Store(path).results()
    assert (result.platform, result.host["machine"]) == (PI, "aarch64")


@pytest.mark.skipif(
    python_platform.machine() in {"aarch64", "arm64"}, reason="this machine runs arm:native"
)
def test_native_on_another_machine_is_one_sentence() -> None:
    out = validate(SMALL, "--backend", "arm:native", code=2).output
    assert "arm:native needs an aarch64 Linux machine" in out


def test_an_operator_without_a_kernel_is_one_sentence() -> None:
    graphs = {"ln": network(ODD)}
    found = dict(ArmBackend("simulated").measure_networks(graphs, Settings(), Plan()))
    assert not isinstance(found["ln"], Timing)
    assert "no kernel for Elementwise (log)" in str(found["ln"])


def test_an_absent_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any) -> Path:
        raise BackendError("no C compiler was found (cc): install the Python package ziglang")

    monkeypatch.setattr("costmodel_validation.arm.bench.targets.build_armbench", absent)
    monkeypatch.setattr("costmodel_validation.arm.simulator.count.build_armbench", absent)
    for target, code in (("emulated", 2), ("simulated", 1)):
        out = validate(SMALL, "--backend", f"arm:{target}", code=code).output
        assert "no C compiler was found" in out


def test_this_host_is_its_own_platform_whatever_its_cores_are_called() -> None:
    ArmBackend("native").confirm_platform("host/neon")
