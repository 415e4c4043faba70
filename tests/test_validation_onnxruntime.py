"""The ONNX Runtime backend: outputs are torch's, and networks are timed through the protocol."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip(
    "onnxruntime", reason="the package onnxruntime is not installed: pip install onnxruntime"
)
pytest.importorskip("torch", reason="the package torch is not installed: pip install torch")

from costmodel import zoo
from costmodel.prediction.latency import latency
from costmodel.specs import network
from costmodel_validation.backends import Settings, load_backend
from costmodel_validation.backends import onnxruntime as backend
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.clock import Plan, Timing

FAST = Plan(budget=0.05, warm_up=0.05, turn=0.01, min_samples=5)


@pytest.mark.parametrize(
    "name",
    [
        "shufflenet_v2?width=0.5&size=96",
        "mobilenet_v3?size=96",
        "mobilenet_v1?width=0.27&size=64",
        "vit?size=64",
        "g1_stack?c1=31&c2=189&size=14",
    ],
)
def test_outputs_are_torch_s(name: str) -> None:
    ((_, timing),) = backend.OnnxRuntimeBackend().measure_networks(
        {name: network(name)}, Settings(), FAST
    )
    assert isinstance(timing, Timing), timing


def test_outputs_that_differ_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "TOLERANCE", -1.0)
    ((_, failed),) = backend.OnnxRuntimeBackend().measure_networks(
        {"net": zoo.pointwise(7, 7, 8, 8)}, Settings(), FAST
    )
    assert isinstance(failed, MeasuringError)
    assert str(failed).startswith("net: an output of ONNX Runtime differs from torch's by ")


def test_a_network_and_its_kernels_are_timed() -> None:
    graph = zoo.shufflenet_v2(width=0.5, size=64)
    runs = load_backend("onnxruntime")
    assert (runs.name, runs.label, runs.platform(Settings())) == (
        "onnxruntime",
        "measured",
        "host/onnxruntime",
    )
    kernels = runs.measure_kernels(graph, Settings(), FAST)
    predicted = [k.kernel.name for k in latency(graph, "host/onnxruntime").kernels]
    assert [k.name for k in kernels] == predicted


def test_half_precision_runs_and_what_is_not_there_fails_alone() -> None:
    graphs = {"one": zoo.pointwise(7, 7, 16, 16)}
    run = backend.OnnxRuntimeBackend().measure_networks
    ((_, half),) = run(graphs, Settings(dtype="float16"), FAST)
    assert isinstance(half, Timing)
    for settings in (Settings(cache="cold"), Settings(dtype="bfloat16")):
        ((_, refused),) = run(graphs, settings, FAST)
        assert "onnxruntime cannot honour --" in str(refused)


def test_not_a_number_is_an_error() -> None:
    with pytest.raises(MeasuringError, match="differs from torch's"):
        backend._compare("net", [np.array([np.nan])], [np.array([1.0])])
