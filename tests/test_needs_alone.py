"""What operators need for parts of their outputs, each rule alone, with numbers by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.calibration.design import candidates
from costmodel.counting.cost import _expansion_cost
from costmodel.counting.demand import Views
from costmodel.counting.needs import largest, needs, whole
from costmodel.counting.needs.base import Part
from costmodel.counting.needs.windows import _pixels
from costmodel.graph import nodes_in_order
from costmodel.ops.base import Expansion, Step
from costmodel.ops.reach import Axis
from costmodel.ops.tensor import Tensor


def test_an_axis_of_one_that_comes_first_belongs_to_the_next() -> None:
    found = needs(ops.Reshape((1, 4, 3)), (Tensor((4, 3)),), (Part.of(0, 4, 3),))
    assert found.inputs[0].elements == 0


def test_axes_are_told_apart_from_the_front() -> None:
    x = Tensor((4, 6, 5))
    (part,) = needs(ops.Reshape((4, 2, 3, 5)), (x,), (Part.of(4, 2, 3, 2),)).inputs
    assert part.box == (4, 6, 2)


def test_part_of_a_pixel_shuffle_needs_as_many_elements_anywhere() -> None:
    op, x = ops.PixelShuffle(2), Tensor((1, 8, 3, 3))
    (part,) = needs(op, (x,), (Part.of(1, 2, 6, 5),)).inputs
    assert (part.box, part.elements) == ((0, 0, 0, 0), 60)
    (part,) = needs(op, (x,), (whole(op.infer(x)[0]),)).inputs
    assert (part.box, part.elements) == ((1, 8, 3, 3), 72)


def test_part_of_a_concatenation_needs_all_but_what_the_others_may_be() -> None:
    pair = (Tensor((2, 5)), Tensor((2, 3)))
    found = needs(ops.Concat(1), pair, (Part.of(2, 6),)).inputs
    assert [part.box for part in found] == [(2, 3), (2, 1)]
    found = needs(ops.Concat(1), pair, (Part.of(2, 3),)).inputs
    assert [part.box for part in found] == [(2, 0), (2, 0)]


def test_half_of_the_scores_behind_a_mask_may_be_those_of_one_head() -> None:
    q, k = Tensor((1, 2, 4, 8)), Tensor((1, 2, 4, 8))
    op = ops.AttentionScores(causal=True)
    half, everything = (Part.of(1, n, 4, 4) for n in (1, 2))
    for part, heads in ((half, 0), (everything, 2)):
        found = needs(op, (q, k), (Part(part.box, part.elements, seen=True),)).inputs[0]
        assert found.box == (heads // 2, heads, 4, 8)


def test_the_larger_part_is_taken_entry_by_entry() -> None:
    a, b = Part.of(np.array([2, 3]), 1), Part.of(np.array([1, 4]), 1)
    assert largest([a, b], 100).elements.tolist() == [2, 4]


def test_windows_in_the_middle_meet_no_padding() -> None:
    axis = Axis(size=9, windows=9, kernel=5, before=2, after=2)
    # The middle tap of nine windows meets nine pixels: that of any five of them five.
    assert _pixels(axis, 5) == 5


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ((0, 4, 1), (4, 4, 1), True),
        ((0, 4, 1), (3, 4, 1), False),
        ((0, 3, 2), (5, 3, 1), True),
        ((0, 3, 2), (4, 3, 1), False),
        ((0, 3, 2), (3, 3, 1), False),
    ],
)
def test_slices_that_lie_behind_each_other_share_nothing(
    first: tuple[int, int, int], second: tuple[int, int, int], apart: bool
) -> None:
    b = cm.Builder()
    x = b.input((2, 8))
    cuts = [b.add(ops.Slice(1, start, size, step), x) for start, size, step in (first, second)]
    views = Views({node.name: node for node in nodes_in_order(b.finish(*cuts))})
    sources = [(cut.node, 0) for cut in cuts]
    assert views.apart(*sources) is apart


def test_the_span_of_a_program_is_that_of_its_deepest_output() -> None:
    x = Tensor((1, 16))
    steps = (Step(ops.Linear(16, bias=False), (0,)), Step(ops.Linear(8, bias=False), (1,)))
    one, both = (_expansion_cost(Expansion((x,), steps, outputs), 0) for outputs in ((1,), (1, 2)))
    assert both.span == 2 * one.span
    assert both.items == 16  # of the first step


def test_candidates_have_the_shapes_that_teach() -> None:
    """Channels that fill no vector, small images with many channels, at a stride of one."""
    found = candidates()
    assert len(set(found)) == len(found)
    for spec in (
        "conv2d?cin=24&cout=24&size=56&k=1&stride=1",
        "conv2d?cin=16&cout=16&size=112&k=3&stride=1",
        "depthwise?c=1024&size=7&k=3&stride=1",
        "depthwise?c=58&size=28&k=3&stride=1",
        "conv2d?cin=64&cout=128&size=56&k=3&stride=2",
    ):
        assert spec in found


def test_cells_of_parquet_that_hold_nothing_are_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"network": "linear?n=8", "platform": None, "seconds": "0.001", "batch": None}

    class Table:
        @staticmethod
        def to_pylist() -> list[dict[str, str | None]]:
            return [row]

    parquet = ModuleType("pyarrow.parquet")
    parquet.read_table = lambda file: Table()  # type: ignore[attr-defined]
    package = ModuleType("pyarrow")
    package.parquet = parquet  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyarrow", package)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    file = tmp_path / "rows.parquet"
    file.write_bytes(b"PAR1")
    (found,), _ = cm.read_measurements(file)
    assert (found.network, found.seconds, found.batch) == ("linear?n=8", 0.001, None)
