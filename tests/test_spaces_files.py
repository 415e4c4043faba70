"""Files of variants: written chunk by chunk, whole or not at all, each column of one type."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.spaces import Space, find_space
from costmodel.spaces import chunks as chunks_module
from costmodel.spaces.sweeping import with_choices
from costmodel.spaces.writing import rows_to

ARM = "rk3399/tflite"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel")
    assert result.exit_code == code, result.output
    return result


def test_files_of_all_variants_are_written_chunk_by_chunk(monkeypatch, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(chunks_module, "STRUCTURES", 2)
    arguments = ["sweep", "mobilenet_v2", "-p", ARM, "--where", "latency<0.05"]
    files = [tmp_path / name for name in ("all.parquet", "all.csv")]
    for file in files:
        assert "wrote " in run(*arguments, "-o", str(file)).stderr
    here = cm.sweep(find_space("mobilenet_v2"), ARM, "latency<0.05")
    table = parquet.ParquetFile(files[0])
    assert table.num_row_groups > 3
    rows = table.read().to_pydict()
    assert len(rows["variant"]) == len(here) == len(files[1].read_text().splitlines()) - 1
    order = np.argsort(here.columns["variant"])
    for name, values in here.table().items():
        np.testing.assert_allclose(rows[name], values[order], rtol=1e-12)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_sweep_that_fails_leaves_the_file_that_was_there(tmp_path, suffix):
    file = tmp_path / f"kept.{suffix}"
    arguments = ["sweep", "mobilenet_v1", "-p", ARM, "--choose", "width=0.5", "-o", str(file)]
    if suffix == "parquet":
        pytest.importorskip("pyarrow.parquet")
    run(*arguments)
    before = file.read_bytes()
    for wrong in (["--where", "flop<1"], ["--where", "flops"], ["--choose", "size=nan"]):
        run(*arguments, *wrong, code=2)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_parquet_holds_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "kept.parquet"
    sample = ["nasbench201", "-p", ARM, "--sample", "8"]
    run("sweep", *sample, "--pareto", "latency,flops", "-o", str(file))
    table = parquet.read_table(file)
    assert {"variant", "latency", "edge0"} <= set(table.column_names)


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ((None, 3), [None, "3"]),
        ((None, "a"), [None, "a"]),
        (("a", 1), ["a", "1"]),
        ((True, 2), ["True", "2"]),
        (((3, 3), (5, 5)), ["(3, 3)", "(5, 5)"]),
        (((3,), (5, 5)), ["(3,)", "(5, 5)"]),
        ((1, 2.5), [1.0, 2.5]),
        ((False, True), [False, True]),
    ],
)
def test_choices_of_mixed_types_have_one_type_in_all_chunks(values, stored, monkeypatch, tmp_path):
    """A chunk may hold one of the values only, such as None; its type is not that of the column."""
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(chunks_module, "STRUCTURES", 1)
    space = Space("own", lambda c, kind: cm.zoo.pointwise(7, 7, 8, c), {"kind": values, "c": (8,)})
    for name in ("all.parquet", "all.csv"):
        with rows_to(tmp_path / name) as write:
            cm.sweep(space, ARM, each=lambda rows: write(with_choices(space, rows)))
    assert parquet.ParquetFile(tmp_path / "all.parquet").num_row_groups == 2
    assert parquet.read_table(tmp_path / "all.parquet")["kind"].to_pylist() == stored
    with open(tmp_path / "all.csv", newline="") as file:
        rows = [row["kind"] for row in csv.DictReader(file)]
    assert rows == ["" if value is None else str(value) for value in stored]
