"""Quantised ONNX files: three forms of five networks count what the floating-point ones do."""

from __future__ import annotations

import collections
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.importers import from_onnx
from costmodel.ops import Cast, Conv, ConvTranspose, Elementwise, Linear, MatMul, Reduce

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
MICROSOFT = "com.microsoft"
CHANNELS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0, "MatMul": 1}


def node(kind: str, inputs: str, output: str, **attributes: object) -> object:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


IMAGES: tuple[list, dict, tuple] = (
    [
        node("Conv", "x w1 b1", "c1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("MaxPool", "r1", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p w2", "c2", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8),
        node("Add", "p c2", "a"),
        node("GlobalAveragePool", "a", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f w3 b3", "y", transB=1),
    ],
    {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "w3": (10, 8), "b3": (10,)},
    (1, 3, 16, 16),
)
NETWORKS: dict[str, tuple[list, dict, tuple]] = {
    "images": IMAGES,
    "perceptron": (
        [
            node("MatMul", "x w1", "m1"),
            node("Add", "m1 b1", "a1"),
            node("Relu", "a1", "r1"),
            node("MatMul", "r1 w2", "y"),
        ],
        {"w1": (8, 32), "b1": (32,), "w2": (32, 4)},
        (5, 8),
    ),
    "upwards": (
        [
            node("Conv", "x w1", "c", kernel_shape=[1, 1]),
            node("ConvTranspose", "c w2", "y", kernel_shape=[2, 2], strides=[2, 2]),
        ],
        {"w1": (8, 3, 1, 1), "w2": (8, 4, 2, 2)},
        (1, 3, 8, 8),
    ),
    "attention": (
        [
            node("MatMul", "x wq", "q"),
            node("MatMul", "x wk", "k"),
            node("Transpose", "k", "kt", perm=[0, 2, 1]),
            node("MatMul", "q kt", "s"),
            node("Softmax", "s", "p", axis=-1),
            node("MatMul", "p x", "m"),
            node("MatMul", "m wo", "y"),
        ],
        {"wq": (16, 16), "wk": (16, 16), "wo": (16, 16)},
        (2, 6, 16),
    ),
    "branches": (
        [
            node("Conv", "x w1", "c1", kernel_shape=[1, 1]),
            node("Conv", "x w2", "c2", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Concat", "c1 c2", "j", axis=1),
            node("Sigmoid", "j", "g"),
            node("Mul", "j g", "y"),
        ],
        {"w1": (8, 3, 1, 1), "w2": (8, 3, 3, 3)},
        (1, 3, 8, 8),
    ),
}


class Writer:
    """Writes one network in one form."""

    def __init__(self, weights: dict[str, tuple]) -> None:
        self.weights = weights
        self.nodes: list = []
        self.stored = [
            numpy_helper.from_array(np.float32(0.1), "scale"),
            numpy_helper.from_array(np.int8(0), "zero"),
            numpy_helper.from_array(np.uint8(0), "zero_u"),
        ]
        self.quantized: set[str] = set()

    def add(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        domain = MICROSOFT if kind in ("QGemm", "QLinearAdd", "QLinearMul") else ""
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def weight(self, name: str, dtype: type) -> str:
        if name not in {tensor.name for tensor in self.stored}:
            value = np.ones(self.weights[name], dtype)
            self.stored.append(numpy_helper.from_array(value, name))
        return name

    def integers(self, name: str) -> str:
        made = f"{name}_q"
        if made not in self.quantized:
            self.quantized.add(made)
            if name in self.weights:
                self.weights[made] = self.weights[name]
                return self.weight(made, np.int8 if len(self.weights[name]) > 1 else np.int32)
            self.add("QuantizeLinear", [name, "scale", "zero"], made)
        return made


def attributes_of(old: object) -> dict:
    return {a.name: helper.get_attribute_value(a) for a in old.attribute}


def floats(out: Writer, old: object) -> None:
    inputs = [out.weight(i, np.float32) if i in out.weights else i for i in old.input]
    out.add(old.op_type, inputs, old.output[0], **attributes_of(old))


def qdq(out: Writer, old: object) -> None:
    """Every operator between conversions to floats and back."""
    inputs = []
    for name in old.input:
        made = f"{name}_f_{old.output[0]}"
        inputs.append(out.add("DequantizeLinear", [out.integers(name), "scale", "zero"], made))
    whole = out.add(old.op_type, inputs, f"{old.output[0]}_w", **attributes_of(old))
    out.add("QuantizeLinear", [whole, "scale", "zero"], f"{old.output[0]}_q")
    out.quantized.add(f"{old.output[0]}_q")
    if old.output[0] == "y":
        out.add("DequantizeLinear", ["y_q", "scale", "zero"], "y")


def operators(out: Writer, old: object) -> None:
    """Operators that take and make integers."""
    inputs, made, how = (
        [out.integers(i) for i in old.input],
        f"{old.output[0]}_q",
        attributes_of(old),
    )
    out.quantized.add(made)
    scaled = [part for name in inputs[:2] for part in (name, "scale", "zero")]
    match old.op_type:
        case "Conv":
            out.add("QLinearConv", [*scaled, "scale", "zero", *inputs[2:]], made, **how)
        case "MatMul":
            out.add("QLinearMatMul", [*scaled, "scale", "zero"], made)
        case "Gemm":
            out.add("QGemm", [*scaled, *inputs[2:], "scale", "zero"], made, **how)
        case "Add" | "Mul":
            out.add(f"QLinear{old.op_type}", [*scaled, "scale", "zero"], made)
        case "ConvTranspose" | "Softmax" | "Sigmoid":  # there is none: as floats
            name = [
                out.add("DequantizeLinear", [i, "scale", "zero"], f"{i}_f{made}") for i in inputs
            ]
            out.add(old.op_type, name, f"{made}_w", **how)
            out.add("QuantizeLinear", [f"{made}_w", "scale", "zero"], made)
        case _:
            out.add(old.op_type, inputs, made, **how)
    if old.output[0] == "y":
        out.add("DequantizeLinear", ["y_q", "scale", "zero"], "y")


def dynamic(out: Writer, old: object) -> None:
    """Products with weights on integers whose range is found when the network runs."""
    kinds = {"Conv": "ConvInteger", "MatMul": "MatMulInteger"}
    if old.op_type not in kinds or old.input[1] not in out.weights:
        floats(out, old)
        return
    x, y = old.input[0], old.output[0]
    if f"{x}_dq" not in out.quantized:
        out.quantized.add(f"{x}_dq")
        names = [f"{x}_dq", f"{x}_ds", f"{x}_dz"]
        out.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], names))
    out.weights[f"{old.input[1]}_i"] = out.weights[old.input[1]]
    taken = [f"{x}_dq", out.weight(f"{old.input[1]}_i", np.int8), f"{x}_dz", "zero"]
    out.add(kinds[old.op_type], taken, f"{y}_int", **attributes_of(old))
    out.add("Cast", [f"{y}_int"], f"{y}_cast", to=1)
    out.add("Mul", [f"{x}_ds", "scale"], f"{y}_scale")
    biased = len(old.input) > 2
    out.add("Mul", [f"{y}_cast", f"{y}_scale"], f"{y}_nobias" if biased else y)
    if biased:
        out.weights["wide"] = (1, *out.weights[old.input[2]], 1, 1)
        out.add("Add", [f"{y}_nobias", out.weight("wide", np.float32)], y)


