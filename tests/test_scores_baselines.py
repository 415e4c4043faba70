"""The simpler models that the scores print beside our own."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel import zoo
from costmodel.platforms import load_platform
from costmodel.prediction.table import tabulate
from costmodel_validation.scores.baselines import (
    ALL_BOARDS,
    ANOTHER_BOARD,
    features,
    flops_only,
    lookup,
    mac_only,
    other_boards,
    roofline,
    roofline_scaled,
)

PLATFORM = load_platform("gtx-1080-ti/paper?transfers=no", calibrated=False)


def _features(*sizes: tuple[int, int]) -> object:
    return features(tabulate([zoo.pointwise(56, 56, a, b) for a, b in sizes], PLATFORM), PLATFORM)


def test_features_by_hand() -> None:
    f = _features((64, 128))
    moved = 4 * (56 * 56 * (64 + 128) + 64 * 128)
    assert f.flops[0] == 2 * 56 * 56 * 64 * 128
    assert f.bytes[0] == moved
    peak = PLATFORM.hardware.peak_for("float32")
    assert f.roofline[0] == pytest.approx(max(f.flops[0] / peak, moved / 484e9), rel=0.01)


def test_proportional_models_are_exact_on_proportional_times() -> None:
    f = _features((64, 128), (128, 256), (32, 64), (256, 256))
    fitted = np.array([0, 2])
    for method, quantity in (
        (flops_only, f.flops),
        (mac_only, f.bytes),
        (roofline_scaled, f.roofline),
    ):
        assert method(f, fitted, 3e-13 * quantity) == pytest.approx(3e-13 * quantity)


def test_plain_roofline_sees_no_measurements() -> None:
    f = _features((64, 128), (128, 256))
    assert roofline(f, np.array([0]), np.array([1.0, 2.0])).tolist() == f.roofline.tolist()


def test_lookup_finds_additive_times() -> None:
    stacks = [(64, 64, 1), (64, 64, 2), (128, 128, 1), (128, 128, 3), (64, 64, 5)]
    graphs = [zoo.g1_stack(a, b, blocks=n) for a, b, n in stacks]
    f = features(tabulate(graphs, PLATFORM), PLATFORM)
    cost = {64: 2e-5, 128: 9e-5}
    seconds = np.array([2 * n * cost[a] for a, _, n in stacks])
    predicted = lookup(f, np.array([0, 1, 2]), seconds)
    assert predicted == pytest.approx(seconds, rel=0.1)


def test_lookup_says_something_of_kinds_never_fitted() -> None:
    graphs = [zoo.g1_stack(64, 64), zoo.g1_stack(64, 128), zoo.g2_stack(128, groups=8)]
    f = features(tabulate(graphs, PLATFORM), PLATFORM)
    assert lookup(f, np.array([0, 1]), np.array([1e-4, 2e-4, 5e-4]))[2] > 0


def test_other_boards_are_scaled_and_the_most_similar_is_taken() -> None:
    here = np.array([1.0, 2.0, 4.0, 9.0])
    unlike, like = np.array([1.0, 1.0, 4.0, 1.0]), np.array([3.0, 6.0, 12.0, 30.0])
    partly = np.array([1.0, 2.0, 4.0, np.nan])
    found = other_boards(np.stack([unlike, like, partly]), np.array([0, 1, 2]), here)
    assert found[ANOTHER_BOARD].tolist() == pytest.approx([1, 2, 4, 10])
    mean = np.sqrt(unlike * like)
    assert found[ALL_BOARDS].tolist() == pytest.approx(mean * np.median(here[:3] / mean[:3]))
    assert other_boards(partly[None], np.array([0]), here) == {}
