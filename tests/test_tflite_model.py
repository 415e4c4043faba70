"""Models of TensorFlow Lite: read back and run, every operator is right or refused by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("flatbuffers", reason="pip install 'nn-costmodel[tflite]'")

from arm_reference import reference_tensors
from tflite_reader import run

from costmodel import zoo
from costmodel.specs import network
from costmodel_validation.arm.bench.cases import CASES, Case, one_spec
from costmodel_validation.arm.bench.program import Spec
from costmodel_validation.arm.checks.check import relative_error
from costmodel_validation.arm.translate.lower import lower
from costmodel_validation.backends.ncnn_words import strange
from costmodel_validation.backends.tflite_model import channels_first, to_tflite
from costmodel_validation.errors import MeasuringError

TOLERANCE = 2e-5
ALWAYS = ("conv1x1", "conv3x3", "winograd3x3", "conv", "depthwise", "linear", "maxpool")
ALWAYS += ("globalpool", "relu", "relu6", "sigmoid", "hswish", "softmax", "shuffle", "batchnorm")
NETWORKS = ("shufflenet_v2?width=0.5&size=64", "mobilenet_v3?size=64", "shufflenet_v1?size=64")


def worst(spec: Spec) -> float:
    model, wanted = to_tflite(spec), reference_tensors(spec)
    outputs, _ = run(model.content, list(model.inputs))
    return max(
        relative_error(channels_first(values, shape), wanted[number])
        for (number, shape), values in zip(model.outputs, outputs, strict=True)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[3]}")
def test_every_kernel_agrees_with_the_reference_or_is_refused(case: Case) -> None:
    try:
        assert worst(one_spec([case])) <= TOLERANCE
    except MeasuringError as error:
        assert case[0] not in ALWAYS or strange(one_spec([case]).calls[0])
        assert case[0] in str(error)


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks_agree_with_the_reference(name: str) -> None:
    assert worst(lower(network(name))) <= TOLERANCE


def test_the_operators_are_those_that_converters_write() -> None:
    model = to_tflite(lower(zoo.mobilenet_v2(size=64)))
    _, kinds = run(model.content, list(model.inputs))
    assert kinds.count("DEPTHWISE_CONV_2D") == 17
    assert kinds.count("CONV_2D") == 35
    assert kinds.count("PAD") == 5  # stride 2 pads both sides in torch, the end alone in SAME
    assert kinds[-2:] == ["MEAN", "FULLY_CONNECTED"]
    assert not {"RELU6", "MUL"} & set(kinds)  # fused, and folded
    assert kinds.count("ADD") == 10


def test_the_file_holds_each_weight_once() -> None:
    content = to_tflite(lower(zoo.resnet18(size=64))).content
    assert len(content) == pytest.approx(4 * 11.69e6, rel=0.01)


@pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="pip install ai-edge-litert"
)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_engine_itself_reads_and_runs_the_file(name: str, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    spec = lower(network(name))
    model, wanted = to_tflite(spec), reference_tensors(spec)
    path = tmp_path / "net.tflite"
    path.write_bytes(model.content)
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), model.inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    for (number, shape), detail in zip(
        model.outputs, interpreter.get_output_details(), strict=True
    ):
        found = np.array(interpreter.get_tensor(detail["index"]))
        assert relative_error(channels_first(found, shape), wanted[number]) <= TOLERANCE
