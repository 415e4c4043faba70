"""Platforms by name and by calibration file, and what is wrong with either in one sentence."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.hardware.load import load_hardware
from costmodel.platforms import (
    calibration_file,
    calibration_folder,
    find_calibration,
    load_platform,
    platform_names,
)
from costmodel.timing.fitted import to_toml, with_values
from costmodel.timing.surface import Surface

PI = "raspberry-pi-4/ncnn"
SHIPPED = "gtx-1080-ti/paper"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of calibrations of this test alone."""
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "calibrations"
    folder.mkdir(parents=True)
    return folder


def calibration(platform: str = PI, gemm: float = 0.5) -> str:
    """Text of a calibration whose `gemm` tells it from others."""
    return to_toml(platform, with_values(load_platform(PI, False).fitted, {"gemm": gemm}))


def measured(platform: str, gemm: float) -> str:
    """Text of a calibration of seven rows that leave little unexplained."""
    fitted = with_values(load_platform(PI, False).fitted, {"gemm": gemm})
    found = replace(fitted, rows=7, operator_spread=0.05, network_spread=0.04)
    return to_toml(load_platform(platform, False).name, found)


def refusal(name: str) -> str:
    with pytest.raises(DataError) as error:
        load_platform(name)
    text = str(error.value)
    assert "\n" not in text
    return text


# Names and settings.


@pytest.mark.parametrize(
    "name",
    [
        PI,
        f"{PI}?threads=4",
        "rtx-3090/torch-eager?dtype=float16",
        "gtx-1080-ti/paper?transfers=yes",
        "rtx-3090/torch-eager?dtype=tf32&transfers=yes",
        "rtx-3090/torch-eager?dtype=tf32&layout=nhwc&transfers=yes",
        "xeon-gold-6240/torch-eager?threads=2&layout=nhwc",
        "raspberry-pi-4/tflite?threads=2&dtype=int8&transfers=yes",
    ],
)
def test_a_name_survives_loading(name: str) -> None:
    assert load_platform(name).name == name


@pytest.mark.parametrize(
    "name",
    [f"{PI}?threads=1", f"{PI}?transfers=no", f"{PI}?", f"{PI}?dtype=", f"{PI}?amp=&layout="],
)
def test_settings_that_say_nothing_new_are_left_out_of_the_name(name: str) -> None:
    assert load_platform(name).name == PI


def test_settings() -> None:
    found = load_platform("raspberry-pi-4/tflite?transfers=yes&threads=3&dtype=float16")
    assert (found.threads, found.dtype, found.transfers) == (3, "float16", True)
    plain = load_platform(PI)
    assert (plain.threads, plain.dtype, plain.transfers) == (1, "", False)
    assert not load_platform(SHIPPED).transfers
    assert load_platform(f"{SHIPPED}?transfers=no").name == SHIPPED
    assert (plain.hardware.name, plain.runtime.name) == ("raspberry-pi-4", "ncnn")


def test_a_platform_is_itself() -> None:
    platform = load_platform(PI)
    assert load_platform(platform) is platform


@pytest.mark.parametrize("name", [PI, SHIPPED])
def test_platforms_are_equal_where_all_of_them_is(name: str) -> None:
    one = load_platform(name)
    copied = pickle.loads(pickle.dumps(one))
    assert copied == one
    wide = replace(one.fitted, covariance=2 * one.fitted.covariance)
    assert replace(one, fitted=wide) != one
    assert replace(one, threads=2) != one
    ridge = Surface("gemm", "float32", 1.0, 0.1, 0.1, np.zeros((2, 9)), np.zeros(2))
    others = [
        replace(one.fitted, surfaces=(s,)) for s in (ridge, replace(ridge, weights=np.ones(2)))
    ]
    assert others[0] != others[1]
    assert others[0] == replace(one.fitted, surfaces=(pickle.loads(pickle.dumps(ridge)),))


def test_priors_of_the_runtime_replace_those_of_the_kind() -> None:
    eager = load_platform("rtx-3090/torch-eager", False).fitted
    assert eager.theta["host"] == 2.6e-5
    assert load_platform("rtx-3090/paper", False).fitted.theta["host"] == 1e-7
    assert (eager.rows, eager.basis) == (0, "priors")


