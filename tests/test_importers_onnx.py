"""from_onnx: small files written by hand."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.errors import CostModelError, DataError, UnknownOperatorError
from costmodel.graph import free_symbols
from costmodel.importers import from_onnx
from costmodel.ops import (
    ChannelShuffle,
    Contiguous,
    Conv,
    Elementwise,
    GroupNorm,
    Linear,
    Reshape,
)

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FLOAT = TensorProto.FLOAT


def weight(name: str, *shape: int) -> object:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def ints(name: str, *values: int) -> object:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def number(name: str, value: float) -> object:
    return numpy_helper.from_array(np.float32(value), name)


def write(
    folder: Path,
    nodes: list,
    stored: list | None = None,
    shape: tuple = (1, 8, 6, 6),
    outputs: tuple[str, ...] = ("y",),
) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        stored or [],
    )
    path = folder / "net.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())
    return path


def node(kind: str, inputs: str, outputs: str = "y", **attributes: object) -> object:
    return helper.make_node(
        kind, inputs.split(), outputs.split(), name=f"n_{outputs.split()[0]}", **attributes
    )


def operators(graph: object) -> list:
    skipped = ("Input", "Output", "Parameter", "Constant")
    return [op for _, op in graph.nodes(data="op") if type(op).__name__ not in skipped]


# Nodes, stored tensors, the operators that should come out.
CASES: dict[str, tuple[list, list, list]] = {
    "conv, uneven padding": (
        [node("Conv", "x w b", pads=[0, 0, 1, 1], strides=[2, 2], kernel_shape=[3, 3])],
        [weight("w", 4, 8, 3, 3), weight("b", 4)],
        [Conv(4, (3, 3), (2, 2), ((0, 1), (0, 1)), bias=True)],
    ),
    "relu6 from Clip": (
        [node("Clip", "x low high")],
        [number("low", 0), number("high", 6)],
        [Elementwise("relu6")],
    ),
    "one limit": ([node("Clip", "x low")], [number("low", 1e-5)], [Elementwise("relu")]),
    "the largest number is no limit": (
        [node("Clip", "x low high")],
        [number("low", 0), number("high", 3.4028234663852886e38)],
        [Elementwise("relu")],
    ),
    "hard tanh": (
        [node("Clip", "x low high")],
        [number("low", -1), number("high", 1)],
        [Elementwise("hard_tanh")],
    ),
    "limit that is computed": (
        [node("ReduceMax", "x", "top", keepdims=0), node("Clip", "x low top")],
        [number("low", 0)],
        ["Reduce", Elementwise("clamp")],
    ),
    "hard-swish": (
        [node("HardSigmoid", "x", "h", alpha=1 / 6, beta=0.5), node("Mul", "h x")],
        [],
        [Elementwise("hard_swish")],
    ),
    "hard sigmoid of another slope": (
        [node("HardSigmoid", "x", "h"), node("Mul", "h x")],
        [],
        [Elementwise("hard_sigmoid"), Elementwise("mul")],
    ),
    "hard sigmoid of another offset": (
        [node("HardSigmoid", "x", "h", alpha=1 / 6, beta=0.4), node("Mul", "h x")],
        [],
        [Elementwise("hard_sigmoid"), Elementwise("mul")],
    ),
    "six divided by a ramp": (
        [node("Add", "x three", "a"), node("Clip", "a low six", "r"), node("Div", "six r")],
        [number("low", 0), number("three", 3), number("six", 6)],
        [Elementwise("add", 3.0), Elementwise("relu6"), Elementwise("div", 6.0)],
    ),
    "ramp divided by six": (
        [node("Add", "x three", "a"), node("Clip", "a low six", "r"), node("Div", "r six")],
        [number("low", 0), number("three", 3), number("six", 6)],
        [Elementwise("hard_sigmoid")],
    ),
    "one divided by x": (
        [node("Div", "one x")],
        [number("one", 1)],
        [Elementwise("reciprocal")],
    ),
    "number for a branch": (
        [node("Greater", "x zero", "g"), node("Where", "g x zero")],
        [number("zero", 0)],
        [Elementwise("greater", 0.0), Elementwise("where")],
    ),
    "scalar": (
        [node("Mul", "x two")],
        [number("two", 2)],
        [Elementwise("mul", 2.0)],
    ),
    "transpose copies": (
        [node("Transpose", "x", perm=[0, 2, 3, 1])],
        [],
        ["Transpose", Contiguous()],
    ),
    "transpose of axes of 1 is free": (
        [node("Transpose", "x", perm=[1, 0, 2, 3])],
        [],
        ["Transpose"],
    ),
    "channel shuffle": (
        [
            node("Reshape", "x s1", "a"),
            node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "b s2", "y"),
        ],
        [ints("s1", 1, 4, 2, 6, 6), ints("s2", 1, -1, 6, 6)],
        [ChannelShuffle(4)],
    ),
    "flatten through Shape": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "n"),
            node("Unsqueeze", "n axes", "n1"),
            node("Concat", "n1 minus", "target", axis=0),
            node("Reshape", "x target"),
        ],
        [numpy_helper.from_array(np.int64(0), "zero"), ints("axes", 0), ints("minus", -1)],
        [Reshape((1, 288))],
    ),
    "size computed from Shape": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s two four", "hw"),
            node("Mul", "hw double", "hw2"),
            node("Slice", "s zero two", "nc"),
            node("Concat", "nc hw2", "size", axis=0),
            helper.make_node("Resize", ["x", "", "", "size"], ["y"], mode="linear"),
        ],
        [ints("two", 2), ints("four", 4), ints("double", 2), ints("zero", 0)],
        ["Resize"],
    ),
    "matmul and bias": (
        [node("MatMul", "x w", "m"), node("Add", "b m")],
        [weight("w", 6, 5), weight("b", 5)],
        [Linear(5, True)],
    ),
    "matmul that two take": (
        [node("MatMul", "x w", "m"), node("Add", "m b", "a"), node("Mul", "m a")],
        [weight("w", 6, 5), weight("b", 5)],
        [Linear(5, False), Elementwise("add"), Elementwise("mul")],
    ),
    "global mean": (
        [node("ReduceMean", "x", axes=[2, 3], keepdims=0)],
        [],
        ["AdaptivePool", Reshape((1, 8))],
    ),
    "einsum": ([node("Einsum", "x x", equation="bchw,bcgw->bchg")], [], ["MatMul"]),
}


@pytest.mark.parametrize("name", CASES)
def test_operators(name: str, tmp_path: Path) -> None:
    nodes, stored, expected = CASES[name]
    graph = from_onnx(write(tmp_path, nodes, stored))
    cm.validate(graph)
    found = [
        type(op).__name__ if isinstance(e, str) else op
        for op, e in zip(operators(graph), expected, strict=True)
    ]
    assert found == expected


def test_numbers_for_a_branch_are_no_parameters(tmp_path: Path) -> None:
    nodes, stored, _ = CASES["number for a branch"]
    assert cm.params(from_onnx(write(tmp_path, nodes, stored))) == 0


def test_norms_of_simplified_files(tmp_path: Path) -> None:
    """A simplifier stores the ones and zeros of a group norm like what is learned."""
    nodes = [
        node("Reshape", "x apart", "r"),
        node("InstanceNormalization", "r ones zeros", "n"),
        node("Reshape", "n whole", "b"),
        node("Mul", "b scale", "m"),
        node("Add", "m shift"),
    ]
    stored = [
        *(ints("apart", 1, 2, 144), ints("whole", 1, 8, 6, 6)),
        *(weight("ones", 2), numpy_helper.from_array(np.zeros(2, np.float32), "zeros")),
        *(weight("scale", 8, 1, 1), weight("shift", 8, 1, 1)),
    ]
    graph = from_onnx(write(tmp_path, nodes, stored))
    assert operators(graph) == [GroupNorm(2)]
    assert cm.params(graph) == 16
    # With another scale of their own the groups are not those of one normalization.
    stored[3] = numpy_helper.from_array(np.ones(2, np.float32), "zeros")
    assert GroupNorm(2) not in operators(from_onnx(write(tmp_path, nodes, stored)))[2:]


def test_transposed_convolution_lstm_and_split(tmp_path: Path) -> None:
    up = write(
        tmp_path,
        [node("ConvTranspose", "x w", group=2, strides=[2, 2], kernel_shape=[2, 2])],
        [weight("w", 8, 3, 2, 2)],
    )
    assert cm.multiply_adds(from_onnx(up)) == 36 * 8 * 3 * 4
    nodes = [
        node("LSTM", "x w r b", "h", hidden_size=16),
        node("Squeeze", "h one", "s"),
        node("Split", "s", "y z", axis=2),
    ]
    stored = [weight("w", 1, 64, 4), weight("r", 1, 64, 16), weight("b", 1, 128), ints("one", 1)]
    graph = from_onnx(write(tmp_path, nodes, stored, (10, 3, 4), ("y", "z")))
    assert cm.multiply_adds(graph) == 10 * 3 * 64 * (4 + 16)
    assert cm.params(graph) == 64 * (4 + 16) + 128


def test_gather_by_positions(tmp_path: Path) -> None:
    path = write(tmp_path, [node("GatherND", "x at")], [ints("at", 0, 1, 0, 3, 0, 7)])
    with pytest.raises(CostModelError, match="GatherND"):
        from_onnx(path)  # six positions are more than the input has axes
    positions = numpy_helper.from_array(np.array([[0, 1], [0, 3], [0, 7]], np.int64), "at")
    graph = from_onnx(write(tmp_path, [node("GatherND", "x at")], [positions]))
    assert graph.nodes["gather"]["outputs"][0].shape == (3, 6, 6)


def test_dtypes_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path, [node("Cast", "x", "h", to=TensorProto.FLOAT16), node("Relu", "h")])
    graph = from_onnx(path)
    assert [t.dtype for t in graph.nodes["relu"]["outputs"]] == ["float16"]
    assert cm.mac(graph, unit="bytes") == 288 * (4 + 2 + 2 + 2)


def test_named_dimensions(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c", strides=[2, 2], kernel_shape=[3, 3]),
        node("Shape", "c", "s"),
        node("Slice", "s zero two", "nc"),
        node("Concat", "nc minus", "target", axis=0),
        node("Reshape", "c target"),
    ]
    stored = [weight("w", 4, 8, 3, 3), ints("zero", 0), ints("two", 2), ints("minus", -1)]
    path = write(tmp_path, nodes, stored, ("batch", 8, "side", "side"))
    half_open = from_onnx(path, side=33)
    assert {s.name for s in free_symbols(half_open)} == {"batch"}
    assert cm.cost(cm.at(half_open, batch=2)) == cm.cost(from_onnx(path, batch=2, side=33))
    with pytest.raises(DataError, match=r"no named dimension \['depth'\]; it has: batch, side"):
        from_onnx(path, depth=3)
    symbolic = from_onnx(path, batch=cm.dim("n"), side=cm.dim("s"))
    numeric = from_onnx(path, batch=2, side=33)
    assert cm.cost(cm.at(symbolic, n=2, s=33)) == cm.cost(numeric)
    given = from_onnx(path, inputs={"x": (2, 8, 33, 33)})
    assert cm.multiply_adds(given) == cm.multiply_adds(numeric)


def test_unknown_operators_are_listed_at_once(tmp_path: Path) -> None:
    nodes = [
        node("Det", "x", "d"),
        node("Quux", "d", "q"),
        node("Relu", "q", "r"),
        node("StringNormalizer", "r", "y"),
    ]
    path = write(tmp_path, nodes)
    with pytest.raises(UnknownOperatorError) as caught:
        from_onnx(path)
    for part in ("3 operators", "Quux (at n_q)", "Det (at n_d)", "StringNormalizer (at n_y)"):
        assert part in str(caught.value)


def test_lenient_import_reports_coverage(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c", kernel_shape=[1, 1]),
        node("Det", "c", "d"),
        node("Relu", "d"),
    ]
    graph = from_onnx(write(tmp_path, nodes, [weight("w", 4, 8, 1, 1)]), strict=False)
    cm.validate(graph)
    assert 0 < graph.graph["coverage"] < 1
    (unknown,) = graph.graph["unknown"]
    assert unknown.startswith("Det at n_d: float32[1, 4, 6, 6] -> float32[")
    assert cm.multiply_adds(graph) == 36 * 8 * 4


def test_external_data_is_not_needed(tmp_path: Path) -> None:
    big = weight("w", 4, 8, 3, 3)
    big.ClearField("raw_data")
    big.data_location = TensorProto.EXTERNAL
    big.external_data.add(key="location", value="missing.bin")
    graph = from_onnx(write(tmp_path, [node("Conv", "x w", kernel_shape=[3, 3])], [big]))
    assert cm.params(graph) == 4 * 8 * 9


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07\x12\xff\xff\xff"])
def test_broken_files_are_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken.onnx: not an ONNX model"):
        from_onnx(path)
    with pytest.raises(DataError, match=r"none.onnx: cannot be read: No such file"):
        from_onnx(tmp_path / "none.onnx")


def test_truncated_files_never_crash(tmp_path: Path) -> None:
    nodes, stored, _ = CASES["flatten through Shape"]
    content = write(tmp_path, nodes, stored).read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        with contextlib.suppress(CostModelError):  # anything else fails the test
            cm.validate(from_onnx(path))


def test_wrong_attributes_name_the_node(tmp_path: Path) -> None:
    path = write(tmp_path, [node("Transpose", "x", perm=[0, 2])])
    with pytest.raises(CostModelError, match="Transpose 'n_y'"):
        from_onnx(path)
    path = write(tmp_path, [node("Conv", "x w", kernel_shape=[3, 3])], [weight("w", 4, 7, 3, 3)])
    with pytest.raises(CostModelError, match=r"Conv 'n_y'.* got \(4, 7, 3, 3\)"):
        from_onnx(path)
