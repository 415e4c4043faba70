"""What operators need for parts of their outputs, each rule alone, with numbers by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sympy

import costmodel as cm
from costmodel import ops
from costmodel.calibration.candidates import candidates
from costmodel.calibration.residuals import Residual
from costmodel.counting.cache_bounds import fast_elements
from costmodel.counting.cost import _expansion_cost
from costmodel.counting.demand import Views
from costmodel.counting.memory import _largest
from costmodel.counting.needs import largest, needs, whole
from costmodel.counting.needs.base import Part
from costmodel.counting.needs.windows import _pixels, axes_of
from costmodel.counting.traffic import attention_traffic
from costmodel.graph import nodes_in_order
from costmodel.ops.base import Expansion, Step
from costmodel.ops.reach import Axis
from costmodel.ops.tensor import Tensor


def test_an_axis_of_one_that_comes_first_belongs_to_the_next() -> None:
    scattered = Part((0, 4, 3), 5)
    (part,) = needs(ops.Reshape((1, 4, 3)), (Tensor((4, 3)),), (scattered,)).inputs
    assert (part.box, part.elements) == ((0, 3), 5)


def test_axes_are_told_apart_from_the_front() -> None:
    x = Tensor((4, 6, 5))
    (part,) = needs(ops.Reshape((4, 2, 3, 5)), (x,), (Part.of(4, 2, 3, 2),)).inputs
    assert part.box == (4, 6, 2)


def test_axes_that_merge_in_the_middle_are_told_apart_too() -> None:
    x = Tensor((4, 2, 3, 5))
    (part,) = needs(ops.Reshape((4, 6, 5)), (x,), (Part.of(4, 6, 2),)).inputs
    assert part.box == (4, 2, 3, 2)


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


@pytest.mark.parametrize(("seen", "there"), [(True, 1), (False, 0)])
def test_what_a_mask_leaves_of_a_softmax_is_all_that_is_needed(seen: bool, there: int) -> None:
    x = Tensor((1, 4, 4))
    (part,) = needs(ops.Softmax(causal=True), (x,), (Part((1, 4, 2), 10, seen),)).inputs
    # The lower two rows see three of the columns.
    assert (part.box, part.elements) == ((there, 2 * there, 3 * there), 10 * there)


def test_padding_that_keeps_the_size_is_what_windows_miss() -> None:
    op = ops.Conv(8, (3, 5), stride=(2, 1), dilation=(1, 2), padding="same")
    high, wide = axes_of(op, Tensor((1, 3, 224, 7)))
    assert (high.windows, high.before, high.after) == (112, 0, 1)
    assert (wide.windows, wide.before, wide.after) == (7, 4, 4)


def test_a_buffer_behind_two_views_is_one() -> None:
    b = cm.Builder()
    x = b.input((2, 8))
    flat = b.add(ops.Reshape((4, 2)), b.add(ops.Slice(1, 0, 4, 1), x))
    views = Views({node.name: node for node in nodes_in_order(b.finish(flat))})
    found = views.reads([((flat.node, 0), Part.of(4, 2)), ((x.node, 0), Part.of(1, 1))])
    assert found == {(x.node, 0): 8}


def test_attention_in_a_small_memory_works_on_few_scores_at_once() -> None:
    # 64 multiply-adds a score, 1,024 elements: at most 1024**2 / 64 + 1024 * 32 in 1,024 moves.
    most = 1024**2 / 64 + 1024 * 32
    assert attention_traffic(10**6, 64, 0, 1024) == pytest.approx(64e6 / most * 1024 - 1024)


def test_of_mixed_dtypes_the_smallest_fills_a_memory() -> None:
    b = cm.Builder()
    graph = b.finish(b.add(ops.Cast("int8"), b.input((4, 4))))
    assert fast_elements(graph, 1000) == 1000


def test_the_largest_of_expressions_that_cannot_be_compared() -> None:
    x, y = cm.symbols("x y")
    assert _largest([x, x + y]) == x + y
    assert _largest([x, y]) == sympy.Max(x, y)


def test_a_covariance_that_platforms_share_cannot_be_changed() -> None:
    shared = cm.load_platform("gtx-1080-ti/paper").fitted.covariance
    with pytest.raises(ValueError, match="read-only"):
        shared[0, 0] = 0.0


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
        "conv2d?cin=16&cout=16&size=112&k=1&stride=1",
        "conv2d?cin=16&cout=32&size=112&k=1&stride=1",
        "depthwise?c=1024&size=7&k=3&stride=1",
        "depthwise?c=58&size=28&k=3&stride=1",
        "depthwise?c=16&size=112&k=5&stride=1",
        "conv2d?cin=64&cout=128&size=56&k=3&stride=2",
    ):
        assert spec in found


def test_four_deviations_make_an_outlier() -> None:
    near, far = (Residual(2, "linear", 1.0, 1.0, 1.0, sigmas) for sigmas in (3.9, 4.1))
    assert (near.is_outlier, far.is_outlier) == (False, True)


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
