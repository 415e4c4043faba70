"""Small valid stores and models to start from, and changes of ONNX messages."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from typing import Any

from ..measuring.store import SCHEMA, Result
from ..measuring.summary import Timing

_NCNN = (
    """7767517
6 6
Input data 0 1 data 0=32 1=32 2=3
Convolution conv 1 1 data a 0=8 1=3 3=2 4=1 5=1 6=216 9=1
Split split 1 2 a b c
Pooling pool 1 1 b d 0=0 1=3 2=1 3=1
BinaryOp sum 2 1 c d e 0=0
InnerProduct fc 1 1 e out 0=10 1=1 2=20480
""",
    """7767517
5 5
Input data 0 1 data
ConvolutionDepthWise dw 1 1 data a 0=3 1=3 11=3 2=1 3=1 4=1 5=0 6=27 7=3
Permute turn 1 1 a b 0=3
Reshape flat 1 1 b c 0=-1
Softmax prob 1 1 c out 0=0
""",
    """7767517
4 4
Input data 0 1 data -23330=4,3,32,32,3
Interp up 1 1 data a 0=1 1=2.0 2=2.0
Slice cut 1 2 a b c -23300=2,1,-233 1=0
Concat join 2 1 c b out 0=0
""",
)


def ncnn() -> list[bytes]:
    """Return valid ncnn texts.

    Examples
    --------
    >>> ncnn()[0][:7]
    b'7767517'
    """
    return [text.encode() for text in _NCNN]


def store_lines() -> list[bytes]:
    """Return valid stores of results."""
    timing = Timing(2e-3, 1e-3, 3e-3, 1e-3, 3e-3, 2e-3, 0.1, 0.1, 20, 3, 4, 0, 0, True, True)
    settings = {"threads": 2, "dtype": "float32", "between": 0}
    results = (
        Result("resnet50?size=224", "torch", "host/torch-eager", settings, 1, timing),
        Result("vgg16", "torch", "host/torch-eager", {}, failure="out of memory"),
        Result("vgg16", "ncnn", "host/ncnn", settings, 1, timing, host={"cpu": "x"}, kernel="conv"),
    )
    lines = [json.dumps({"schema": SCHEMA, **asdict(result)}) for result in results]
    return ["\n".join(lines).encode() + b"\n", lines[0].encode()]


def onnx() -> list[bytes]:
    """Return valid ONNX models; none where onnx is not installed."""
    try:
        from onnx import TensorProto, helper
    except ImportError:
        return []
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))
    weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 3, 3), [0.0] * 108)
    shape = helper.make_tensor("s", TensorProto.INT64, (2,), [0, -1])
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Shape", ["c"], ["d"]),
        helper.make_node("ConstantOfShape", ["d"], ["e"]),
        helper.make_node("Add", ["c", "e"], ["f"]),
        helper.make_node("Reshape", ["f", "s"], ["g"]),
        helper.make_node("Split", ["g"], ["h", "i"], axis=1),
        helper.make_node("Concat", ["h", "i"], ["j"], axis=1),
        helper.make_node("Transpose", ["j"], ["k"], perm=[1, 0]),
        helper.make_node("Einsum", ["j", "k"], ["y"], equation="ij,jk->ik"),
    ]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [image], [result], [weight, shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    content: bytes = model.SerializeToString()
    return [content]


_KINDS = [
    "Conv",
    "Gemm",
    "MatMul",
    "Einsum",
    "Shape",
    "Reshape",
    "Split",
    "Concat",
    "Slice",
    "Gather",
    "Pad",
    "Resize",
    "Constant",
    "Expand",
    "ConstantOfShape",
    "ReduceMean",
    "Squeeze",
    "Unsqueeze",
    "LSTM",
    "Cast",
    "Where",
    "Range",
    "Tile",
    "Transpose",
    "Softmax",
    "ConvTranspose",
    "AveragePool",
    "BatchNormalization",
    "LayerNormalization",
    "Add",
    "Mul",
    "Div",
    "NonZero",
    "If",
    "Loop",
]
_NUMBERS = (0, 1, -1, 2, 3, 7, -(2**63), 2**63 - 1, 2**40, 65536)


def change_onnx(content: bytes, rng: random.Random) -> bytes:
    """Return a model with a few things changed in its message."""
    import onnx

    model = onnx.load_model_from_string(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(model.graph, rng)
    changed: bytes = model.SerializeToString()
    return changed


def _change(graph: Any, rng: random.Random) -> None:
    """Change one node, attribute, stored tensor or input of ``graph``."""
    node = rng.choice(graph.node)
    match rng.randrange(9):
        case 0:
            node.op_type = rng.choice(_KINDS)
        case 1 if node.input:
            del node.input[rng.randrange(len(node.input))]
        case 2 if node.output:
            del node.output[rng.randrange(len(node.output))]
        case 3:
            node.input.append(rng.choice([n for each in graph.node for n in each.output] + [""]))
        case 4 if node.attribute:
            _change_attribute(node, rng)
        case 5:
            tensor = rng.choice(graph.initializer)
            tensor.dims.append(rng.choice(_NUMBERS))
        case 6:
            tensor = rng.choice(graph.initializer)
            tensor.data_type = rng.randrange(24)
        case 7:
            sizes = graph.input[0].type.tensor_type.shape.dim
            rng.choice(sizes).dim_value = rng.choice(_NUMBERS)
        case _:
            graph.node.insert(rng.randrange(len(graph.node)), node)


def _change_attribute(node: Any, rng: random.Random) -> None:
    attribute = rng.choice(node.attribute)
    match rng.randrange(5):
        case 0:
            attribute.type = rng.randrange(14)
        case 1:
            attribute.ints.append(rng.choice(_NUMBERS))
        case 2:
            attribute.i = rng.choice(_NUMBERS)
        case 3:
            attribute.s = rng.choice((b"", b"ij,jk", b"\xff", b"->", b"SAME_UPPER"))
        case _:
            node.attribute.remove(attribute)
