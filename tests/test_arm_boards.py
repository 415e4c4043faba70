"""Boards in ``costmodel validate``: their platforms, tables, refusals and text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_board import A72, Board, validate
from fake_board import board_at_hand as board_at_hand
from typer.testing import CliRunner

from costmodel import zoo
from costmodel.cli.app import app
from costmodel_validation.arm.errors import BackendError
from costmodel_validation.backends import Settings
from costmodel_validation.backends.arm import ArmBackend
from costmodel_validation.backends.board_sessions import Outcomes, failing_each
from costmodel_validation.errors import ClockError, MeasuringError
from costmodel_validation.measuring.clock import Plan, Timing, summary
from costmodel_validation.measuring.store import Store

SMALL = "shufflenet_v2?width=0.5&size=64"
PI = "raspberry-pi-4/neon"
ODD = "elementwise?kind=log&shape=1x4x4x4"


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


def test_a_board_of_doubtful_kind_is_called_unverified(board: Board) -> None:
    board.unverified = "the machine is a virtual one"
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--no-kernels").output
    assert "unverified: the machine is a virtual one" in out


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


def test_what_ends_a_campaign_is_the_error_of_each_network_unless_it_is_the_clock() -> None:
    def ended(error: MeasuringError) -> Outcomes:
        yield "a", error
        raise error

    lost = BackendError("the board is gone")
    assert list(failing_each("ab", ended(lost))) == [("a", lost), ("a", lost), ("b", lost)]
    with pytest.raises(ClockError):
        list(failing_each("ab", ended(ClockError("it jumps"))))
