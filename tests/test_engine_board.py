"""Engines on boards over a real ssh server: this machine's packages stand for the board's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_board import EMULATE, MISSING, Board, set_login, ssh_board
from typer.testing import CliRunner

from costmodel import zoo
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.graph.builder import Builder
from costmodel.ops import Conv
from costmodel.specs import network
from costmodel_validation.arm.bench.session import Session
from costmodel_validation.arm.errors import BackendError, BoardMemoryError
from costmodel_validation.backends import Settings, load_backend
from costmodel_validation.backends.engine import EngineBackend
from costmodel_validation.backends.engine_bench import PackageRunning
from costmodel_validation.backends.engine_models import check_outputs, convert
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.clock import Plan, Timing
from costmodel_validation.measuring.store import Store

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
def a_clock_that_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator's clock falls whenever others have the processor: no throttling is seen in it."""
    monkeypatch.setattr("costmodel_validation.backends.arm_timing.THROTTLED", 0.0)


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


def validate(board: Board, backend: EngineBackend, *words: str, code: int = 0) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("costmodel_validation.cli.load_backend", lambda name: backend)
        command = ["validate", *words, "--budget", "0.2", "--platform"]
        command.append(f"raspberry-pi-4/{backend.engine}")
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result


def test_an_engine_stands_in_the_same_tables_with_its_own_layers(board: Board) -> None:
    backend = with_package(board, "onnxruntime")
    small = "pointwise?h=14&w=14&c1=8&c2=8"
    out = validate(board, backend, small, "conv2d?cin=8&size=14&cout=8").output
    out = " ".join(out.split())  # a title breaks where the path of Python is long
    assert f"measured on {board.target.name.removeprefix('arm:')}" in out
    assert "unverified: a stand-in" in out
    assert f"{small}: its kernels in ms, inside the network" in out
    assert f"{small}: its layers in ms, by the engine's profile" in out
    (document,) = json.loads(validate(board, backend, small, "--json").stdout)["networks"]
    assert [layer["kind"] for layer in document["layers"]]
    inside = sum(layer["seconds"] for layer in document["layers"])
    assert 0 < inside < 10 * document["measured"]["median"]
    assert document["kernels"]


def test_settings_that_are_not_honoured_are_refused_by_name(board: Board) -> None:
    backend = engine(board, "ncnn")
    for words in (("--cache", "cold"), ("--layout", "channels_last"), ("--mode", "compile")):
        out = validate(board, backend, NET, *words, code=2).output
        assert f"cannot honour {' '.join(words)}: ncnn runs there" in out


