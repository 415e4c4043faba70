"""Priors of the NEON kernels from simulated operators: rows, and what is written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from costmodel.timing.parameters import priors
from costmodel_validation.scores import simulated as module
from costmodel_validation.scores.assumed import before
from costmodel_validation.scores.hierarchy import NORMAL, Taught
from costmodel_validation.scores.priors import write_engine


def test_rows_are_operators_and_networks_that_have_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def simulate(spec: Any, core: str, *, warm: bool) -> Any:
        asked.append((core, warm))
        return SimpleNamespace(seconds=1e-3 * len(spec.calls))

    monkeypatch.setattr(module, "simulate_distinct", simulate)
    found = module.simulated("cortex-a72", every=10)
    assert found.platform == "raspberry-pi-4/neon"
    assert len(found.rows) == len(asked) >= 15
    assert set(asked) == {("cortex-a72", True)}
    names = {row.network: row.seconds for row in found.rows}
    assert names["squeezenet?size=64"] > 0.02
    assert sum(name.startswith("conv2d") for name in names) > 3


def test_what_is_written_says_that_it_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "neon.toml").write_text('name = "neon"\n')
    monkeypatch.setattr("costmodel_validation.scores.priors._RUNTIMES", tmp_path)
    names = [p.name for p in before()]
    ones = np.ones(len(names))
    seen = np.where([name in ("gemm", "winograd") for name in names], 3.5, 0.2)
    logs = np.log([p.value for p in before()])
    lesson = Taught(
        logs, {"neon": logs}, 0.3 / NORMAL * ones, ones, {"neon": 0.0 * ones}, {"neon": seen}
    )
    write_engine("neon", lesson, 5, module._SOURCE)
    written = tomllib.loads((tmp_path / "neon.toml").read_text())["priors"]["cpu"]
    assert set(written) == {"gemm", "winograd"}
    known = {p.name: p for p in priors("cpu")}
    for name, entry in written.items():
        assert "simulated, none measured" in entry["source"]
        assert "neon-priors" in entry["source"]
        assert "3.5" in entry["source"]
        assert entry["spread"] == 0.3
        assert known[name].lower <= entry["value"] <= known[name].upper
