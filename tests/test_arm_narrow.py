"""Products in float16 and int8: right, the same everywhere, chosen when the program starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from costmodel import zoo
from costmodel.errors import DataError
from costmodel_validation.arm.bench.cases import Case, one_spec
from costmodel_validation.arm.bench.program import Spec, SpecBuilder
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.checks.check import check
from costmodel_validation.arm.checks.operands import WEIGHT, uniform, weights
from costmodel_validation.arm.translate.lower import lower
from costmodel_validation.arm.translate.state import Products
from costmodel_validation.backends import Settings
from costmodel_validation.measuring.networks import network_for

OLD, NEW = "cortex-a53", "max"
BIAS: dict[str, int | str] = {"bias": 1}
CASES: list[Case] = [
    ("conv1x1", [(1, 58, 28, 28)], [(1, 58, 28, 28)], {"act": "relu", **BIAS}),
    ("conv1x1", [(2, 300, 7, 7)], [(2, 9, 7, 7)], {"act": "relu6"}),
    ("conv1x1", [(1, 24, 9, 9)], [(1, 48, 9, 9)], {"groups": 3, **BIAS}),
    ("conv1x1", [(1, 520, 1, 1)], [(1, 8, 1, 1)], {}),
    ("conv1x1", [(1, 3, 1, 3)], [(1, 5, 1, 3)], {}),
    ("conv1x1", [(1, 64, 50, 50)], [(1, 8, 50, 50)], {}),
    ("conv", [(2, 12, 11, 13)], [(2, 6, 11, 13)], {"k": 3, "stride": 1, "pad": 1, "groups": 3}),
    ("conv", [(1, 96, 9, 9)], [(1, 20, 5, 5)], {"k": 3, "stride": 2, "pad": 1, **BIAS}),
    (
        "conv",
        [(1, 4 * 5, 7, 9)],
        [(1, 6 * 5, 7, 9)],
        {"k": 3, "stride": 1, "pad": 1, "kd": 3, "pd": 1, "depth": 5, **BIAS},
    ),
    ("linear", [(1, 1024, 1, 1)], [(1, 1000, 1, 1)], BIAS),
    ("linear", [(3, 7, 3, 3)], [(3, 5, 1, 1)], {"act": "relu", **BIAS}),
    ("linear", [(197, 19, 1, 1)], [(197, 33, 1, 1)], {}),
    ("linear", [(13, 1, 1, 1)], [(13, 9, 1, 1)], {}),
]


def narrow(dtype: str) -> Spec:
    builder = SpecBuilder()
    for number, (kernel, (shape,), (out,), params) in enumerate(CASES):
        reads, writes = [builder.tensor(shape, seed=number, scale=3)], [builder.tensor(out)]
        builder.op(kernel, reads, writes, **params, seed=100 + number, dtype=dtype)
    spec = builder.build()
    return spec.dumping(spec.written())


def tensors(spec: Spec, cpu: str) -> dict[int, Any]:
    return dict(emulated_target(cpu).run(spec).tensors)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_products_are_those_of_rounded_operands(dtype: str) -> None:
    spec = narrow(dtype)
    found = check(spec, tensors(spec, NEW))
    assert [d for d in found if not d.ok] == []
    assert max(d.relative for d in found) > 0
    wide = replace(spec, calls=tuple(replace(c, params=_wide(c.params)) for c in spec.calls))
    assert [d.kernel for d in check(wide, tensors(spec, NEW)) if not d.relative > 1e-4] == []


def _wide(params: Any) -> dict[str, Any]:
    return {key: value for key, value in params.items() if key != "dtype"}


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_threads_make_no_difference(dtype: str) -> None:
    one = tensors(narrow(dtype), NEW)
    three = tensors(replace(narrow(dtype), threads=3), NEW)
    assert all(np.array_equal(one[number], three[number]) for number in one)


def test_the_program_starts_anywhere_and_takes_what_is_there() -> None:
    spec = narrow("int8")
    found = {cpu: emulated_target(cpu).run(spec) for cpu in (OLD, NEW)}
    told = {cpu: (run.host["half"], run.host["int8"]) for cpu, run in found.items()}
    assert told == {OLD: ("none", "smull"), NEW: ("fmla.8h", "sdot")}
    old, new = (run.tensors for run in found.values())
    assert all(np.array_equal(old[number], new[number]) for number in old)
    assert all(d.ok for d in check(one_spec(), tensors(one_spec(), OLD)))


def test_float16_is_refused_where_it_is_missing() -> None:
    with pytest.raises(DataError, match=r"conv1x1 in float16 needs .* which this processor lacks"):
        emulated_target(OLD).run(narrow("float16"))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("shufflenet_v2?width=0.5&size=64", "float16"),
        ("shufflenet_v2?width=0.5&size=64", "int8"),
        ("resnet18?size=32", "int8"),
        ("vit?size=32", "float16"),
    ],
)
def test_networks_are_right_operator_by_operator(name: str, dtype: Any) -> None:
    graph = network_for(name, Settings(dtype=dtype))
    products: Products = "int8" if dtype == "int8" else "float32"
    spec = lower(graph, products=products)
    kinds = {call.kernel for call in spec.calls if call.params.get("dtype") == dtype}
    assert kinds <= {"conv1x1", "conv", "linear"}
    assert "linear" in kinds
    assert not {"winograd3x3", "conv3x3"} & {call.kernel for call in spec.calls}
    spec = spec.dumping(spec.written())
    assert [d for d in check(spec, tensors(spec, NEW)) if not d.ok] == []


def test_quantized_products_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    rows, features, out = 13, 70, 33
    builder = SpecBuilder()
    x, y = builder.tensor((rows, features, 1, 1), seed=1), builder.tensor((rows, out, 1, 1))
    builder.op("linear", [x], [y], seed=2, dtype="int8")
    found = tensors(builder.build([y]), NEW)[y].reshape(rows, out)
    values = torch.from_numpy(uniform(1, WEIGHT, rows * features).reshape(rows, features))
    matrix = torch.from_numpy(weights((out, features), features, 2)).float()
    step = values.abs().max() / 127
    steps = matrix.abs().amax(1) / 127
    quantized = torch.fake_quantize_per_tensor_affine(values, float(step), 0, -127, 127)
    zeros = torch.zeros(out, dtype=torch.int32)
    told = torch.fake_quantize_per_channel_affine(matrix, steps, zeros, 0, -127, 127)
    expected = (quantized.double() @ told.double().T).numpy()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_graphs_in_float16_and_float32_lower_to_the_same_kernels_but_for_3x3() -> None:
    half = lower(network_for("mobilenet_v2?width=0.25&size=96", Settings(dtype="float16")))
    full = lower(zoo.mobilenet_v2(width=0.25, size=96))
    assert len(half.calls) == len(full.calls)
    assert {c.kernel for c in half.calls} - {c.kernel for c in full.calls} <= {"conv"}