def test_what_is_measured_is_kept_and_not_measured_again(board: Board, tmp_path: Path) -> None:
    backend = with_package(board, "ncnn")
    path = tmp_path / "s.jsonl"
    small = "conv2d?cin=8&size=14&cout=8"
    words = ["measure", small, "-o", str(path), "--budget", "0.2", "--table", f"{tmp_path}/t.csv"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("costmodel_validation.cli.load_backend", lambda name: backend)
        for said in (f"{backend.name}: no throttling in", "1 results are in"):
            result = CliRunner().invoke(app, [*words, "--platform", "raspberry-pi-4/ncnn"])
            assert result.exit_code == 0, result.output
            assert said in result.output
            patch.setattr(backend, "measure_networks", None)  # it is not asked again
    (kept,) = Store(path).results()
    assert (kept.backend, kept.platform) == (backend.name, "raspberry-pi-4/ncnn")
    assert kept.host["engine"].startswith("ncnn 1.")
    assert "raspberry-pi-4/ncnn" in (tmp_path / "t.csv").read_text()


def test_networks_of_several_outputs_come_back_in_their_order(board: Board) -> None:
    backend = with_package(board, "ncnn")
    b = Builder("two")
    x = b.input((1, 8, 14, 14))
    first, second = b.add(Conv(4, (1, 1)), x), b.add(Conv(6, (3, 3), padding=(1, 1)), x)
    found = measured(backend, net=b.finish(second, first))["net"]
    assert isinstance(found, Timing), found


def test_a_board_of_another_processor_is_refused(board: Board, monkeypatch: Any) -> None:
    """Unless a test declares that it stands for one."""
    monkeypatch.setattr("costmodel_validation.backends.engine.refuse_emulator", lambda *_: None)
    monkeypatch.setattr("costmodel_validation.backends.arm_board.refuse_emulator", lambda *_: None)
    pytest.importorskip("ncnn")
    backend = engine(board, "ncnn", f"?python={sys.executable}", stand_in=False)
    failed = measured(backend, net=zoo.pointwise(7, 7, 8, 8))["net"]
    machine = os.uname().machine
    if machine in ("aarch64", "arm64"):
        pytest.skip("this machine is an ARM one")
    assert f"ncnn runs there on {machine}, not on a 64-bit ARM processor" in str(failed)


def test_a_board_that_emulates_is_refused(board: Board) -> None:
    backend = engine(board, "ncnn", f"?python={sys.executable}", stand_in=False)
    with pytest.raises(BackendError, match="the binary found itself under the emulator"):
        backend.platform(Settings())


@pytest.mark.parametrize(
    ("name", "query", "words"),
    [
        ("onnxruntime", "?python=/bin/false", "/bin/false there lacks its package or numpy (pip"),
        ("tflite", "", "there is no benchmark_model on its PATH or in"),
        ("ncnn", "?python=CRASHES", "ncnn's package for /"),
        ("ncnn", "?program=/no/such/file", "/no/such/file: the program cannot be read"),
        ("ncnn", "?program=/bin/sh", "is a program for another processor than 64-bit ARM"),
        ("ncnn", f"?program={__file__}", "is not a program"),
    ],
)
def test_an_engine_that_is_not_there_is_one_sentence(
    board: Board, tmp_path: Path, name: str, query: str, words: str
) -> None:
    if "CRASHES" in query:  # as a package that is built for a newer processor
        (tmp_path / "python").write_text("#!/bin/sh\nkill -ILL $$\n")
        (tmp_path / "python").chmod(0o755)
        query = query.replace("CRASHES", str(tmp_path / "python"))
    if name == "tflite":
        set_login(board, EMULATE, greeting="PATH=/usr/bin:/bin")
    with pytest.raises(BackendError) as caught:
        engine(board, name, query).describe(Settings())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "ncnn:",
        "ncnn:ssh://me:secret@board",
        "ncnn:telnet://board",
        "onnxruntime:ssh://board?program=x",
        "ncnn:ssh://board?python=",
        "ncnn:ssh://board?python=a&program=b",
        "ncnn:ssh://board?gpu=1",
        "tflite",
    ],
)
def test_a_wrong_engine_or_board_is_one_sentence(text: str) -> None:
    if text == "ncnn:":
        assert load_backend(text).name == "ncnn"
        return
    with pytest.raises(DataError) as caught:
        load_backend(text)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


LIAR = """#!/bin/sh
# a Python whose engine answers wrongly on purpose
case "$2" in find) echo '@costmodel found 1.0'; exit 0;; esac
say() {{ printf '@costmodel %s\\n' "$1"; }}
while read -r word rest; do case $word in
host) say '{{"version": "1", "machine": "x", "bits": "64"}}';;
pin) say '{{"cores": ['"$(echo $rest | tr ' ' ',')"']}}';;
network) {network};;
turn) {turn};;
drop|layers) say '{{"layers": []}}';;
esac; done
"""
LOADED = """say '{"network": 0, "outputs": [{"shape": [1, 8, 7, 7], "dtype": "float32"}]}'"""
TURN = """say '{"samples": [[0.002, 0.002, 0], [0.002, 0.002, 0], [0.002, 0.002, 0]]}'"""


def write_liar(folder: Path, network: str = LOADED, turn: str = TURN) -> Path:
    path = folder / "python"
    path.write_text(LIAR.format(network=network, turn=turn))
    path.chmod(0o755)
    return path


def liar(board: Board, folder: Path, **answers: str) -> EngineBackend:
    return engine(board, "ncnn", f"?python={write_liar(folder, **answers)}")


