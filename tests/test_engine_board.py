"""Engines on boards over a real ssh server: this machine's packages stand for the board's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from local_board import EMULATE, MISSING, Board, set_login, ssh_board

from costmodel import zoo
from costmodel.specs import network
from costmodel_validation.backends import Settings
from costmodel_validation.backends.engine import EngineBackend
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.clock import Plan, Timing

pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"{' and '.join(MISSING)} not found: install openssh-server, openssh-client",
)
FAST = Plan(budget=0.2, warm_up=0.05, turn=0.02, min_samples=5)
NET = "shufflenet_v2?width=0.5&size=64"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with ssh_board(tmp_path_factory.mktemp("board")) as board:
        yield board


@pytest.fixture(autouse=True)
def normal_login(board: Board) -> None:
    set_login(board, EMULATE)


def engine(board: Board, name: str, query: str = "", stand_in: bool = True) -> EngineBackend:
    found = EngineBackend(name, board.target.name.removeprefix("arm:") + query, stand_in)
    found._board = board.target
    return found


def with_package(board: Board, name: str, package: str = "") -> EngineBackend:
    pytest.importorskip(package or name)
    return engine(board, name, f"?python={sys.executable}")


def measured(backend: EngineBackend, **graphs: Any) -> dict[str, Timing | MeasuringError]:
    return dict(backend.measure_networks(graphs, Settings(), FAST))


@pytest.mark.parametrize("name", ["ncnn", "onnxruntime"])
def test_networks_are_converted_sent_checked_and_timed_by_the_one_procedure(
    board: Board, name: str
) -> None:
    backend = with_package(board, name)
    found = measured(backend, net=network(NET), other=zoo.pointwise(14, 14, 32, 32))
    for timing in found.values():
        assert isinstance(timing, Timing), timing
        assert timing.rounds >= 3
        assert timing.minimum <= timing.low <= timing.median <= timing.high
    assert "throttl" in backend.verdict
    facts = backend.describe(Settings())
    assert facts["engine"].endswith(f"by {sys.executable}")
    assert "stand-in" in facts["unverified"]
    assert [path.name for path in board.private.glob("network-*")] == []  # nothing is left