# Calibrations.


def test_a_shipped_calibration_is_found_by_name() -> None:
    assert load_platform(SHIPPED).fitted.rows > 0
    assert load_platform(SHIPPED, calibrated=False).fitted.rows == 0
    assert SHIPPED in platform_names()


def test_the_calibration_of_the_user_is_found_first(home: Path) -> None:
    assert calibration_folder() == home
    assert find_calibration(PI) is None
    name = f"{PI}?threads=2&dtype=int8"
    file = home / calibration_file(name)
    assert file.name == "raspberry-pi-4--ncnn--threads=2--dtype=int8.toml"
    file.write_text(calibration(name), "utf-8")
    assert find_calibration(name) == file
    assert name in platform_names()
    assert load_platform(name).fitted.theta["gemm"] == 0.5
    assert load_platform(name, calibrated=False).fitted.theta["gemm"] != 0.5
    assert load_platform("raspberry-pi-4/tflite").fitted.rows == 0  # another runtime
    shadow = home / calibration_file(SHIPPED)
    shadow.write_text(to_toml(SHIPPED, load_platform(SHIPPED, False).fitted), "utf-8")
    assert load_platform(SHIPPED).fitted.rows == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a100-sxm-80gb/torch-eager?dtype=float8", "float64 or float32 or tf32 or float16"),
        ("gtx-1080-ti/paper?dtype=tf32", "no arithmetic in tf32"),
        ("raspberry-pi-4/tflite?dtype=float8", "take dtype=float64 or float32 or int8"),
        ("ryzen-9-7950x/torch-eager?dtype=tf32", "ryzen-9-7950x has no arithmetic in tf32"),
        ("accelerator/accelerator?dtype=float8", "take dtype=float32, or leave it out"),
        ("eyeriss/accelerator?dtype=tf32", "no arithmetic in tf32; leave dtype out"),
    ],
)
def test_a_dtype_without_arithmetic_is_refused(name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_platform(name)


@pytest.mark.parametrize(
    "name",
    [
        "h100-sxm/torch-eager?dtype=float8",
        "a100-sxm-80gb/torch-eager?dtype=tf32",
        # Libraries compute halves in float32 where the hardware has none.
        "gtx-1080-ti/paper?dtype=float16",
        "v100-pcie-16gb/torch-eager?dtype=bfloat16",
        "raspberry-pi-4/ncnn?dtype=uint8",
    ],
)
def test_a_dtype_that_runs_is_accepted(name: str) -> None:
    assert load_platform(name).name == name


@pytest.mark.parametrize("settings", ["transfers=no", "transfers=yes", "dtype=float16", "dtype="])
@pytest.mark.parametrize("name", [SHIPPED, "snapdragon-810/paper"])
def test_no_setting_drops_a_shipped_calibration(name: str, settings: str) -> None:
    plain, other = load_platform(name), load_platform(f"{name}?{settings}")
    assert plain.fitted.rows > 0
    assert other.fitted.theta == plain.fitted.theta
    assert other.fitted.operator_spread == plain.fitted.operator_spread
    assert other.fitted.basis.startswith(plain.fitted.basis)


def test_a_setting_that_was_not_measured_is_said(home: Path) -> None:
    (home / calibration_file(PI)).write_text(measured(PI, 0.4), "utf-8")
    assert load_platform(PI).fitted.basis == "7 measurements"
    four = load_platform(f"{PI}?threads=4").fitted
    assert (four.theta["gemm"], four.basis) == (0.4, "7 measurements with threads=1")
    moved = load_platform(f"{PI}?transfers=yes").fitted
    assert moved.basis == "7 measurements with transfers=no"
    # Networks are of some dtype anyhow.
    assert load_platform(f"{PI}?dtype=float16").fitted.basis == "7 measurements"
    half = f"{PI}?dtype=float16&threads=2"
    (home / calibration_file(PI)).unlink()
    (home / calibration_file(half)).write_text(measured(load_platform(half).name, 0.4), "utf-8")
    said = load_platform(PI).fitted.basis
    assert said == "7 measurements with threads=2, dtype=float16"


def test_another_number_of_threads_widens_the_interval(home: Path) -> None:
    (home / calibration_file(PI)).write_text(measured(PI, 0.4), "utf-8")
    graph = cm.network("shufflenet_v2")
    one, four = (load_platform(f"{PI}?threads={n}").fitted for n in (1, 4))
    assert (one.operator_spread, one.network_spread) == (0.05, 0.04)
    assert (four.operator_spread, four.network_spread) == (0.25, 0.2)
    low, high = cm.latency(graph, f"{PI}?threads=4").interval
    assert high / low > 1.8


def test_of_several_calibrations_the_nearest_is_taken(home: Path) -> None:
    own = {
        f"{PI}?threads=4": 0.4,
        f"{PI}?threads=3&dtype=int8": 0.3,
        f"{PI}?dtype=float16": 0.2,
        f"{PI}?transfers=yes": 0.1,
    }
    for name, gemm in own.items():
        (home / calibration_file(name)).write_text(measured(name, gemm), "utf-8")
    wanted = {
        f"{PI}?threads=4&transfers=yes": 0.4,  # the same threads
        f"{PI}?threads=3": 0.3,  # threads before the dtype
        f"{PI}?dtype=float16&transfers=yes": 0.2,
        PI: 0.1,
        f"{PI}?dtype=int8": 0.1,  # rather of no dtype than of another
        f"{PI}?threads=2": 0.3,
    }
    assert {n: load_platform(n).fitted.theta["gemm"] for n in wanted} == wanted


def test_the_own_calibration_goes_before_a_shipped_one_with_fewer_settings(home: Path) -> None:
    name = f"{SHIPPED}?transfers=yes"
    fitted = replace(load_platform(SHIPPED).fitted, rows=3)
    (home / calibration_file(name)).write_text(to_toml(name, fitted), "utf-8")
    assert load_platform(name).fitted.basis == "3 measurements"
    assert load_platform(SHIPPED).fitted.rows > 3


def test_a_calibration_file_takes_settings(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(measured(f"{PI}?threads=4&dtype=float16", 0.4), "utf-8")
    found = load_platform(f"{file}?threads=2")
    assert found.name == f"{PI}?threads=2&dtype=float16"
    assert found.fitted.theta["gemm"] == 0.4
    assert found.fitted.basis == "7 measurements with threads=4"
    assert load_platform(f"{file}?threads=4").fitted.basis == "7 measurements"
    assert "raspberry-pi-4 has 4 cores, not 5" in refusal(f"{file}?threads=5")
    assert "unknown setting 'thread'" in refusal(f"{file}?thread=2")


def test_a_calibration_is_a_platform(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(calibration(f"{PI}?threads=4"), "utf-8")
    found = load_platform(str(file))
    assert (found.name, found.threads) == (f"{PI}?threads=4", 4)
    assert found.fitted.theta["gemm"] == 0.5


def test_calibrate_saves_where_the_name_finds_it(home: Path) -> None:
    rows = [cm.Measurement("pointwise?h=28&w=28&c1=64&c2=64", 2e-3)]
    result = cm.calibrate(rows, PI)
    assert result.save() == home / "raspberry-pi-4--ncnn.toml"
    assert load_platform(PI).fitted.theta == pytest.approx(result.platform.fitted.theta, rel=1e-5)
    assert load_platform(PI).fitted.rows == 1


def test_hardware_of_ones_own_lies_beside_the_calibration(tmp_path: Path) -> None:
    shipped = Path(load_hardware.__code__.co_filename).parent / "devices" / "raspberry-pi-4.toml"
    text = shipped.read_text("utf-8").replace('name = "raspberry-pi-4"', 'name = "board"')
    (tmp_path / "calibration.toml").write_text(calibration("board/ncnn?threads=2"), "utf-8")
    assert "no hardware 'board'" in refusal(str(tmp_path / "calibration.toml"))
    (tmp_path / "board.toml").write_text(text, "utf-8")
    found = load_platform(str(tmp_path / "calibration.toml"))
    assert (found.name, found.fitted.theta["gemm"]) == ("board/ncnn?threads=2", 0.5)
    assert load_platform(f"{tmp_path / 'board.toml'}/ncnn").name == "board/ncnn"


def test_a_runtime_of_ones_own_lies_beside_the_calibration(tmp_path: Path) -> None:
    file, runtime = tmp_path / "calibration.toml", tmp_path / "mine.toml"
    own = f"raspberry-pi-4/{runtime}"
    runtime.write_text('name = "mine"\ntitle = "x"\nsource = "x"\nlike = "ncnn"\n', "utf-8")
    named = load_platform(f"{own}?threads=2", False)
    file.write_text(to_toml(named.name, with_values(named.fitted, {"gemm": 0.5})), "utf-8")
    found = load_platform(str(file))
    assert (found.name, found.fitted.theta["gemm"]) == ("raspberry-pi-4/mine?threads=2", 0.5)
    runtime.unlink()
    assert "unknown runtime 'mine'" in refusal(str(file))


# Refusals.


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("raspberry-pi-4", "'raspberry-pi-4' must be HARDWARE/RUNTIME"),
        ("raspbery-pi-4/ncnn", "no hardware 'raspbery-pi-4'; did you mean raspberry-pi-4"),
        ("raspberry-pi-4/nccn", "unknown runtime 'nccn'; did you mean ncnn"),
        ("rtx 3090", "such as rtx-3090/cuda-graphs (or cuda-library, paper, "),
        ("abacus", "such as gtx-1080-ti/paper; see costmodel platforms list"),
        ("/ncnn", "the name of the hardware is empty; see"),
        (f"{PI}?dtype=tf32", "raspberry-pi-4 has no arithmetic in tf32"),
        ("host/torch-eager?dtype=float8", "host has no arithmetic in float8"),
        ("raspberry-pi-4/cuda-graphs", "cuda-graphs runs on GPUs, and raspberry-pi-4 is a CPU"),
        (
            f"{PI}?thread=2",
            "unknown setting 'thread'; did you mean threads?",
        ),
        (f"{PI}?layout=nhwc", "ncnn has no layout to choose; leave layout out"),
        (
            "xeon-gold-6240/torch-compile?layout=nhwc",
            "xeon-gold-6240 is a CPU, on which torch-compile has no layout to choose; leave",
        ),
        ("rtx-3090/paper?layout=nhwc", "paper has no layout to choose; leave layout out"),
        ("rtx-3090/torch-compile?layout=nchw", "layout must be nhwc with torch-compile"),
        ("rtx-3090/torch-eager?layout=chwn", "layout must be nchw or nhwc with torch-eager"),
        (f"{PI}?threads=0", "threads must be a positive integer, got '0'"),
        (f"{PI}?threads=two", "threads must be a positive integer, got 'two'"),
        (f"{PI}?threads=", "threads must be a positive integer, got ''"),
        (f"{PI}?threads=5", "raspberry-pi-4 has 4 cores, not 5"),
        (f"{PI}?dtype=half", "dtype must be one of "),
        (f"{PI}?transfers=maybe", "transfers must be yes or no"),
        (f"{PI}?threads=2&dtype=int8&threads=3", "threads has two values; give one"),
        ("rtx-3090/torch-eager?amp=float16&amp=", "amp has two values; give one"),
        ("nowhere.toml", "nowhere.toml: cannot be read: No such file"),
    ],
)
def test_a_wrong_name_is_refused(name: str, part: str) -> None:
    assert part in refusal(name)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("format = ", "format == ", "not TOML"),
        ('"costmodel-calibration"', '"other"', 'format must be "costmodel-calibration"'),
        ("schema = 1", "schema = 2", "with schema 1"),
        ("\nrows = 0", "", "field 'rows' is missing"),
        ("\nrows = 0", "\nrows = -1", "must not be negative"),
        ("\nrows = 0", '\nrows = "many"', "not a number"),
        ("network_spread = 0.2", "network_spread = nan", "must not be negative"),
        (f'platform = "{PI}"', "", "field 'platform' is missing"),
        ("[parameters]", "[parameter]", "field 'parameters' is missing"),
        ("gemm = {value = 0.5,", "gemm = {value = 50.0,", "gemm"),
        ("gemm = {value = 0.5,", "gemm = {value = nan,", "gemm"),
        ("gemm = {value = 0.5,", "gemm = {", "value"),
        ("gemm = {value = 0.5,", "gemm = {value = 0.5, mode = 1,", "mode"),
        ("correlation = [[", "correlation = [[0.0], [", "correlation|not a number"),
        ("correlation = [[1.0", "correlation = [[7.0", "correlation must be a"),
    ],
)
def test_a_wrong_calibration_is_refused(
    tmp_path: Path, home: Path, old: str, new: str, part: str
) -> None:
    text = calibration()
    assert old in text
    for file in (tmp_path / "mine.toml", home / calibration_file(PI)):
        file.write_text(text.replace(old, new, 1), "utf-8")
    said = refusal(str(tmp_path / "mine.toml"))
    assert said.split()[0].endswith("mine.toml:")  # a long path is cut in its middle
    assert any(p in said for p in part.split("|"))
    assert "raspberry-pi-4--ncnn.toml" in refusal(PI)


