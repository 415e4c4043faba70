"""The ncnn backend: every kind of layer is right, and networks are timed through the protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ncnn", reason="the package ncnn is not installed: pip install ncnn")

from arm_reference import reference_tensors

from costmodel import multiply_adds, zoo
from costmodel.importers import from_ncnn
from costmodel.prediction.latency import latency
from costmodel.specs import network
from costmodel_validation.arm.bench.cases import CASES, Case, one_spec
from costmodel_validation.arm.bench.program import Spec, SpecBuilder
from costmodel_validation.arm.checks.check import relative_error
from costmodel_validation.arm.translate.lower import lower
from costmodel_validation.backends import Settings, load_backend
from costmodel_validation.backends.ncnn import NcnnBackend, load_model
from costmodel_validation.backends.ncnn_model import to_ncnn
from costmodel_validation.backends.ncnn_words import strange
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.clock import Plan, Timing

FAST = Plan(budget=0.05, warm_up=0.05, turn=0.01, min_samples=5)
BATCH_1 = [case for case in CASES if case[1][0][0] == 1]
TOLERANCE = 1e-5
BEFORE = ("conv1x1", "conv", "depthwise", "linear", "maxpool", "avgpool", "relu", "concat")


def worst(spec: Spec) -> float:
    model, wanted = to_ncnn(spec), reference_tensors(spec)
    found = zip(model.outputs.values(), load_model(model, threads=1)(), strict=True)
    return max(
        relative_error(np.array(mat).reshape(shape), wanted[number])
        for (number, shape), mat in found
    )


@pytest.mark.parametrize("case", BATCH_1, ids=lambda case: f"{case[0]}-{case[3]}")
def test_every_kernel_agrees_with_the_reference_or_is_refused(case: Case) -> None:
    try:
        assert worst(one_spec([case])) <= TOLERANCE
    except MeasuringError as error:
        odd = case[1][0][0] > 1 or "axis" in case[3] or strange(one_spec([case]).calls[0])
        assert case[0] not in BEFORE or odd
        assert case[0] in str(error) or "batch 1" in str(error)


@pytest.mark.parametrize(
    "name",
    [
        "shufflenet_v2?width=0.5",
        "mobilenet_v3?size=96",
        "shufflenet_v1?size=96",
        "resnet18?size=64",
    ],
)
def test_whole_networks_agree_with_the_reference(name: str) -> None:
    assert worst(lower(network(name))) <= TOLERANCE


def test_a_blob_that_two_layers_read_is_split_and_weights_are_written_once() -> None:
    model = to_ncnn(lower(zoo.resnet18(size=64)))
    lines = model.param.splitlines()
    assert lines[0] == "7767517"
    layers, blobs = map(int, lines[1].split())
    assert layers == len(lines) - 2
    reads = [w for line in lines[2:] for w in line.split()[4 : 4 + int(line.split()[2])]]
    assert len(reads) == len(set(reads))
    assert sum(int(line.split()[3]) for line in lines[2:]) == blobs
    assert any(line.startswith("Split ") for line in lines)
    assert len(model.weights) == pytest.approx(4 * 11.69e6, rel=0.01)


def test_the_layers_are_those_of_the_graph_by_ncnn_s_own_format(tmp_path: Path) -> None:
    for name in ("shufflenet_v2", "mobilenet_v3", "resnet18"):
        graph = network(name)
        file = tmp_path / "model.param"
        file.write_text(to_ncnn(lower(graph)).param)
        assert multiply_adds(from_ncnn(file, (1, 3, 224, 224))) == multiply_adds(graph)


def test_a_network_and_its_kernels_are_timed() -> None:
    graph = zoo.shufflenet_v2(width=0.5, size=64)
    backend = load_backend("ncnn")
    assert isinstance(backend, NcnnBackend)
    assert (backend.name, backend.label) == ("ncnn", "measured")
    ((_, whole),) = backend.measure_networks({"net": graph}, Settings(), FAST)
    assert isinstance(whole, Timing)
    kernels = backend.measure_kernels(graph, Settings(), FAST)
    names = [k.kernel.name for k in latency(graph, "raspberry-pi-4/ncnn").kernels]
    assert [k.name for k in kernels] == names
    assert len({id(k.timing) for k in kernels}) < len(kernels)
    assert 0.1 < sum(k.timing.median for k in kernels) / whole.median < 10


def test_what_ncnn_cannot_do_fails_alone() -> None:
    graphs = {"two": zoo.pointwise(7, 7, 8, 8, batch=2), "one": zoo.pointwise(7, 7, 8, 8)}
    graphs["norm"] = network("layer_norm?shape=1x16x768")
    found = dict(NcnnBackend().measure_networks(graphs, Settings(), FAST))
    assert isinstance(found["one"], Timing)
    assert "ncnn runs batch 1 only" in str(found["two"])
    assert "ncnn has no layer here for layer_norm" in str(found["norm"])
    ((_, refused),) = NcnnBackend().measure_networks(
        {"one": graphs["one"]}, Settings(dtype="float16"), FAST
    )
    assert isinstance(refused, MeasuringError)


def test_values_that_are_not_finite_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = SpecBuilder()
    x = builder.tensor((1, 1, 1, 4), seed=1)
    for _ in range(150):  # doubling overflows float32
        y = builder.tensor((1, 1, 1, 4))
        builder.op("add", [x, builder.view(x, (1, 1, 1, 4))], [y])
        x = y
    monkeypatch.setattr("costmodel_validation.backends.ncnn.lower", lambda graph: builder.build())
    ((_, failed),) = NcnnBackend().measure_networks(
        {"net": zoo.pointwise(7, 7, 8, 8)}, Settings(), FAST
    )
    assert str(failed) == "net: an output holds NaN or infinity"


def test_ncnn_for_x86_is_not_passed_off_as_that_for_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(MeasuringError, match="arm:ncnn needs an ARM machine, this is x86_64"):
        load_backend("arm:ncnn")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert load_backend("arm:ncnn").name == "arm:ncnn"
