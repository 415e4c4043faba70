"""The score of what this project measured on a GPU itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import costmodel as cm
from costmodel.errors import DataError
from costmodel_validation.scores import own_gpu
from costmodel_validation.scores.protocols import READERS


def test_rows_are_run_as_they_were_measured() -> None:
    sets = {rows.name: rows for rows in READERS["h200"]()}
    assert {name: rows.platform for name, rows in sets.items() if "bfloat16" in name} == {
        "h200 graphs bfloat16 operators": "h200/cuda-graphs",
        "h200 graphs bfloat16 networks": "h200/cuda-graphs",
    }
    assert sets["h200 eager float32 networks"].platform == "h200/torch-eager"
    assert sum(len(rows.rows) for rows in sets.values()) == 270
    spec = "linear?n=512&cin=1024&cout=1024"
    low, full = (sets[f"h200 graphs {d} operators"] for d in ("bfloat16", "float32"))
    (row,) = (r for r in low.rows if r.network == spec)
    assert row.group == "products"
    assert cm.mac(low.graph(row), unit="bytes") * 2 == cm.mac(full.graph(row), unit="bytes")
    groups = {row.group for row in sets["h200 graphs bfloat16 networks"].rows}
    assert groups == {"1", "32"}


def test_rows_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_gpu, "FOLDER", Path("/nowhere"))
    with pytest.raises(DataError, match="no measurements at /nowhere/h200_torch.csv"):
        own_gpu.device_sets("h200")


def test_designed_operators_were_measured_as_the_rows_that_they_predict() -> None:
    sets = {rows.name: rows for rows in READERS["h100"]()}
    assert {rows.platform for rows in sets.values()} == {
        "h100-sxm/cuda-graphs",
        "h100-sxm/torch-eager",
    }
    taught = {name for name in sets if own_gpu.designed(name) is not None}
    assert taught == {"h100 graphs bfloat16 operators", "h100 graphs bfloat16 networks"}
    lessons = own_gpu.designed("h100 graphs bfloat16 networks")
    assert lessons is not None
    assert len(lessons.rows) == 200
    assert {row.group for row in lessons.rows} == {"products", "streams"}
    assert lessons.platform == "h100-sxm/cuda-graphs"
    (row,) = (r for r in lessons.rows if r.network == "linear?n=512&cin=1023&cout=1024")
    assert (
        cm.mac(lessons.graph(row), unit="bytes")
        == cm.mac(cm.network(row.network), unit="bytes") // 2
    )