def test_a_correlation_of_another_size_is_refused(tmp_path: Path) -> None:
    head, _, rest = calibration().partition("correlation = ")
    file = tmp_path / "mine.toml"
    file.write_text(f"{head}correlation = [[1.0, 0.0], [0.0, 1.0]]\n{rest.partition(chr(10))[2]}")
    free = len(load_platform(PI).fitted.free)
    assert f"correlation must be a {free} x {free} matrix" in refusal(str(file))


def test_a_calibration_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    assert "not UTF-8 text" in refusal(str(tmp_path / "mine.toml"))


BOARD = (Path(__file__).parents[1] / "docs" / "data" / "my-board.toml").read_text("utf-8")
SHIPPED_FILES = resources.files("costmodel")
RTX = (SHIPPED_FILES / "hardware" / "devices" / "rtx-3090.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "runtimes"),
    [
        (BOARD, "armnn (or ncnn, "),
        (RTX, "cuda-graphs (or cuda-library, "),
        (BOARD.replace('kind = "cpu"\n', ""), "ncnn (or torch-eager)"),
        (BOARD.replace('"cpu"', '"tpu"'), "ncnn (or torch-eager)"),
        ('kind = "gpu"', "cuda-graphs (or"),
    ],
)
def test_a_description_of_hardware_lacks_a_runtime(
    tmp_path: Path, text: str, runtimes: str
) -> None:
    file = tmp_path / "m.toml"
    file.write_text(text, "utf-8")
    for asked in (str(file), f"{file}?threads=2"):
        assert f"describes hardware: name the runtime behind it, such as {file}/{runtimes}" in (
            refusal(asked)
        )


