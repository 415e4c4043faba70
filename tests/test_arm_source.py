"""Networks as they came, run by torch, against the ARM kernels; nothing lowered is a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costmodel.specs import network
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.checks.check import relative_error
from costmodel_validation.arm.checks.reference import WEIGHT, uniform
from costmodel_validation.arm.translate.lower import lower

torch = pytest.importorskip("torch")

SHAPE = (1, 4, 13, 15)


def pooled(size: int, stride: int, pad: int, ceil: bool, counted: bool) -> Any:
    return torch.nn.AvgPool2d(size, stride, pad, ceil_mode=ceil, count_include_pad=counted)


def assert_same(graph: Any, module: Any) -> None:
    """Run both on the same numbers, far outside of (-1, 1)."""
    spec = lower(graph)
    (source,) = [i for i, b in enumerate(spec.buffers) if b.seed is not None]
    seed = spec.buffers[source].seed
    assert seed is not None
    scaled = list(spec.buffers)
    scaled[source] = type(scaled[source])(SHAPE, seed, scale=50)
    from dataclasses import replace

    end = spec.written()[-1]
    result = emulated_target().run(replace(spec, buffers=tuple(scaled)).dumping([end]))
    values = 50 * uniform(seed, WEIGHT, int(np.prod(SHAPE))).reshape(SHAPE)
    expected = module(torch.from_numpy(values)).detach().numpy()
    assert relative_error(result.tensors[end], expected) <= 1e-5


CASES = [
    (3, 1, 1, False, False),
    (3, 2, 1, False, True),
    (3, 2, 1, True, False),
    (3, 2, 1, True, True),
    (5, 3, 2, False, False),
    (2, 2, 0, True, False),
]


@pytest.mark.parametrize("case", CASES)
def test_averages_without_padding_come_through_torch(
    case: tuple[int, int, int, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    import costmodel as cm

    module = pooled(*case)
    assert_same(cm.from_torch(module, torch.zeros(SHAPE)), module)


@pytest.mark.parametrize("case", CASES[:3])
def test_averages_without_padding_come_through_onnx(
    case: tuple[int, int, int, bool, bool], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    size, stride, pad, ceil, counted = case
    node = onnx.helper.make_node(
        "AveragePool",
        ["x"],
        ["y"],
        kernel_shape=[size, size],
        strides=[stride, stride],
        pads=[pad] * 4,
        ceil_mode=int(ceil),
        **({"count_include_pad": 1} if counted else {}),
    )
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, list(SHAPE))], [value("y", 1, None)])
    opset = [onnx.helper.make_opsetid("", 19)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    assert_same(network(str(tmp_path / "m.onnx")), pooled(*case))


def test_an_average_of_onnx_excludes_the_padding_by_default(tmp_path: Path) -> None:
    from costmodel.graph import nodes_in_order
    from costmodel.ops import Pool

    onnx = pytest.importorskip("onnx")
    found = {}
    for counted in (None, 0, 1):
        extra = {} if counted is None else {"count_include_pad": counted}
        node = onnx.helper.make_node(
            "AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, **extra
        )
        value = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph([node], "g", [value("x", 1, SHAPE)], [value("y", 1, None)])
        opset = [onnx.helper.make_opsetid("", 19)]
        path = tmp_path / f"{counted}.onnx"
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)
        (pool,) = [n.op for n in nodes_in_order(network(str(path))) if isinstance(n.op, Pool)]
        found[counted] = pool.include_pad
    assert found == {None: False, 0: False, 1: True}
