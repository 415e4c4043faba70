"""ONNX files of other hands: fused by ONNX Runtime, with branches, functions, open sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.errors import CostModelError, DataError, UnknownOperatorError
from costmodel.graph import free_symbols
from costmodel.importers import from_onnx
from costmodel.ops import (
    Attention,
    Cast,
    Contiguous,
    Conv,
    Elementwise,
    Embedding,
    GroupNorm,
    LayerNorm,
    Linear,
    MatMul,
    Op,
    Pad,
    Parameter,
    Pool,
    Recurrent,
)

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

MS, NCHWC = "com.microsoft", "com.microsoft.nchwc"
FLOAT = TensorProto.FLOAT


def info(name: str, shape: tuple | None = None, code: int = FLOAT) -> object:
    return helper.make_tensor_value_info(name, code, shape)


def node(
    kind: str, inputs: str, outputs: str = "y", domain: str = "", **attributes: object
) -> object:
    names = [[name if name != "-" else "" for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(kind, *names, domain=domain, **attributes)


def stored(name: str, *shape: int, dtype: str = "float32") -> object:
    return numpy_helper.from_array(np.ones(shape, dtype), name)


def number(name: str, value: object, dtype: str = "int64") -> object:
    return numpy_helper.from_array(np.array(value, dtype), name)


def write(
    folder: Path,
    nodes: list,
    tensors: list,
    inputs: list,
    outputs: tuple = ("y",),
    functions: list = (),
) -> Path:
    graph = helper.make_graph(nodes, "net", inputs, [info(name) for name in outputs], tensors)
    domains = [("", 18), (MS, 1), (NCHWC, 1), ("own", 1)]
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*entry) for entry in domains],
        functions=list(functions),
    )
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def shapes(graph: object) -> list[tuple]:
    outputs = [n for n, op in graph.nodes(data="op") if type(op).__name__ == "Output"]
    sources = [next(iter(graph.in_edges(n, data="links"))) for n in outputs]
    return [graph.nodes[s]["outputs"][links[0].output].shape for s, _, links in sources]


def operators(graph: object, *kinds: type[Op]) -> list[Op]:
    return [op for _, op in graph.nodes(data="op") if isinstance(op, kinds)]


X = info("x", (2, 6, 16))
IMAGE = info("x", (1, 8, 6, 6))
MATRIX, VECTOR = ("w", 16, 16), ("b", 16)

# Nodes, stored tensors, inputs; the operators that should be among what comes out; multiply-adds.
FUSED: dict[str, tuple[list, list, list, list, int]] = {
    "convolution with activation": (
        [node("FusedConv", "x w b", "y", MS, kernel_shape=[1, 1], activation="Relu")],
        [stored("w", 4, 8, 1, 1), stored("b", 4)],
        [IMAGE],
        [Conv(4, (1, 1), bias=True), Elementwise("relu")],
        36 * 32,
    ),
    "convolution with sum": (
        [node("FusedConv", "x w - x", "y", MS, kernel_shape=[1, 1], activation="Relu")],
        [stored("w", 8, 8, 1, 1)],
        [IMAGE],
        [Conv(8, (1, 1)), Elementwise("add"), Elementwise("relu")],
        36 * 64,
    ),
    "product of a transposed matrix": (
        [node("FusedMatMul", "x w", "y", MS, transB=1, alpha=0.5)],
        [stored("w", 4, 16)],
        [X],
        [Linear(4, False)],
        12 * 64,
    ),
    "product of transposed activations": (
        [node("FusedMatMul", "x x", "y", MS, transB=1)],
        [],
        [X],
        [MatMul()],
        2 * 6 * 6 * 16,
    ),
    "matrix with activation": (
        [node("FusedGemm", "x w b", "y", MS, activation="Relu")],
        [stored("w", 16, 4), stored("b", 4)],
        [info("x", (6, 16))],
        [Linear(4, True), Elementwise("relu")],
        6 * 64,
    ),
    "matrix of four bits": (
        [node("MatMulNBits", "x w s", "y", MS, K=16, N=4, bits=4, block_size=16)],
        [stored("w", 4, 1, 8, dtype="uint8"), stored("s", 4)],
        [X],
        [Linear(4, False)],
        12 * 64,
    ),
    "biased gelu": (
        [node("BiasGelu", "x b", "y", MS)],
        [stored(*VECTOR)],
        [X],
        [Elementwise("add"), Elementwise("gelu")],
        0,
    ),
    "residual sum and norm": (
        [node("SkipLayerNormalization", "x x g b", "y", MS)],
        [stored("g", 16), stored("b", 16)],
        [X],
        [Elementwise("add"), LayerNorm(1)],
        0,
    ),
    "residual sum and root mean square": (
        [node("SkipSimplifiedLayerNormalization", "x x g", "y", MS)],
        [stored("g", 16)],
        [X],
        [Elementwise("add"), LayerNorm(1, rms=True, bias=False)],
        0,
    ),
    "embeddings and norm": (
        [node("EmbedLayerNormalization", "x s words places parts g b", "y mask", MS)],
        [
            stored("words", 50, 16),
            stored("places", 9, 16),
            stored("parts", 2, 16),
            stored("g", 16),
            stored("b", 16),
        ],
        [info("x", (2, 6), TensorProto.INT32), info("s", (2, 6), TensorProto.INT32)],
        [Embedding(50, 16), Embedding(9, 16), Embedding(2, 16), LayerNorm(1)],
        0,
    ),
    "group norm of images": (
        [node("GroupNorm", "x g b", "y", MS, groups=4, activation=1, channels_last=1)],
        [stored("g", 8), stored("b", 8)],
        [info("x", (1, 6, 6, 8))],
        [GroupNorm(4), Elementwise("silu")],
        0,
    ),
    "attention with its projection": (
        [node("Attention", "x w b", "y", MS, num_heads=4, unidirectional=1)],
        [stored("w", 16, 48), stored("b", 48)],
        [X],
        [Linear(48, True), Attention(causal=True)],
        12 * 16 * 48 + 2 * (2 * 4 * 21 * 4),
    ),
    "heads of three inputs": (
        [node("MultiHeadAttention", "x x x", "y", MS, num_heads=4)],
        [],
        [X],
        [Attention()],
        2 * (2 * 36 * 16),
    ),
    "grouped queries": (
        [node("GroupQueryAttention", "x k k - - l t", "y", MS, num_heads=4, kv_num_heads=2)],
        [number("l", [5, 5], "int32"), number("t", 6, "int32")],
        [X, info("k", (2, 6, 8))],
        [Attention(causal=True)],
        2 * (2 * 4 * 21 * 4),
    ),
    "one query on a cache": (
        [
            node(
                "GroupQueryAttention",
                "x k k past past l t",
                "y newk newv",
                MS,
                num_heads=4,
                kv_num_heads=2,
            )
        ],
        [number("l", [9, 9], "int32"), number("t", 10, "int32")],
        [info("x", (2, 1, 16)), info("k", (2, 1, 8)), info("past", (2, 2, 9, 4))],
        [Attention()],
        2 * (2 * 4 * 10 * 4),
    ),
    "channels in blocks": (
        [
            node("ReorderInput", "x", "r", NCHWC),
            node("Conv", "r w", "c", NCHWC, kernel_shape=[1, 1], activation="Relu"),
            node("MaxPool", "c", "p", NCHWC, kernel_shape=[2, 2], strides=[2, 2]),
            node("ReorderOutput", "p", "y", NCHWC, channels=8),
        ],
        [stored("w", 16, 16, 1, 1)],
        [IMAGE],
        [Pad, Conv(16, (1, 1)), Pool("max", (2, 2), (2, 2)), Contiguous()],
        36 * 256,  # as the file has it: the last block is filled up with zeros
    ),
    "an LSTM on integers": (
        [node("DynamicQuantizeLSTM", "x w r - - - - - s z s z", "y", MS, hidden_size=8)],
        [
            stored("w", 1, 16, 32, dtype="int8"),
            stored("r", 1, 8, 32, dtype="int8"),
            stored("s", 1),
            stored("z", 1, dtype="int8"),
        ],
        [X],
        [Cast("uint8"), Recurrent("lstm", 8, bias=False), Cast("float32")],
        12 * 32 * 24,
    ),
}


@pytest.mark.parametrize("name", FUSED)
def test_fused_operators(name: str, tmp_path: Path) -> None:
    nodes, tensors, inputs, right, multiply_adds = FUSED[name]
    graph = from_onnx(write(tmp_path, nodes, tensors, inputs))
    cm.validate(graph)
    found = operators(graph, Op)
    for op in right:
        assert op in found or op in map(type, found), found
    assert cm.multiply_adds(graph) == multiply_adds


def branch(name: str, kind: str) -> object:
    return helper.make_graph([node(kind, "x", name)], name, [], [info(name)])


def test_the_branch_that_is_taken(tmp_path: Path) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Size", "s", "rank"),
        node("Equal", "rank three", "known"),
        node("If", "known", then_branch=branch("a", "Exp"), else_branch=branch("b", "Log")),
    ]
    path = write(tmp_path, nodes, [number("three", 3)], [X])
    assert operators(from_onnx(path), Elementwise) == [Elementwise("exp")]
    nodes = [node("If", "c", then_branch=branch("a", "Exp"), else_branch=branch("b", "Log"))]
    path = write(tmp_path, nodes, [], [X, info("c", (), TensorProto.BOOL)])
    with pytest.raises(UnknownOperatorError, match="If .a branch that depends on data"):
        from_onnx(path)


def test_runs_of_loops_are_written_out(tmp_path: Path) -> None:
    body = helper.make_graph(
        [node("Identity", "c", "d"), node("MatMul", "s w", "t"), node("ReduceMax", "t", "m")],
        "body",
        [info("i", (), 7), info("c", (), 9), info("s")],
        [info("d", (), 9), info("t"), info("m")],
    )
    loop = node("Loop", "n - x", "last y", body=body)
    graph = from_onnx(
        write(tmp_path, [loop], [number("n", 5), stored(*MATRIX)], [X], ("last", "y"))
    )
    assert cm.multiply_adds(graph) == 5 * 12 * 256
    assert cm.params(graph) == 256
    assert shapes(graph) == [(2, 6, 16), (5, 1, 1, 1)]
    step = helper.make_graph(
        [node("Add", "s r", "t"), node("Mul", "t r", "u")],
        "step",
        [info("s"), info("r")],
        [info("t"), info("u")],
    )
    scan = node("Scan", "zero x", "sum y", body=step, num_scan_inputs=1)
    graph = from_onnx(write(tmp_path, [scan], [stored("zero", 6, 16)], [X], ("sum", "y")))
    assert shapes(graph) == [(6, 16), (2, 6, 16)]
    assert operators(graph, Elementwise) == [Elementwise("add"), Elementwise("mul")] * 2


def test_functions_of_a_file(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 18)]
    function = helper.make_function(
        "own",
        "Twice",
        ["a", "m"],
        ["b"],
        [node("MatMul", "a m", "c"), node("LeakyRelu", "c", "d"), node("MatMul", "d m", "b")],
        opsets,
        ["alpha"],
    )
    nodes = [node("Twice", "x w", "z", "own", alpha=0.1), node("Twice", "z w", "y", "own")]
    graph = from_onnx(write(tmp_path, nodes, [stored(*MATRIX)], [X], functions=(function,)))
    assert cm.multiply_adds(graph) == 4 * 12 * 256
    assert cm.params(graph) == 256


def test_operators_that_onnx_defines_by_others(tmp_path: Path) -> None:
    graph = from_onnx(write(tmp_path, [node("MeanVarianceNormalization", "x")], [], [IMAGE]))
    assert shapes(graph) == [(1, 8, 6, 6)]
    assert graph.graph["coverage"] == 1


def test_open_sizes_are_symbols_of_the_file(tmp_path: Path) -> None:
    shape = ("batch size", None, "?", "batch-size")
    path = write(tmp_path, [node("Relu", "x")], [], [info("x", shape)])
    graph = from_onnx(path)
    assert [str(size) for size in shapes(graph)[0]] == [
        "batch_size",
        "x_1",
        "x_2",
        "batch_size_2",
    ]
    half = from_onnx(path, dims={"batch size": 3})
    assert {s.name for s in free_symbols(half)} == {"x_1", "x_2", "batch_size"}
    assert shapes(from_onnx(path, inputs={"x": (1, 2, 3, 4)})) == [(1, 2, 3, 4)]
    with pytest.raises(DataError, match=r"no named dimension \['batch'\]; it has: batch size"):
        from_onnx(path, batch=1)
    many = write(tmp_path, [node("Relu", "x")], [], [info("x", (*(f"d{i}" for i in range(60)),))])
    assert len(free_symbols(from_onnx(many))) == 60
    twice = [
        info("x", (*(f"d{i}" for i in range(60)),)),
        info("z", (*(f"e{i}" for i in range(9)),)),
    ]
    with pytest.raises(DataError, match="more than 64 sizes are open"):
        from_onnx(write(tmp_path, [node("Relu", "x")], [], twice))
    deep = write(tmp_path, [node("Relu", "x")], [], [info("x", (2,) * 65)])
    with pytest.raises(DataError, match="more than 64 axes"):
        from_onnx(deep)


def test_weights_as_inputs(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w b", "c", kernel_shape=[3, 3]),
        node("Flatten", "c", "f"),
        node("Gemm", "f m v", "g", transB=1),
        node("MatMul", "t k", "p"),
    ]
    inputs = [
        IMAGE,
        info("w", (4, 8, 3, 3)),
        info("b", (4,)),
        info("m", (10, 64)),
        info("v", (10,)),
    ]
    inputs += [info("t", (2, 6, 16)), info("k", (16, 5))]
    graph = from_onnx(write(tmp_path, nodes, [], inputs, ("g", "p")))
    assert operators(graph, Conv, Linear) == [
        Conv(4, (3, 3), bias=True),
        Linear(10, True),
        Linear(5, False),
    ]
    assert cm.params(graph) == 4 * 72 + 4 + 640 + 10 + 80
    assert len([n for n in graph if type(graph.nodes[n]["op"]).__name__ == "Input"]) == 2
    both = write(tmp_path, [node("MatMul", "x k")], [], [info("x", (6, 16)), info("k", (16, 5))])
    assert operators(from_onnx(both), MatMul, Parameter) == [MatMul()]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("length", [8, 100])
def test_the_mask_says_what_is_counted(causal: bool, length: int, tmp_path: Path) -> None:
    hidden = np.triu(np.full((length, length), -np.inf, np.float32), 1 if causal else 2)
    mask = numpy_helper.from_array(hidden, "mask")
    nodes = [
        node("Transpose", "x", "k", perm=[0, 1, 3, 2]),
        node("MatMul", "x k", "s"),
        node("Mul", "s scale", "t"),
        node("Add", "t mask", "m"),
        node("Softmax", "m", "p", axis=-1),
        node("MatMul", "p x"),
    ]
    tensors = [mask, number("scale", 0.5, "float32")]
    graph = from_onnx(write(tmp_path, nodes, tensors, [info("x", (2, 4, length, 8))]))
    pairs = length * (length + 1) // 2 if causal else length**2
    assert cm.multiply_adds(graph) == 2 * 2 * 4 * 8 * pairs
    (note,) = graph.graph["notes"]
    assert ("the triangle is counted" if causal else "the full square is counted") in note


def test_attention_of_the_standard(tmp_path: Path) -> None:
    how = {"q_num_heads": 4, "kv_num_heads": 2}
    nodes = [node("Attention", "x k k", "y", is_causal=1, **how)]
    inputs = [X, info("k", (2, 6, 8))]
    graph = from_onnx(write(tmp_path, nodes, [], inputs))
    assert operators(graph, Attention) == [Attention(causal=True)]
    assert shapes(graph) == [(2, 6, 16)]
    mask = numpy_helper.from_array(np.tril(np.ones((6, 6), bool)), "mask")
    nodes = [node("Attention", "x k k mask", "y", **how)]
    masked = from_onnx(write(tmp_path, nodes, [mask], inputs))
    assert cm.multiply_adds(masked) == cm.multiply_adds(graph)
    past = [*inputs, info("past", (2, 2, 5, 4))]
    nodes = [node("Attention", "x k k - past past", "y pk pv", **how)]
    cached = from_onnx(write(tmp_path, nodes, [], past, ("y", "pk")))
    assert shapes(cached) == [(2, 6, 16), (2, 2, 11, 4)]
    assert cm.multiply_adds(cached) == 2 * (2 * 4 * 6 * 11 * 4)


def test_lengths_that_depend_on_data_are_symbols(tmp_path: Path) -> None:
    graph = from_onnx(write(tmp_path, [node("NonZero", "x", "nz"), node("Relu", "nz")], [], [X]))
    (shape,) = shapes(graph)
    assert shape[0] == 3
    assert str(shape[1]) == "nz_length"
    cm.validate(cm.at(graph, nz_length=7))


def test_a_form_that_is_refused_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, [node("Einsum", "x", "y", equation="ab->c")], [], [X])
    with pytest.raises(CostModelError, match="Einsum"):
        from_onnx(path)


SCALARS = {
    "Add": (5, 2, 7),
    "Div": (7, 2, 3),
    "Mod": (7, 4, 3),
    "Mul": (2, 3, 6),
    "Sub": (5, 2, 3),
    "Max": (2, 6, 6),
    "Min": (2, 6, 2),
    "Pow": (2, 3, 8),
}


@pytest.mark.parametrize("kind", SCALARS)
@pytest.mark.parametrize("axes", [0, 1])
def test_numbers_without_axes_fold_like_others(kind: str, axes: int, tmp_path: Path) -> None:
    a, b, right = SCALARS[kind]
    shape = (1,) * axes
    nodes = [
        node(kind, "a b", "c"),
        node("Reshape", "c one", "d"),
        node("Concat", "d minus", "target", axis=0),
        node("Expand", "x target"),
    ]
    tensors = [number("one", [1]), number("minus", [1])]
    for name, value in (("a", a), ("b", b)):
        tensors.append(numpy_helper.from_array(np.full(shape, value, np.int64), name))
    graph = from_onnx(write(tmp_path, nodes, tensors, [info("x", (1, 1))]))
    assert shapes(graph) == [(right, 1)]
