"""The torch backend: settings, kernels alone, what it refuses, and CUDA through a stand-in."""

from __future__ import annotations

import functools
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from fake_cuda import FakeCuda

torch = pytest.importorskip("torch")

from costmodel import zoo  # noqa: E402
from costmodel.errors import DataError  # noqa: E402
from costmodel.graph.builder import Builder  # noqa: E402
from costmodel.kernels.lowering import lower  # noqa: E402
from costmodel.ops import (  # noqa: E402
    Concat,
    Contiguous,
    Conv,
    Elementwise,
    Linear,
    Split,
    Transpose,
)
from costmodel.runtimes import load_runtime  # noqa: E402
from costmodel_validation.backends import BACKENDS, Settings, load_backend  # noqa: E402
from costmodel_validation.backends.alone import cut_out  # noqa: E402
from costmodel_validation.backends.cuda import CudaTimer, captured  # noqa: E402
from costmodel_validation.backends.others import Others  # noqa: E402
from costmodel_validation.backends.torch import TorchBackend, prepare, session  # noqa: E402
from costmodel_validation.errors import MeasuringError  # noqa: E402
from costmodel_validation.measuring.clock import Plan, Timing, measure  # noqa: E402
from costmodel_validation.measuring.host import allowed_cores, describe_host, pinned  # noqa: E402

FAST = Plan(budget=0.1, warm_up=0.05, turn=0.01, min_samples=5)
EAGER = load_runtime("torch-eager")


def measure_network(graph: Any, settings: Settings) -> Timing:
    ((_, found),) = TorchBackend().measure_networks({graph.name: graph}, settings, FAST)
    if isinstance(found, MeasuringError):
        raise found
    return found


def small(size: int = 32) -> Any:
    return zoo.shufflenet_v2(width=0.5, size=size)


def test_every_backend_of_the_table_is_a_class_of_a_module() -> None:
    for name in BACKENDS:
        module, _, attribute = BACKENDS[name].partition(":")
        assert module.startswith("costmodel_validation.backends.")
        assert attribute
    assert load_backend("torch").name == "torch"


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "abacus", "no_such_package.beads:Abacus")
    with pytest.raises(MeasuringError, match="backend 'abacus' needs the package no_such_package"):
        load_backend("abacus")


def test_unknown_backends_are_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"unknown backend 'toch'; did you mean torch\?"):
        load_backend("toch")
    with pytest.raises(DataError, match=r"unknown backend 'cuda'; known are arm, .*, torch, and"):
        load_backend("cuda")


@pytest.mark.parametrize("text", ["torch:cuda", "torch:ssh://user@host"])
def test_a_target_behind_a_backend_of_this_machine_is_refused(text: str) -> None:
    name = text.partition(":")[0]
    with pytest.raises(DataError, match=f"{name} runs on this machine and takes no target; write"):
        load_backend(text)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(layout="channels_last"),
        Settings(dtype="bfloat16"),
        Settings(cache="cold"),
        Settings(between=1_000_000),
    ],
    ids=str,
)
def test_a_network_is_timed(settings: Settings) -> None:
    timing = measure_network(small(), settings)
    assert 0 < timing.minimum <= timing.low <= timing.median <= timing.high


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs two cores")
def test_two_threads_are_two_threads() -> None:
    with session(Settings(threads=2)):
        assert torch.get_num_threads() == 2
        assert len(os.sched_getaffinity(0)) == 2


def test_a_session_leaves_torch_as_it_was() -> None:
    def state() -> tuple[Any, ...]:
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        flags = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
        return (*flags, torch.get_num_threads(), allowed_cores(), torch.is_inference_mode_enabled())

    before = state()
    with session(Settings()):
        assert torch.is_inference_mode_enabled()
        assert torch.get_num_threads() == len(allowed_cores()) == 1
    assert state() == before


