"""Tables that cannot be right, rows of other conditions, and the rows that fit worst."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.calibration.conditions import check_conditions, check_possible, check_units
from costmodel.calibration.measurement import Measurement, read_measurements, write_measurements
from costmodel.calibration.residuals import residuals_of
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel_validation.scores.protocols import READERS

PLATFORM = "raspberry-pi-4/torch-eager"
SPECS = [
    *(f"conv2d?cin={c}&cout={c}&size=14&k=1" for c in (16, 32, 64, 128, 256)),
    *(f"linear?n=1&cin={c}&cout=1000" for c in (64, 256, 1024)),
    *(f"elementwise?kind=relu&shape=1x{c}x28x28" for c in (16, 64, 128)),
    "shufflenet_v2",
]
UNITS = [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")]


def rows(scale: float = 1.0, platform: str = PLATFORM) -> list[Measurement]:
    """Return times of a device three times as slow as its prior, with noise, times ``scale``."""
    prior = cm.load_platform(platform, calibrated=False)
    rng = np.random.default_rng(3)
    found = []
    for number, spec in enumerate(SPECS, start=2):
        seconds = 3 * float(cm.latency(cm.network(spec), prior).seconds)
        seconds *= scale * np.exp(0.05 * rng.standard_normal())
        found.append(Measurement(spec, float(seconds), row=number))
    return found


def written(tmp_path: Path, measurements: Sequence[Measurement], **extra: str) -> Path:
    path = tmp_path / "t.csv"
    write_measurements(path, [replace(m, extra={**m.extra, **extra}) for m in measurements])
    return path


def run(tmp_path: Path, *words: str, code: int = 0):
    out = tmp_path / "fitted.toml"
    words = ("calibrate", str(tmp_path / "t.csv"), "-p", PLATFORM, "-o", str(out), *words)
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"}, prog_name="costmodel")
    assert result.exit_code == code, result.output
    assert out.exists() == (code == 0)
    return result


# Units


@pytest.mark.parametrize(
    ("scale", "unit", "platform"),
    [
        *((*unit, PLATFORM) for unit in UNITS),
        *((*UNITS[0], platform) for platform in ("gtx-1080-ti/torch-eager", "rk3399/ncnn")),
    ],
)
def test_another_unit_is_asked_about(scale: float, unit: str, platform: str) -> None:
    with pytest.raises(
        DataError, match=rf"times as long .* are they {unit}\?.*If seconds: --as-is"
    ):
        cm.calibrate(rows(scale, platform), platform)


@pytest.mark.parametrize("platform", [PLATFORM, "gtx-1080-ti/torch-eager", "rk3399/ncnn"])
def test_seconds_are_taken(platform: str) -> None:
    cm.calibrate(rows(1.0, platform), platform)


def test_times_that_were_divided_once_too_often_are_asked_about() -> None:
    with pytest.raises(DataError, match="times as short .* divided once too often"):
        cm.calibrate(rows(1e-3), PLATFORM)


def test_the_command_refuses_milliseconds_unless_they_are_meant(tmp_path: Path) -> None:
    written(tmp_path, rows(1e3))
    error = run(tmp_path, code=2).stderr
    assert error.startswith("costmodel: t.csv: the times are about 3,")
    assert "are they milliseconds?" in error
    assert "--as-is" in error
    assert error.count("\n") == 1
    assert "rows fitted" in run(tmp_path, "--as-is").output


@pytest.mark.parametrize("factor", [1 / 30, 30.0])
def test_a_slow_or_fast_device_is_taken(factor: float) -> None:
    prior = np.geomspace(1e-5, 1.0, 50)
    scatter = np.exp(0.5 * np.random.default_rng(1).standard_normal(50))
    check_units(factor * prior * scatter, prior)


def test_a_few_rows_in_another_unit_are_left_to_the_outliers() -> None:
    prior = np.geomspace(1e-5, 1.0, 50)
    for factor in (1000, 1 / 1000):
        mixed = prior.copy()
        mixed[:10] *= factor
        check_units(mixed, prior)


@pytest.mark.parametrize(("factor", "word"), [(1e3, "long"), (1e6, "long"), (1e-3, "short")])
@pytest.mark.parametrize("share", [15, 25, 40])
def test_mixed_units_are_asked_about(factor: float, word: str, share: int) -> None:
    prior = np.geomspace(1e-5, 1.0, 50)
    mixed = prior.copy()
    mixed[10 : 10 + share] *= factor
    with pytest.raises(DataError, match=f"{share} of 50 rows .* as {word} as .* units mixed") as e:
        check_units(mixed, prior)
    assert "rows 12, 13, 14" in str(e.value)
    mixed[:46] = 1000 * prior[:46]
    with pytest.raises(DataError, match="milliseconds"):
        check_units(mixed, prior)


def test_times_below_what_the_hardware_can_reach_are_asked_about() -> None:
    """Minutes are 60 times too short: too few for the prior, but no Raspberry Pi is so fast."""
    specs = ("resnet18", "resnet50", "vgg16")
    prior = cm.load_platform(PLATFORM, calibrated=False)
    seconds = [float(cm.latency(cm.network(spec), prior).seconds) for spec in specs]
    cm.calibrate([Measurement(*row) for row in zip(specs, seconds, strict=True)], PLATFORM)
    minutes = [Measurement(spec, s / 60) for spec, s in zip(specs, seconds, strict=True)]
    with pytest.raises(DataError, match="times as short as this hardware can reach"):
        cm.calibrate(minutes, PLATFORM)
    cm.calibrate(minutes, PLATFORM, as_is=True)


def test_rows_that_nothing_fits_are_asked_about() -> None:
    """Times beside networks that they are not of: half of them 30 times too long or short."""
    factors = [30, 1 / 30, 20, 1 / 20] * 3
    measured = [replace(m, seconds=m.seconds * f) for m, f in zip(rows(), factors, strict=True)]
    with pytest.raises(DataError, match="nothing fits these rows"):
        cm.calibrate(measured, PLATFORM)
    cm.calibrate(measured, PLATFORM, as_is=True)


def test_a_factor_of_many_digits_is_short() -> None:
    with pytest.raises(DataError, match=r"about 1e\+298 times as short") as e:
        check_units(np.array([1e-300]), np.array([0.01]))
    assert len(str(e.value)) < 250


@pytest.mark.slow
@pytest.mark.parametrize("data", [*READERS, "paper"])
def test_no_set_of_the_scores_is_refused_and_each_is_in_milliseconds(data: str) -> None:
    from costmodel_validation.scores.bench import Bench
    from costmodel_validation.scores.dataset import data_folder
    from costmodel_validation.scores.paper_scores import paper_bench

    if data == "paper":
        benches = [paper_bench(kind).bench for kind in ("gpu", "arm")]
    else:
        try:
            data_folder()
            sets = READERS[data]()
        except DataError as error:
            if "no measurements at" in str(error) or "COSTMODEL_GRAPHS" in str(error):
                pytest.skip(str(error))
            raise
        benches = [Bench.of(rows, 40) for rows in sets]
    for bench in benches:
        prior = bench.table.seconds(bench.platform, bench.platform.fitted.theta)
        check_units(bench.seconds, prior)
        terms = bench.table.terms(bench.platform, bench.platform.fitted.theta)
        check_possible(bench.seconds, bench.table.sums(terms.bound))
        with pytest.raises(DataError, match="milliseconds"):
            check_units(1000 * bench.seconds, prior)


# Conditions


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"threads": 2}, "threads is 2, but the platform has 1"),
        ({"dtype": "float16"}, "dtype is float16, but the platform has float32"),
        ({"platform": "rk3399/ncnn"}, "platform 'rk3399/ncnn' is not"),
        ({"platform": f"{PLATFORM}?threads=4"}, "threads is 4, but the platform has 1"),
        ({"platform": f"{PLATFORM}?dtype=float16"}, "dtype is float16"),
        ({"extra": {"layout": "channels_last"}}, "layout is channels_last"),
        ({"extra": {"layout": "NHWC"}}, "layout is NHWC"),
        ({"extra": {"cache": "cold"}}, "cache is cold, but the platform's is warm"),
        ({"extra": {"mode": "compile"}}, "mode is compile, but the platform's is eager"),
        ({"extra": {"device": "cuda"}}, "device is cuda, but the platform's is cpu"),
    ],
)
def test_a_row_of_other_conditions_is_refused_by_its_number(
    tmp_path: Path, fields: dict, reason: str
) -> None:
    table = rows()
    table[4] = replace(table[4], **fields)
    with pytest.raises(DataError, match=rf"^row 6: {reason.replace('?', '.')}"):
        cm.calibrate(table, PLATFORM)
    written(tmp_path, table)
    assert f"row 6: {reason}" in run(tmp_path, code=2).stderr


EAGER, GRAPHS = "rtx-3090/torch-eager", "rtx-3090/cuda-graphs"
NCHW, NHWC = {"contiguous", "nchw"}, {"channels_last", "nhwc", "NHWC"}


@pytest.mark.parametrize(
    ("platform", "accepted"),
    [
        (EAGER, NCHW),
        (f"{EAGER}?layout=nhwc", NHWC),
        (GRAPHS, NCHW),
        (f"{GRAPHS}?layout=nhwc", NHWC),
        ("rtx-3090/torch-compile", NCHW | NHWC),  # turns all images over itself
        ("raspberry-pi-4/torch-eager", NCHW),
        ("raspberry-pi-4/torch-compile", NCHW),
        ("raspberry-pi-4/ncnn", NCHW | {"nhwc", "NHWC"}),
    ],
)
def test_the_layout_of_a_row_is_that_of_the_platform(platform: str, accepted: set[str]) -> None:
    where = load_platform(platform)
    for layout in NCHW | NHWC:
        found = check_conditions([Measurement("linear", 1, extra={"layout": layout})], where)
        assert bool(found) == (layout not in accepted)
        assert all(f"layout is {layout}, but the platform's is" in bad.reason for bad in found)


@pytest.mark.parametrize("setting", ["layout=nhwc", "amp=float16", "amp=bfloat16"])
def test_the_platform_of_a_row_has_the_settings_of_the_platform(setting: str) -> None:
    row = Measurement("linear", 1e-3, platform=f"{EAGER}?{setting}")
    assert check_conditions([row], load_platform(row.platform)) == []
    (bad,) = check_conditions([row], load_platform(EAGER))
    assert bad.reason.startswith(" is ".join(setting.split("=")))
    assert bad.reason.endswith(f": take {EAGER}?{setting}")


def test_rows_of_the_right_conditions_are_kept(tmp_path: Path) -> None:
    table = rows()
    table[4] = replace(table[4], threads=2)
    written(tmp_path, table)
    kept = run(tmp_path, "--keep-good")
    assert "left out row 6: threads is 2, but the platform has 1" in kept.stderr
    assert f"{len(SPECS) - 1} rows fitted" in kept.stdout


def test_rows_of_the_platforms_own_conditions_are_taken() -> None:
    own = {"layout": "contiguous", "cache": "warm", "mode": "eager", "device": "cpu", "note": "x"}
    row = Measurement("linear", 1e-3, PLATFORM, 1, "float32", 1, own)
    assert check_conditions([row], cm.load_platform(PLATFORM)) == []
    half = cm.load_platform("gtx-1080-ti/torch-eager?dtype=float16")
    row = Measurement("linear", 1e-3, dtype="float16", threads=1, extra={"device": "cuda"})
    assert check_conditions([row], half) == []


@pytest.mark.parametrize(
    ("runtime", "mode", "host"),
    [
        ("torch-eager", "eager", "in"),
        ("torch-compile", "compile", "in"),
        ("cuda-library", "library", "in"),
        ("cuda-graphs", "graphs", "out"),
    ],
)
def test_each_way_of_starting_kernels_has_its_runtime(runtime: str, mode: str, host: str) -> None:
    for other in ("torch-eager", "torch-compile", "cuda-library", "cuda-graphs"):
        platform = cm.load_platform(f"h100-sxm/{other}")
        (found,) = check_conditions(
            [Measurement("linear", 1e-3, extra={"mode": mode})], platform
        ) or (None,)
        if other == runtime:
            assert found is None
        else:
            assert found is not None
            assert found.reason.endswith(f": take h100-sxm/{runtime}")
        bad = check_conditions([Measurement("linear", 1e-3, extra={"host": host})], platform)
        assert bool(bad) == ((other == "cuda-graphs") != (runtime == "cuda-graphs"))


def test_a_time_without_its_host_is_refused_with_the_platform_to_take() -> None:
    row = Measurement("linear", 1e-3, extra={"host": "out"}, row=7)
    (bad,) = check_conditions([row], cm.load_platform("h100-sxm/torch-eager"))
    assert bad.reason == "host is out, but the platform's is in: take h100-sxm/cuda-graphs"
    assert check_conditions([row], cm.load_platform("raspberry-pi-4/ncnn")) == []


@pytest.mark.parametrize(
    "written", ["rpi4/ncnn", "Raspberry Pi 4B/ncnn", "files/raspberry-pi-4.toml/ncnn"]
)
def test_a_platform_goes_by_its_other_names_and_its_file(written: str) -> None:
    row = Measurement("linear", 1e-3, platform=written)
    assert check_conditions([row], cm.load_platform("raspberry-pi-4/ncnn")) == []
    (bad,) = check_conditions([row], cm.load_platform("raspberry-pi-3/ncnn"))
    assert bad.reason == f"platform {written!r} is not 'raspberry-pi-3/ncnn'"


def test_operands_are_cold_where_bytes_lie_between() -> None:
    platform = cm.load_platform("h100-sxm/cuda-graphs")
    cold = Measurement("linear", 1e-3, extra={"cache": "cold"}, between=10**8)
    assert check_conditions([cold], platform) == []
    (bad,) = check_conditions([replace(cold, between=0)], platform)
    assert bad.reason == "cache is cold, but the platform's is warm"


def test_a_refusal_counts_what_it_does_not_name() -> None:
    with pytest.raises(DataError, match=r"^rows 2, 3 and 10 more: threads is 2"):
        cm.calibrate([replace(m, threads=2) for m in rows()], PLATFORM)


# Residuals


def test_the_row_that_is_wrong_comes_first_with_its_number(tmp_path: Path) -> None:
    table = rows()
    table[7] = replace(table[7], seconds=8 * table[7].seconds)
    written(tmp_path, table)
    read, _ = read_measurements(tmp_path / "t.csv")
    found = residuals_of(cm.calibrate(read, PLATFORM), read)
    assert (found[0].row, found[0].network) == (9, SPECS[7])
    assert found[0].is_outlier
    assert found[0].ratio == pytest.approx(found[0].predicted / found[0].measured)
    off = [abs(np.log(r.ratio)) for r in found]
    assert off == sorted(off, reverse=True)

    text = run(tmp_path).stdout
    assert "the rows that fit worst, 8 of 12" in text
    first = next(line for line in text.splitlines() if line.split()[:1] == ["9"])
    assert SPECS[7] in first

    document = json.loads(run(tmp_path, "--json").stdout)
    assert document["rows"] == len(SPECS) == len(document["residuals"])
    assert document["residuals"][0]["row"] == 9
    assert document["residuals"][0]["outlier"] is True

    lines = list(csv.DictReader(io.StringIO(run(tmp_path, "--csv").stdout)))
    assert [int(line["row"]) for line in lines] == [r.row for r in found]
    assert float(lines[0]["measured"]) == table[7].seconds
    assert float(lines[0]["predicted"]) == pytest.approx(found[0].predicted)


def test_rows_keep_their_numbers_where_others_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, rows())
    lines = path.read_text().splitlines()
    lines.insert(1, lines[1].rsplit(",", 1)[0] + ",-1")
    path.write_text("\n".join(lines) + "\n")
    kept, bad = read_measurements(path, keep_good=True)
    assert [row.row for row in bad] == [2]
    assert [row.row for row in kept] == list(range(3, 3 + len(SPECS)))


def test_few_rows_have_no_sigmas() -> None:
    few = rows()[:3]
    assert all(r.sigmas is None for r in residuals_of(cm.calibrate(few, PLATFORM), few))


def test_json_and_csv_together_are_refused(tmp_path: Path) -> None:
    written(tmp_path, rows())
    assert "give one of --json and --csv" in run(tmp_path, "--json", "--csv", code=2).stderr