FORMS = {"qdq": qdq, "operators": operators, "dynamic": dynamic}


def imported(folder: Path, name: str, form: Callable) -> object:
    nodes, weights, shape = NETWORKS[name]
    out = Writer(dict(weights))
    for old in nodes:
        form(out, old)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        out.nodes,
        name,
        [info("x", TensorProto.FLOAT, shape)],
        [info("y", TensorProto.FLOAT, None)],
        out.stored,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    path = folder / f"{name}.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    made = from_onnx(path)
    cm.validate(made)
    return made


def dtypes(graph: object) -> collections.Counter:
    kinds = (Conv, ConvTranspose, Linear, MatMul)
    return collections.Counter(
        data["outputs"][0].dtype
        for _, data in graph.nodes(data=True)
        if isinstance(data["op"], kinds)
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_counts_are_those_of_the_floats(name: str, form: str, tmp_path: Path) -> None:
    right = imported(tmp_path, name, floats)
    graph = imported(tmp_path, name, FORMS[form])
    assert cm.multiply_adds(graph) == cm.multiply_adds(right) > 0
    assert cm.params(graph) == cm.params(right)


@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_have_the_dtype_of_their_integers(name: str, tmp_path: Path) -> None:
    products = sum(n.op_type in PRODUCTS for n in NETWORKS[name][0])
    assert dtypes(imported(tmp_path, name, floats)) == {"float32": products}
    assert dtypes(imported(tmp_path, name, qdq)) == {"int8": products}
    weighted = [n for n in NETWORKS[name][0] if n.op_type in ("Conv", "MatMul")]
    weighted = [n for n in weighted if n.input[1] in NETWORKS[name][1]]
    assert dtypes(imported(tmp_path, name, dynamic))["uint8"] == len(weighted)


def test_scales_are_folded_into_the_kernels(tmp_path: Path) -> None:
    def kinds(graph: object) -> collections.Counter:
        ops = (op for _, op in graph.nodes(data="op"))
        return collections.Counter(op for op in ops if isinstance(op, Cast | Elementwise | Reduce))

    assert kinds(imported(tmp_path, "images", qdq)) == {
        Cast("int8"): 1,
        Cast("float32"): 1,
        Elementwise("relu"): 1,
        Elementwise("add"): 1,
    }
    found = kinds(imported(tmp_path, "perceptron", dynamic))
    # Twice the range, its scale (one number), and the conversions there and back.
    assert found[Cast("float32")] == 2
    assert found[Elementwise("mul")] == 0
    assert sum(n for op, n in found.items() if getattr(op, "kind", "") == "mul") == 2
    assert found[Reduce("max", (0, 1))] == found[Reduce("min", (0, 1))] == 2


def test_a_product_before_floats_runs_on_integers(tmp_path: Path) -> None:
    """Only what carries its input on needs integers behind it."""
    nodes, weights, shape = NETWORKS["perceptron"]
    out = Writer(dict(weights))
    qdq(out, nodes[0])
    out.nodes = out.nodes[:-1]  # the product is not quantised again
    out.add("Relu", ["m1_w"], "y")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        out.nodes, "net", [info("x", 1, shape)], [info("y", 1, None)], out.stored
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    made = from_onnx(path)
    assert dtypes(made) == {"int8": 1}
    relu = next(d for _, d in made.nodes(data=True) if d["op"] == Elementwise("relu"))
    assert relu["outputs"][0].dtype == "float32"