def test_more_threads_than_cores_are_refused() -> None:
    with pytest.raises(MeasuringError, match="999 threads are asked for, but"), pinned(999):
        pass


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(mode="graphs"), "mode graphs needs device cuda"),
        (Settings(dtype="tf32"), "dtype tf32 needs device cuda"),
    ],
)
def test_what_a_processor_cannot_do_is_refused(settings: Settings, sentence: str) -> None:
    with pytest.raises(MeasuringError, match=sentence):
        measure_network(small(), settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_a_gpu_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(MeasuringError, match="device cuda was asked for, but torch finds no"):
        measure_network(small(), Settings(device="cuda"))


def test_on_a_gpu_nothing_is_timed_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(MeasuringError, match="among others on device cpu only"):
        measure_network(small(), Settings(device="cuda", between=1))


def test_others_run_and_leave_inputs_as_they_were() -> None:
    ran: list[str] = []
    x, index = torch.rand(8), torch.tensor([1, 2])
    before = x.clone()
    Others(1_000_000, lambda: ran.append("twin"), [x, index], [torch.ones(3, 4)])()
    assert ran == ["twin"]
    assert torch.equal(x, before)
    assert index.tolist() == [1, 2]


def test_a_network_that_gives_nan_fails_alone_and_the_others_are_measured() -> None:
    b = Builder("bad")
    x = b.input((2, 3))
    bad = b.finish(b.add(Elementwise("log"), b.add(Elementwise("neg"), x)))
    found = dict(TorchBackend().measure_networks({"bad": bad, "good": small()}, Settings(), FAST))
    assert isinstance(found["good"], Timing)
    assert str(found["bad"]) == "bad: output 0 of the torch module holds NaN or infinity"


def test_what_torch_cannot_run_is_one_sentence() -> None:
    b = Builder("deep")
    x = b.input((1, 2, 3), "float8")
    graph = b.finish(b.add(Linear(4), x))
    with pytest.raises(MeasuringError, match=r"^deep: torch cannot run it: "):
        measure_network(graph, Settings())


def test_every_kernel_is_timed_and_equal_ones_once() -> None:
    graph = small()
    kernels = lower(graph, EAGER)
    timings = TorchBackend().measure_kernels(graph, Settings(), FAST)
    assert [t.name for t in timings] == [k.name for k in kernels]
    assert [t.kind for t in timings] == [k.kind for k in kernels]
    assert len({id(t.timing) for t in timings}) < len(kernels) / 2
    by_name = {t.name: t.timing for t in timings}
    assert by_name["stage3.2.main.conv"] is by_name["stage3.5.main.conv"]
    assert by_name["stage2.2.main.conv"] is not by_name["stage3.2.main.conv"]


def test_a_kernel_alone_meets_its_inputs_as_strided_as_in_the_network() -> None:
    b = Builder()
    x = b.input((1, 8, 5, 5))
    y = b.add(Elementwise("relu"), x)
    left, right = b.add_many(Split(1, 2), y)
    turned = b.add(Transpose((0, 2, 3, 1)), right)
    copy = b.add(Contiguous(), turned, name="copy")
    conv = b.add(Conv(4, (1, 1)), left, name="conv")
    graph = b.finish(copy, conv)
    kernels = {k.name: k for k in lower(graph, EAGER)}
    seen = {}
    for name in ("copy", "conv", "relu"):
        alone = cut_out(graph, kernels[name])
        with session(Settings()):
            prepare(name, alone.body, Settings(), alone)
            from costmodel_validation.backends.torch import _inputs

            (seen[name],) = _inputs(alone.body, Settings(), alone)
    assert seen["relu"].is_contiguous()
    assert seen["conv"].stride() == (200, 25, 5, 1)
    assert not seen["copy"].is_contiguous()
    assert seen["copy"].shape == (1, 5, 5, 4)


def test_a_kernel_of_two_views_reads_them_in_their_slots() -> None:
    b = Builder()
    x = b.add(Elementwise("relu"), b.input((1, 8, 3, 3)))
    a, c = b.add_many(Split(1, 2), x)
    graph = b.finish(b.add(Concat(1), c, a, name="joined"))
    kernel = {k.name: k for k in lower(graph, EAGER)}["joined"]
    alone = cut_out(graph, kernel)
    assert alone.slots == (0, 1)
    assert alone.views is not None
    assert [op.parts for _, op in alone.views.nodes(data="op") if isinstance(op, Split)] == [2]


def test_fused_kernels_are_cut_out_whole() -> None:
    graph = zoo.resnet18(size=64)
    kernels = lower(graph, load_runtime("torch-compile"))
    fused = next(k for k in kernels if len(k.nodes) > 1)
    body = cut_out(graph, fused).body
    assert sum(name in body for name in body) >= len(fused.nodes)
    assert len(prepare("fused", body, Settings()).name) > 0


def test_the_host_is_described() -> None:
    found = describe_host("torch")
    assert found["torch"] == torch.__version__
    assert float(found["load"]) >= 0
    assert int(found["cores"]) == len(allowed_cores())


@pytest.mark.slow
def test_without_a_compiler_compile_mode_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "from costmodel import zoo\n"
        "from costmodel_validation.backends import Settings, load_backend\n"
        "from costmodel_validation.measuring.clock import Plan\n"
        "graphs = {'gelu': zoo.elementwise('gelu', (4, 4))}\n"
        "settings, plan = Settings(mode='compile'), Plan(budget=0.1)\n"
        "((_, found),) = load_backend('torch').measure_networks(graphs, settings, plan)\n"
        "print(found)\n"
    )
    environment = {
        **os.environ,
        "PATH": str(tmp_path),
        "CXX": "no-such-compiler",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
    }
    root = str(Path(__file__).parent.parent)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True
    )
    assert "torch.compile finds no C++ compiler: install g++, or use mode eager" in run.stdout