@pytest.mark.parametrize("name", ["ncnn", "torch-eager", "paper", "cuda-graphs"])
def test_a_description_of_a_runtime_lacks_hardware(name: str) -> None:
    file = str(SHIPPED_FILES / "runtimes" / f"{name}.toml")
    assert "describes a runtime: name the hardware before it, such as" in refusal(file)
    shown = CliRunner().invoke(app, ["platforms", "show", file])
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{name}: ")


@pytest.mark.parametrize("more", ["", "[layout_costs]\n"])
def test_a_runtime_that_is_like_another_is_described_as_one(tmp_path: Path, more: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\ntitle = "x"\nsource = "x"\nlike = "ncnn"\n{more}', "utf-8")
    assert "describes a runtime: name the hardware before it, such as" in refusal(str(file))
    shown = CliRunner().invoke(app, ["platforms", "show", str(file)])
    assert shown.exit_code == 0
    assert shown.stdout.startswith("mine: ")


def test_a_calibration_found_by_name_is_of_that_platform(home: Path) -> None:
    file = home / calibration_file(PI)
    file.write_text(calibration(f"{PI}?threads=4"), encoding="utf-8")
    assert f"{file.name}: it calibrates '{PI}?threads=4', not '{PI}'" in refusal(PI)


GONE = 'gone = {value = 1.0, spread = 0.0, lower = 0.5, upper = 2.0, unit = "1", meaning = "-"}'


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (r"(?m)^unrolled = .*$", "", "parameter 'unrolled' is missing"),
        (r"(?m)^\[parameters\]$", rf"\g<0>\n{GONE}", "parameter 'gone' is unknown"),
        (r"(?m)^\[parameters\]$", rf"\g<0>\nfactor_{GONE}", "parameter 'factor_gone' is unknown"),
        # Fits of the bandwidth of shared caches were in bytes per second before.
        ('"B/cycle"', '"B/s"', "parameter 'shared_bandwidth' is in B/s, not in B/cycle"),
    ],
)
@pytest.mark.parametrize("asked", [PI, f"{PI}?threads=4", "FILE", "FILE?threads=4"])
def test_a_calibration_of_another_version_is_told(
    home: Path, old: str, new: str, part: str, asked: str
) -> None:
    file = home / calibration_file(PI)
    text, found = re.subn(old, new, calibration(), count=1)
    assert found == 1
    file.write_text(text, encoding="utf-8")
    again = f"another version of costmodel wrote it; calibrate {PI} again"
    assert f"{part}: {again}" in refusal(asked.replace("FILE", str(file)))


