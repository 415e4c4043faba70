"""Tables of measurements: what is written is read; every bad row is named with the reason."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.calibration.measurement import (
    BadRow,
    Measurement,
    check_rows,
    read_measurements,
    write_measurements,
)
from costmodel.errors import DataError

PLATFORM = "raspberry-pi-4/ncnn"
HEADER = "network,seconds,batch,threads,dtype\n"
GOOD = "shufflenet_v2,0.01,1,4,float32\n"


def table(folder: Path, text: str) -> Path:
    file = folder / "table.csv"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(DataError) as error:
        read_measurements(file)
    text = str(error.value)
    assert file.name in text.split()[0]  # a long path is cut in its middle
    assert "\n" not in text
    return text


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [
        Measurement("shufflenet_v2?width=1.5", 0.1 + 0.2, PLATFORM, 8, "float16", 4, {"runs": "3"}),
        Measurement('a, "quoted" name', 1e-9),
        Measurement("conv2d", 1e-3, between=4_000_000),
    ]
    write_measurements(tmp_path / "t.csv", rows)
    found, bad = read_measurements(tmp_path / "t.csv")
    assert (found, bad) == (rows, [])
    assert [dict(m.extra) for m in found] == [{"runs": "3"}, {"runs": ""}, {"runs": ""}]


def test_optional_cells_may_be_empty_or_missing(tmp_path: Path) -> None:
    (full,), _ = read_measurements(table(tmp_path, HEADER + "vit,0.5,,,\n"))
    (bare,), _ = read_measurements(table(tmp_path, "seconds,network\n0.5, vit \n"))
    assert full == bare == Measurement("vit", 0.5)


@pytest.mark.parametrize("column", ["network", "seconds"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    other = {"network": "seconds", "seconds": "network"}[column]
    said = refusal(table(tmp_path, f"{other},platform\n1,x\n"))
    assert f"column '{column}' is missing; there are {other}, platform" in said


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("vit,-1,,,", "seconds must be a positive number, got '-1'"),
        ("vit,0,,,", "seconds must be a positive number, got '0'"),
        ("vit,nan,,,", "seconds must be a positive number, got 'nan'"),
        ("vit,inf,,,", "seconds must be a positive number, got 'inf'"),
        ("vit,,,,", "seconds must be a number in seconds, got ''"),
        ("vit,12 ms,,,", "seconds must be a number in seconds, got '12 ms'"),
        ("vit,90000,,,", "seconds is 90000, more than a day: is it in another unit?"),
        ("vit,1,0,,", "batch must be a positive integer, got '0'"),
        ("vit,1,1.5,,", "batch must be a positive integer, got '1.5'"),
        ("vit,1,inf,,", "batch must be a positive integer, got 'inf'"),
        ("vit,1,,-2,", "threads must be a positive integer, got '-2'"),
        ("vit,1,,many,", "threads must be a positive integer, got 'many'"),
        ("vit,1,,,half", "dtype 'half' is unknown; known are float64"),
        (",1,,,", "network is empty"),
        ("  ,1,,,", "network is empty"),
        ("vit,1", "it has another number of cells than the header"),
        ("vit,1,,,,9", "it has another number of cells than the header"),
        (GOOD.strip(), "the same as row 2 in every column"),
    ],
)
def test_a_bad_row_is_refused_and_the_good_ones_can_be_kept(
    tmp_path: Path, row: str, reason: str
) -> None:
    file = table(tmp_path, f"{HEADER}{GOOD}{row}\nresnet18,0.2,,,\n")
    said = refusal(file)
    assert f"1 of 3 rows are bad: row 3: {reason}" in said
    good, (bad,) = read_measurements(file, keep_good=True)
    assert [m.network for m in good] == ["shufflenet_v2", "resnet18"]
    assert bad.row == 3
    assert bad.reason.startswith(reason)


def test_bad_rows_of_one_reason_are_named_together(tmp_path: Path) -> None:
    said = refusal(table(tmp_path, HEADER + GOOD + "vit,0,,,\n" * 7 + "vit,-1,,,\n" + ",1,,,\n"))
    assert "9 of 10 rows are bad: rows 3, 4 and 5 more: seconds must be" in said
    assert "; row 10: seconds must be a positive number, got '-1' (and 1 more)" in said


def test_a_repeated_measurement_is_no_duplicate() -> None:
    rows = [{"network": "vit", "seconds": "1"}, {"network": "vit", "seconds": "1.01"}]
    assert check_rows(rows)[1] == []
    assert check_rows([*rows, rows[0]])[1] == [BadRow(4, "the same as row 2 in every column")]


@pytest.mark.parametrize("text", ["", HEADER])
def test_an_empty_table_is_refused(tmp_path: Path, text: str) -> None:
    assert "the table has no rows" in refusal(table(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"network,seconds\nv\xe9,1\n")
    assert "not UTF-8 text" in refusal(tmp_path / "t.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal(tmp_path / "none.csv")
    assert "cannot be read: Is a directory" in refusal(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is there")
def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    assert "reading Parquet needs pyarrow" in refusal(tmp_path / "t.parquet")


# Rows that only the calibration can judge.


def test_calibrate_refuses_a_row_of_another_platform() -> None:
    rows = [Measurement("pointwise?h=7&w=7&c1=8&c2=8", 1e-3, p) for p in (PLATFORM, "t4/ncnn")]
    with pytest.raises(DataError, match=r"^row 3: platform 't4/ncnn' is not 'raspberry-pi-4/ncnn'"):
        cm.calibrate(rows, PLATFORM)


@pytest.mark.parametrize("network", ["shuflenet_v2", "shufflenet_v2?widht=1", "nowhere.json"])
def test_calibrate_refuses_an_unknown_network(network: str) -> None:
    rows = [Measurement("pointwise?h=7&w=7&c1=8&c2=8", 1e-3), Measurement(network, 1e-3)]
    with pytest.raises(DataError, match=r"^row 3: "):
        cm.calibrate(rows, PLATFORM)


def test_calibrate_refuses_no_rows() -> None:
    with pytest.raises(DataError, match="nothing to calibrate with"):
        cm.calibrate([], PLATFORM)


@pytest.mark.parametrize(("cell", "good"), [("0", True), ("", True), ("-1", False), ("4MB", False)])
def test_between_is_a_number_of_bytes(tmp_path: Path, cell: str, good: bool) -> None:
    file = table(tmp_path, f"network,seconds,between\nconv2d,0.01,{cell}\n")
    if good:
        assert read_measurements(file)[0] == [Measurement("conv2d", 0.01)]
    else:
        assert f"between must be a whole number of bytes, got '{cell}'" in refusal(file)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 0.0, -1.0, "0.1", True, None])
def test_times_made_in_python_are_checked_as_those_of_a_table_are(seconds):
    rows = [Measurement("shufflenet_v2", 0.1), Measurement("resnet18", seconds)]
    for as_is in (False, True):
        with pytest.raises(DataError, match="row 3: seconds must be a positive number, got "):
            cm.calibrate(rows, "raspberry-pi-4/ncnn", as_is=as_is)
    with pytest.raises(DataError, match="row 2: between must be a number of bytes, got nan"):
        cm.calibrate([Measurement("resnet18", 0.1, between=math.nan)], "raspberry-pi-4/ncnn")


def test_times_may_be_numbers_of_numpy():
    found = [
        cm.calibrate([Measurement("resnet18", number)], "raspberry-pi-4/ncnn").median_error
        for number in (0.25, np.float32(0.25), np.float64(0.25))
    ]
    assert max(found) == min(found)