def test_cuda_events_enclose_the_calls_and_are_read_when_the_device_is_done() -> None:
    cuda = FakeCuda()
    seconds, disturbed = CudaTimer(cuda).time(cuda.kernel, 3)
    assert seconds == pytest.approx(0.006)
    assert not disturbed
    assert cuda.log == ["synchronize", "record", *["kernel"] * 3, "record", "wait"]


def test_a_cuda_graph_is_captured_after_a_warm_up_aside_and_replayed() -> None:
    cuda = FakeCuda()
    replay = captured(cuda, cuda.kernel)
    warm_up = ["wait_stream", "side", *["kernel"] * 3, "main", "wait_stream"]
    assert cuda.log == [*warm_up, "capture", "kernel", "captured"]
    cuda.log.clear()
    assert replay() == "output"
    assert cuda.log == ["replay"]
    assert CudaTimer(cuda).time(replay, 2)[0] == pytest.approx(0.001)


def test_a_cuda_graph_keeps_the_weights_and_inputs_that_it_reads() -> None:
    weights = torch.zeros(1)
    alive = weakref.ref(weights)
    replay = captured(FakeCuda(), functools.partial(torch.relu, weights))
    del weights
    gc.collect()
    assert alive() is not None
    del replay
    gc.collect()
    assert alive() is None


def test_the_protocol_runs_on_cuda_timers_too() -> None:
    from costmodel_validation.measuring.clock import Subject

    cuda = FakeCuda()
    ((_, timing),) = measure([Subject("net", cuda.kernel)], FAST, CudaTimer(cuda))
    assert timing.median == pytest.approx(0.002)
    assert timing.precise


@pytest.mark.parametrize(("dtype", "allowed"), [("tf32", True), ("float32", False)])
def test_tf32_is_used_only_where_it_was_asked_for(dtype: str, allowed: bool) -> None:
    from costmodel_validation.backends.torch import _products

    with _products(Settings(device="cuda", dtype=dtype)):  # type: ignore[arg-type]
        assert torch.backends.cudnn.allow_tf32 is allowed
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        assert torch.backends.cudnn.benchmark
