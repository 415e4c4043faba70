"""The node tests of the onnx package as a yardstick of the importer."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")
from costmodel_validation.onnx_nodes import Outcome, cases, free, listed, outcome, refusals


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    return [outcome(case, folder) for case in cases()]


@pytest.mark.slow
def test_what_is_refused_is_in_the_table_with_its_reason(outcomes: list[Outcome]) -> None:
    table = refusals()
    refused = [o for o in outcomes if o.how == "refused"]
    assert [o.name for o in refused if not listed(o.name, table)] == []
    names = {o.name for o in outcomes}
    known = [key for key in table if any(listed(name, {key: ""}) for name in names)]
    assert {key for key in known if not any(listed(o.name, {key: ""}) for o in refused)} == set()


@pytest.mark.slow
def test_shapes_and_dtypes_are_those_of_the_reference(outcomes: list[Outcome]) -> None:
    assert len(outcomes) > 1000
    assert [o for o in outcomes if o.how == "wrong"] == []


@pytest.mark.slow
def test_operators_that_cost_something_import(outcomes: list[Outcome]) -> None:
    costly = [o for o in outcomes if not free(o.name)]
    good = [o for o in costly if o.how in ("in", "with constants")]
    assert len(good) >= 0.97 * len(costly)
    assert sum(o.how == "in" for o in costly) >= 0.94 * len(costly)