def test_the_liar_is_believed_where_it_answers_well(board: Board, tmp_path: Path) -> None:
    found = measured(liar(board, tmp_path), net=zoo.pointwise(7, 7, 8, 8))["net"]
    assert isinstance(found, Timing)
    assert found.median == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"network": "say '{\"network\": 0}'"}, "ncnn's answer has no 'outputs'"),
        ({"network": LOADED.replace("[1, 8, 7, 7]", "[8]")}, "returns [8] elements, not [392]"),
        ({"network": LOADED.replace("[1, 8, 7, 7]", '["x"]')}, "an extent is 'x', no number"),
        ({"network": LOADED.replace('"dtype"', '"base64": "AAAA", "dtype"')}, "cannot be right"),
        ({"network": 'say \'{"error": "\\u001b[31m[/x]", "code": 3}\''}, "\\x1b[31m[/x]"),
        ({"network": "say '{'"}, "an answer is not JSON but '{"),
        ({"network": "exit 0"}, "the login runs something else than ncnn, which ends without"),
        ({"network": "kill -SEGV $$"}, "ncnn was stopped by SIGSEGV; it crashed"),
        ({"network": "kill -KILL $$"}, "ncnn was killed, most likely as memory ran out"),
        ({"network": 'say \'{"error": "no memory", "code": 5}\''}, ": no memory"),
        ({"turn": "say '{\"samples\": []}'"}, "a turn without samples"),
        ({"turn": "say '{\"samples\": [[1e99, 0, 0]]}'"}, "a time is 1e+99"),
        ({"turn": 'say \'{"samples": [["fast", 0, 0]]}\''}, "a time is 'fast', no number"),
        ({"turn": "say '{\"samples\": [[0.1, 0]]}'"}, "ncnn's answer cannot be right"),
        ({"turn": "say '[1]'"}, "an answer is not JSON but"),
        ({"turn": "exec yes"}, "what runs there is not ncnn: it says 'y"),
        ({"turn": "exit 3"}, "ncnn failed with exit code 3"),
    ],
)
def test_an_engine_that_answers_wrongly_is_one_sentence(
    tmp_path: Path, fault: dict[str, str], words: str
) -> None:
    path = write_liar(tmp_path, **fault)
    model = convert("ncnn", zoo.pointwise(7, 7, 8, 8))

    def asked() -> None:
        command = [str(path), "runner", "serve", "ncnn"]
        with Session(command, "board", what="ncnn") as session:
            running = PackageRunning(session)
            number, outputs = running.load_files({})
            check_outputs("net", "ncnn", model, outputs)
            running.samples(number, 1, 1, 0.0)

    with pytest.raises(MeasuringError) as caught:
        asked()
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert isinstance(caught.value, BoardMemoryError) == ("memory" in words)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"network": LOADED.replace("[1, 8, 7, 7]", "[8]")}, "net: ncnn on the board returns [8]"),
        ({"turn": "kill -KILL $$"}, "ncnn was killed, most likely as memory ran out"),
        ({"turn": "say '{\"samples\": [[-1e99, 0, 0]]}'"}, "a time is -1e+99"),
    ],
)
def test_what_an_engine_on_a_board_answers_wrongly_fails_its_network(
    board: Board, tmp_path: Path, fault: dict[str, str], words: str
) -> None:
    found = measured(liar(board, tmp_path, **fault), net=zoo.pointwise(7, 7, 8, 8))["net"]
    assert isinstance(found, MeasuringError)
    assert words in str(found)


def test_an_engine_that_hangs_is_given_up(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costmodel_validation.backends.engine_bench.DEFAULT_TIMEOUT_S", 1.0)
    backend = liar(board, tmp_path, turn="exec sleep 60")
    begin = time.monotonic()
    found = measured(backend, net=zoo.pointwise(7, 7, 8, 8))["net"]
    assert "no answer within 1" in str(found)
    assert time.monotonic() - begin < 30


def test_what_ends_the_engine_costs_one_network_alone(board: Board, tmp_path: Path) -> None:
    gone = tmp_path / "gone"  # the second network ends it, the first time alone
    kill = (
        f"n=$((n+1)); [ $n = 2 ] && [ ! -e {gone} ] && {{ touch {gone}; kill -SEGV $$; }}; {LOADED}"
    )
    graphs = {name: zoo.pointwise(7, 7, 8, 8) for name in ("a", "b", "c")}
    found = measured(liar(board, tmp_path, network=kill), **graphs)
    assert "ncnn was stopped by SIGSEGV" in str(found.pop("b"))
    assert set(found) == {"a", "c"}
    assert all(isinstance(outcome, Timing) for outcome in found.values()), found


def test_an_engine_ends_with_the_harness(board: Board) -> None:
    """Whatever ends it, in the middle of a turn that would take minutes."""
    pytest.importorskip("ncnn")
    backend = engine(board, "ncnn", f"?python={sys.executable}")
    campaign = backend._campaign(Settings(), FAST)
    with campaign._opened() as bench:
        running = bench.running
        assert isinstance(running, PackageRunning)
        bench.subject("net", zoo.pointwise(7, 7, 8, 8))
        session: Any = running._session
        assert runners(backend._there.runner)
        session._send("turn 0 repeat=1000000 min=4000 us=600000000 cold=0")
        time.sleep(0.5)
        os.kill(session._process.pid, signal.SIGKILL)
        for _ in range(100):
            if not runners(backend._there.runner):
                return
            time.sleep(0.1)
    pytest.fail("the engine runs on")


def runners(path: str) -> list[str]:
    """Processes whose command line names the server and that are not ssh's own."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
            if path.encode() in words:
                found.append(folder.name)
    return found


def test_outputs_that_are_not_torch_s_are_refused(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = with_package(board, "onnxruntime")
    monkeypatch.setattr("costmodel_validation.backends.engine_models.TOLERANCE", -1.0)
    found = measured(backend, net=zoo.pointwise(7, 7, 8, 8))["net"]
    assert "an output of ONNX Runtime on the board differs from torch's by" in str(found)
