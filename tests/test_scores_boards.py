"""What boards teach about each other, on boards made by hand."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.platforms import load_platform
from costmodel.prediction.table import tabulate
from costmodel.timing.fitted import Fitted
from costmodel.timing.multipliers import DEVICE, DEVICE_SPREAD
from costmodel.timing.parameters import Parameter, priors
from costmodel_validation.scores import boards, hierarchy
from costmodel_validation.scores import priors as command
from costmodel_validation.scores.bench import MODEL, Bench
from costmodel_validation.scores.hierarchy import NORMAL, Known, known, taught
from costmodel_validation.scores.levels import (
    Level,
    leaving_out,
    level_spread,
    unseen,
    with_level,
)
from costmodel_validation.scores.moderation import moderated

BEFORE = [Parameter(n, 1.0, 0.5, 0.01, 100.0, "1", "") for n in ("first", "second")]
NAMES = ["mobilenet_v1?size=128", "mobilenet_v2?size=128", "resnet18?size=64", "squeezenet"]


def board(name: str, engine: str, x: float, sharp: float = 400.0) -> Known:
    sharpness = np.diag([sharp, 0.0])
    return Known(name, engine, sharpness, sharpness @ [x, 0.0], np.zeros(2))


def test_the_mean_lies_between_boards_and_what_was_there_before() -> None:
    found = taught([board(str(i), "e", x) for i, x in enumerate((0.9, 1.0, 1.1))], BEFORE)
    assert 0.5 < found.engines["e"][0] < 1.0
    assert found.engines["e"][1] == 0  # no board says anything
    assert found.seen[""].tolist() == pytest.approx([3, 0], abs=0.2)


def test_an_engine_differs_by_what_its_source_says_until_boards_tell() -> None:
    offset = np.array([0.0, 1.0])
    one = replace(board("a", "own", 0.5), offset=offset)
    found = taught([one, board("b", "other", 0.5)], BEFORE)
    assert found.engines["own"] - found.engines["other"] == pytest.approx(offset, abs=0.02)
    assert found.mean[1] == 0  # the source of one engine says nothing of the others


def test_the_source_of_an_engine_counts_without_boards() -> None:
    lesson = taught([board("a", "ncnn", 0.0)], BEFORE)
    names = [p.name for p in boards.before()]
    zeros = np.zeros(len(names))
    lesson = replace(lesson, mean=zeros, errors={"": zeros}, engines={}, between=zeros, apart=zeros)
    values = {}
    for runtime in ("tflite", "tflite-ruy"):
        platform = unseen(load_platform(f"raspberry-pi-4/{runtime}"), lesson, boards.before())
        values[runtime] = platform.fitted.theta
    assert values["tflite"]["pack"] == pytest.approx(0.25 * values["tflite-ruy"]["pack"])
    assert values["tflite"]["gemm"] == values["tflite-ruy"]["gemm"]


def test_one_odd_board_moves_the_mean_less_than_a_usual_one() -> None:
    usual = [board(str(i), "e", x) for i, x in enumerate((-0.1, -0.05, 0.0, 0.05, 0.1, 0.0))]
    means = [
        taught([*usual, board("odd", "e", x)], BEFORE).engines["e"][0] for x in (0.0, 0.3, 3.0)
    ]
    assert means[0] < means[2] < means[1] + 0.1
    assert means[2] < 0.5 * 3.0 / 7  # of seven boards, one alone is that far away


def test_one_odd_engine_moves_those_that_were_never_seen_little() -> None:
    usual = [board(f"{e}{i}", e, 0.2) for e in "abcd" for i in range(4)]
    odd = [board(f"odd{i}", "odd", -4.0) for i in range(4)]
    found = taught(usual + odd, BEFORE)
    assert found.engines["odd"][0] < -3.5
    assert found.of("never seen")[0][0] > -0.3  # the mean of the five is -0.64


def test_a_scatter_of_which_all_boards_are_part_is_known_and_one_of_two_boards_is_not() -> None:
    spread = np.array([0.15, 0.2, 1.0, 1.2, 0.2, 0.2])
    found = moderated(spread, np.array([15.0, 10.0, 15.0, 10.0, 1.2, 0.5]))
    assert found[:4] == pytest.approx(spread[:4], rel=0.2)  # these scatter each in its own way
    assert found[1] < 0.22 < found[4]  # one board may agree with another by chance
    assert found[5] == spread[5]


def test_the_level_of_a_new_board_scatters_as_those_that_were_left_out_did() -> None:
    def told(error: float, variance: float) -> list[Level]:
        return [Level(sign * error, variance, 1.0) for sign in (1, -1) * 20]

    assert level_spread([]) == pytest.approx(DEVICE_SPREAD, abs=0.01)
    assert level_spread(told(0.3, 0.0)) == pytest.approx(0.3, abs=0.02)
    # What the spreads of other parameters explain is not explained twice.
    assert level_spread(told(0.3, 0.05)) == pytest.approx(0.2, abs=0.05)
    assert level_spread(told(0.3, 0.2)) < level_spread(told(0.3, 0.05))


def test_the_level_of_a_board_is_learnt_from_the_others() -> None:
    names = ("raspberry-pi-4", "rk3399", "snapdragon-835", "snapdragon-810")
    speeds = dict(zip(names, (8.0, 1.0, 1.0, 1.0), strict=True))
    sets = [_bench(name, speed) for name, speed in speeds.items()]
    boards_known = known(sets, boards.before())
    found = leaving_out(sets, boards_known, boards.before())
    assert set(found) == set(names)
    # Only where the odd board is among the others do they scatter.
    assert found["raspberry-pi-4"].level < 0.5 * found["rk3399"].level
    both = with_level(sets, boards_known, boards.before())
    assert found["raspberry-pi-4"].level < both.level


def test_boards_that_disagree_widen_the_spread() -> None:
    alike = taught([board(str(i), "e", 0.5) for i in range(6)], BEFORE)
    apart = taught([board(str(i), "e", x) for i, x in enumerate((-1, 2, 0, 1.5, -0.5, 1))], BEFORE)
    assert alike.between[0] < 0.25 < 0.7 < apart.between[0]


def test_engines_have_means_of_their_own_and_an_unknown_one_has_that_of_all() -> None:
    fast = [board(str(i), "fast", 1.0) for i in range(5)]
    slow = [board(str(i), "slow", -1.0) for i in range(5)]
    found = taught(fast + slow, BEFORE)
    assert found.engines["fast"][0] > 0.5 > -0.5 > found.engines["slow"][0]
    mean, spread = found.of("never seen")
    assert abs(mean[0]) < 0.2
    assert spread[0] > found.of("fast")[1][0]


def _bench(device: str, speed: float, threads: int = 1, names: list[str] = NAMES) -> Bench:
    """Return a board that takes ``1 / speed`` times what its formulas say with priors."""
    platform = load_platform(f"{device}/ncnn?threads={threads}", calibrated=False)
    parameters = tuple(
        replace(p, **dict(zip(("value", "spread"), _before(p), strict=True)))
        for p in platform.fitted.parameters
    )
    platform = replace(platform, fitted=Fitted.prior(parameters))
    table = tabulate([cm.network(name) for name in names], platform)
    seconds = table.seconds(platform, platform.fitted.theta) / speed
    return Bench(platform, table, seconds, ("",) * len(names), (), tuple(names))


def _before(p: Parameter) -> tuple[float, float]:
    old = {q.name: q for q in boards.before()}
    return (old[p.name].value, old[p.name].spread) if p.name in old else (p.value, p.spread)


def test_a_fit_of_one_board_finds_what_made_its_rows() -> None:
    (found,) = known([_bench("raspberry-pi-4", 1.0)], boards.before())
    assert (found.board, found.engine) == ("raspberry-pi-4", "ncnn")
    mean = np.log([p.value for p in boards.before()])
    spread = np.array([p.spread for p in boards.before()])
    at, _ = found.posterior(mean, spread)
    assert at == pytest.approx(mean, abs=0.15)


def test_a_board_that_is_left_out_is_predicted_by_the_others() -> None:
    names = ("raspberry-pi-4", "rk3399", "snapdragon-835", "snapdragon-810")
    sets = {f"ncnn {name} x1": _bench(name, 1.5) for name in names}
    sets["ncnn raspberry-pi-4 x2"] = _bench("raspberry-pi-4", 1.5, threads=2)
    scores, facts = boards.score_boards(sets)
    own = {s.device: s.figures for s in scores if s.method == MODEL}
    assert set(own) == set(sets)
    # Rows are half as fast again as the priors say, a third less time; the others have told.
    assert all(f.median < 0.25 for f in own.values())
    assert all(f.coverage == 1 for f in own.values())
    assert set(facts) == {"threads raspberry-pi-4 x2 small", "threads raspberry-pi-4 x2 large"}
    assert all(value < 0.1 for value in facts.values())


def test_throttled_and_unpinned_boards_teach_no_others() -> None:
    sets = {"a": _bench("rk3588", 1.0, names=NAMES[:1])}
    sets["b"] = replace(sets["a"], platform=load_platform("rk3588/armnn?threads=4"))
    sets["c"] = replace(sets["a"], platform=load_platform("xeon-e5-2686-v4/tflite"))
    assert boards.teaching(sets) == [sets["a"]]


def test_before_is_what_no_board_has_taught() -> None:
    names = {p.name for p in boards.before()}
    direct = next(p for p in boards.before() if p.name == "direct")
    assert (direct.value, direct.spread) == (0.53, 0.3)
    assert names == {p.name for p in priors("cpu") if p.spread > 0}


def test_what_was_found_is_written_where_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"cpu.toml": command._GENERAL, "ncnn.toml": command._RUNTIMES / "ncnn.toml"}
    for name, file in files.items():
        (tmp_path / name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(command, "_GENERAL", tmp_path / "cpu.toml")
    monkeypatch.setattr(command, "_RUNTIMES", tmp_path)
    size = len(boards.before())
    names = [p.name for p in boards.before()]
    mean = np.log([p.value for p in boards.before()])
    mean[names.index("gemm")] = np.log(0.5)
    mean[names.index("winograd")] = np.log(99.0)  # beyond its range
    seen = np.zeros(size)
    seen[[names.index(n) for n in ("gemm", "winograd", "low_clock")]] = 2.0
    mean[names.index("low_clock")] = np.log(2.0)
    found = hierarchy.Taught(
        mean,
        {"ncnn": mean, "tflite": mean},
        np.full(size, 0.1 / NORMAL),
        np.full(size, 0.0),
        dict.fromkeys(("", "ncnn", "tflite"), np.zeros(size)),
        dict.fromkeys(("", "ncnn", "tflite"), seen),
    )
    command._write_general(found, 7)
    assert "matmul" in tomllib.loads((tmp_path / "ncnn.toml").read_text("utf-8"))["priors"]["cpu"]
    command.write_engine("ncnn", found, 7, command._SOURCE)
    command._write_level("ncnn", replace(found, level=0.271), 7)
    from costmodel.runtimes import load_runtime
    from costmodel.timing.parameters import read_priors

    general = {p.name: p for p in read_priors((tmp_path / "cpu.toml").read_text("utf-8"), "cpu")}
    assert (general["gemm"].value, general["gemm"].spread) == (0.5, 0.1)
    assert "7 boards" in general["gemm"].source
    assert general["winograd"].value == general["winograd"].upper
    own = load_runtime(str(tmp_path / "ncnn.toml")).priors["cpu"]
    assert own["gemm"]["value"] == 0.5
    # Few boards have this effect: a mean and a spread around it do not describe that.
    assert general["low_clock"].value == 0.1
    assert "low_clock" not in own
    assert "matmul" not in own  # boards determined it before and do not now
    assert (own[DEVICE]["value"], own[DEVICE]["spread"]) == (1.0, 0.27)
    assert "7 boards" in own[DEVICE]["source"]


def test_what_the_source_of_an_engine_says_is_written_without_boards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (command._GENERAL, command._RUNTIMES / "tflite.toml"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(command, "_GENERAL", tmp_path / "cpu.toml")
    monkeypatch.setattr(command, "_RUNTIMES", tmp_path)
    mean = np.log([p.value for p in boards.before()])
    none = np.zeros_like(mean)
    found = hierarchy.Taught(
        mean, {"tflite": mean}, none + 0.1, none, {"tflite": none}, {"tflite": none}
    )
    command.write_engine("tflite", found, 3, command._SOURCE)
    own = tomllib.loads((tmp_path / "tflite.toml").read_text("utf-8"))["priors"]["cpu"]
    written = {name for name, entry in own.items() if "priors: mean" in entry["source"]}
    assert written == {"pack", "direct", "pool"}


def test_few_boards_that_agree_may_do_so_by_chance() -> None:
    spread = np.array([0.1, 0.5, 0.6, 0.7, 0.4, 0.15])
    few = moderated(spread, np.array([2.0, 4, 4, 4, 4, 0.2]))
    many = moderated(spread, np.array([200.0, 4, 4, 4, 4, 0.2]))
    assert few[0] > 0.2 > 0.12 > many[0]
    assert few[3] < spread[3]  # nor do they know that they differ so much
    assert few[5] == spread[5]  # no board tells it: an assumption
    assert moderated(spread[:2], np.array([4.0, 4.0])).tolist() == [0.1, 0.5]


def test_spreads_that_are_all_alike_stay_as_they_are() -> None:
    assert moderated(np.full(5, 0.4), np.full(5, 8.0)) == pytest.approx(np.full(5, 0.4), rel=0.1)
