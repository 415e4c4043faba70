"""Threads of the ARM program: results bit by bit those of one, cores of their own, errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel import zoo
from costmodel_validation.arm.bench.board import Board
from costmodel_validation.arm.bench.cases import one_spec
from costmodel_validation.arm.bench.program import Spec
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.errors import BackendError
from costmodel_validation.arm.translate.lower import lower


def assert_equal(spec: Spec, threads: int) -> None:
    spec = spec.dumping(spec.written())
    one = emulated_target().run(spec).tensors
    several = emulated_target().run(replace(spec, threads=threads)).tensors
    assert one.keys() == several.keys()
    assert [n for n in one if one[n].tobytes() != several[n].tobytes()] == []


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_every_kernel_gives_with_threads_what_it_gives_with_one(threads: int) -> None:
    assert_equal(one_spec(), threads)


def test_networks_give_with_threads_what_they_give_with_one() -> None:
    assert_equal(lower(zoo.shufflenet_v2(width=0.5, size=64)), 4)
    assert_equal(lower(zoo.vit(size=32)), 3)


def test_threads_are_counted_and_come_before_networks() -> None:
    spec = lower(zoo.shufflenet_v2(width=0.5, size=32))
    end = spec.written()[-1]
    with emulated_target().session() as session:
        plain = Board(session).run(spec.dumping([end])).tensors[end]
    with emulated_target().session() as session:
        board = Board(session)
        board.threads(2)
        assert np.array_equal(board.run(spec.dumping([end])).tensors[end], plain)
        number = board.load(spec)
        for cold in (False, True):
            assert len(board.turn(number, 2, 3, 0.0, cold).samples) == 3
        assert len(board.detail(number, len(spec.calls), 2, 0.0)) == len(spec.calls)
        with pytest.raises(BackendError, match="threads come before the first network"):
            board.threads(2)


def test_no_more_threads_than_cores_are_measured_with() -> None:
    with (
        emulated_target().session() as session,
        pytest.raises(BackendError, match="64 threads are asked for, but the program may use"),
    ):
        Board(session).threads(64)