# Dtypes


@pytest.mark.parametrize("own", ["int8", "uint8", "float16", "bfloat16"])
def test_a_network_of_a_low_precision_is_not_converted_to_another(own: str) -> None:
    graph = cm.network(f"resnet18?dtype={own}")
    assert cm.latency(graph, f"{PI}?dtype={own}").seconds == cm.latency(graph, PI).seconds
    for dtype in {"int8", "uint8", "float16", "float32"} - {own}:
        with pytest.raises(DataError) as error:
            cm.latency(graph, f"{PI}?dtype={dtype}")
        assert f"is already in {own}: only a network in float32 or float64" in str(error.value)


def test_an_image_of_integers_may_be_cast_to_the_dtype_of_the_platform() -> None:
    b = cm.Builder()
    x = b.add(cm.ops.Cast("float32"), b.input((1, 3, 32, 32), dtype="uint8"))
    graph = b.finish(b.add(cm.ops.Conv(8, (3, 3)), x))
    *_, conv = cm.latency(graph, f"{PI}?dtype=float16").kernels
    assert conv.kernel.dtype == "float16"


@pytest.mark.parametrize("dtype", ["float16", "int8", "float64"])
@pytest.mark.parametrize("name", [SHIPPED, "a100-pcie-80gb/torch-eager", PI])
def test_the_dtype_of_the_platform_is_that_of_the_network(name: str, dtype: str) -> None:
    """Calibrated or not: the parameters are those of the platform."""
    by_platform = cm.latency(cm.network("resnet18"), f"{name}?dtype={dtype}")
    by_network = cm.latency(cm.network(f"resnet18?dtype={dtype}"), name)
    assert by_platform.seconds == by_network.seconds
    assert by_platform.basis == by_network.basis


def test_a_calibration_for_a_dtype_is_found_first(home: Path) -> None:
    name = f"{PI}?dtype=float16"
    (home / calibration_file(PI)).write_text(calibration(PI, 0.4), "utf-8")
    assert load_platform(name).fitted.theta["gemm"] == 0.4
    (home / calibration_file(name)).write_text(calibration(name), "utf-8")
    assert load_platform(name).fitted.theta["gemm"] == 0.5


# A runtime of one's own


def test_a_runtime_of_ones_own_stands_behind_the_hardware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = resources.files("costmodel.runtimes") / "ncnn.toml"
    text = shipped.read_text("utf-8").replace('name = "ncnn"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in (f"raspberry-pi-4/{tmp_path}/mine.toml", "raspberry-pi-4/mine.toml"):
        assert load_platform(name).name == "raspberry-pi-4/mine"
        assert load_platform(f"{name}?threads=4").name == "raspberry-pi-4/mine?threads=4"
    assert "none.toml: cannot be read" in refusal("raspberry-pi-4//tmp/none.toml")
