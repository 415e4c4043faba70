"""Files that are damaged or made to do harm: one sentence of the library, quickly, or a network."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.errors import CostModelError, DataError
from costmodel.importers import from_ncnn, from_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FLOAT = TensorProto.FLOAT
LIMIT = 20.0
"""Seconds of processor time that no file of a few bytes may take, on the slowest machine."""


def info(name: str, shape: tuple | None = None, code: int = FLOAT) -> object:
    return helper.make_tensor_value_info(name, code, shape)


def model(
    nodes: list, stored: list | None = None, shape: tuple = (1, 8), functions: list | None = None
) -> object:
    graph = helper.make_graph(nodes, "net", [info("x", shape)], [info("y")], stored or [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions or [])


def node(kind: str, inputs: list, outputs: list | None = None, **attributes: object) -> object:
    return helper.make_node(kind, inputs, ["y"] if outputs is None else outputs, **attributes)


def array(name: str, values: object, dtype: str = "int64") -> object:
    return numpy_helper.from_array(np.array(values, dtype), name)


def read(folder: Path, message: object, **how: object) -> str:
    """Return the sentence by which a file is refused; "" where it is read."""
    path = folder / "net.onnx"
    path.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
    start = time.process_time()
    try:
        cm.validate(from_onnx(path, **how))
        text = ""
    except CostModelError as error:
        text = str(error)
    assert time.process_time() - start < LIMIT
    assert "\n" not in text
    assert len(text) < 1000
    return text


def external(name: str, shape: tuple, location: str) -> object:
    tensor = TensorProto(name=name, dims=shape, data_type=FLOAT, data_location=1)
    tensor.external_data.add(key="location", value=location)
    return tensor


def without_output(kind: str, inputs: list) -> object:
    made = node(kind, inputs)
    del made.output[:]
    return made


BROKEN = {
    "a tensor made twice": [node("Relu", ["x"]), node("Relu", ["x"])],
    "a tensor of nowhere": [node("Relu", ["nowhere"])],
    "no inputs": [node("Relu", [])],
    "no shape to take": [node("Shape", [], ["s"]), node("Relu", ["x"])],
    "no size to take": [node("Size", [""], ["s"]), node("Relu", ["x"])],
    "no equation": [node("Einsum", ["x", "x"])],
    "no kernel": [node("MaxPool", ["x"])],
    "no outputs of a constant": [without_output("Constant", []), node("Relu", ["x"])],
    "a constant without a value": [node("Constant", [], ["c"]), node("Add", ["x", "c"])],
    "a constant of text": [node("Constant", [], ["c"], value_string="c"), node("Add", ["x", "c"])],
    "an axis of nowhere": [node("Softmax", ["x"], axis=7)],
    "a loop without a body": [node("Loop", ["", "", "x"])],
    "a branch without a condition": [node("If", [""])],
    "an attribute of another type": [node("Transpose", ["x"], perm="ab")],
    "sizes beyond all limits": [node("MaxPool", ["x"], kernel_shape=[2**62])],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_nodes_are_named(name: str, tmp_path: Path) -> None:
    text = read(tmp_path, model(BROKEN[name]))
    assert "net.onnx" in text
    path = tmp_path / "net.onnx"
    for strict in (True, False):
        with pytest.raises(CostModelError):
            from_onnx(path, strict=strict)


ARITHMETIC = [
    ("Div", [8, 8], [0, 0]),
    ("Mod", [8, 8], [0, 0]),
    ("Pow", [2, 2], [2**62, 2**62]),
    ("Reshape", [1, 8], [-1, -1]),
    ("Reshape", [1, 8], [7, 7]),
    ("Expand", [1, 8], [-3, 8]),
    ("Tile", [1, 8], [-1]),
    ("Gather", [1, 8], [99]),
    ("ConstantOfShape", [-1, 2], None),
    ("ConstantOfShape", [2**40, 2**40], None),
    ("Unsqueeze", [1, 8], [99]),
    ("Squeeze", [1, 8], [99]),
    ("Range", [0], [2**62]),
]


@pytest.mark.parametrize(("kind", "first", "second"), ARITHMETIC)
@pytest.mark.parametrize("symbols", [False, True])
def test_arithmetic_on_shapes_ends_in_a_sentence(
    kind: str, first: list, second: list | None, symbols: bool, tmp_path: Path
) -> None:
    stored = [array("a", first), *([array("b", second)] if second else [])]
    names = ["s" if symbols else "a", *(["b"] if second else [])]
    nodes = [
        node("Shape", ["x"], ["s"]),
        node(kind, names, ["target"]),
        node("Reshape", ["x", "target"]),
    ]
    read(tmp_path, model(nodes, stored, ("n", "m") if symbols else (1, 8)))


def test_sizes_that_grow_without_end(tmp_path: Path) -> None:
    nodes = [node("Shape", ["x"], ["s0"])]
    nodes += [node("Mul", [f"s{i}", f"s{i}"], [f"s{i + 1}"]) for i in range(200)]
    nodes += [node("Reshape", ["x", "s200"])]
    assert read(tmp_path, model(nodes, shape=("n", "m")))
    assert read(tmp_path, model(nodes, shape=(3, 5)))
    many = [node("Shape", ["x"], ["s"])]
    many += [node("Add", ["s", "s"], [f"t{i}"]) for i in range(3000)]
    text = read(tmp_path, model([*many, node("Relu", ["x"])], shape=("n", "m")))
    assert "give them numbers" in text


def test_nodes_beyond_all_measure(tmp_path: Path) -> None:
    """As many nodes as fit into the bytes, or as many inputs as fit into a node."""
    chain = [node("Relu", [f"{i - 1:x}" if i else "x"], [f"{i:x}"]) for i in range(20_000)]
    assert "too many for a file of" in read(tmp_path, model([*chain, node("Relu", ["x"])]))
    for kind in ("Concat", "Sum", "Max"):
        how = {"axis": 0} if kind == "Concat" else {}
        wide = node(kind, ["x"] * 100_000, **how)
        assert "more than 4096 inputs" in read(tmp_path, model([wide]))
    parts = [f"p{i}" for i in range(50_000)]
    assert "more than 4096" in read(tmp_path, model([node("Split", ["x"], parts, axis=0)]))


def test_a_long_list_of_unknown_operators_ends_in_a_count(tmp_path: Path) -> None:
    nodes = [node(f"Unknown{i}", ["x"], [f"u{i}"], name=f"place{i}") for i in range(500)]
    text = read(tmp_path, model([*nodes, node("Relu", ["x"])]))
    assert "500 operators" in text
    assert "and 497 more" in text
    long = node("Quux" * 500, ["x"], name="a\n" * 500)
    assert "Quux" in read(tmp_path, model([long]))


def test_functions_and_loops_that_never_end(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    inner = node("f", ["a"], ["b"], domain="own")
    itself = helper.make_function("own", "f", ["a"], ["b"], [inner], opsets)
    call = node("f", ["x"], domain="own")
    assert "nest deeper" in read(tmp_path, model([call], functions=[itself]))
    laughs = [
        helper.make_function(
            "own",
            f"f{i}" if i else "f",
            ["a"],
            ["b"],
            [
                node(f"f{i + 1}", ["a"], ["c"], domain="own"),
                node(f"f{i + 1}", ["c"], ["b"], domain="own"),
            ],
            opsets,
        )
        for i in range(30)
    ]
    laughs.append(
        helper.make_function("own", "f30", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)
    )
    assert "add more than" in read(tmp_path, model([call], functions=laughs))
    body = helper.make_graph(
        [node("Identity", ["c"], ["d"]), node("Relu", ["s"], ["t"])],
        "body",
        [info("i", (), 7), info("c", (), 9), info("s")],
        [info("d", (), 9), info("t")],
    )
    loop = node("Loop", ["n", "", "x"], body=body)
    assert "runs" in read(tmp_path, model([loop], [array("n", 2**40)]))
    assert read(tmp_path, model([loop], [array("n", 5)])) == ""


def test_no_other_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(np.float32([3]).tobytes())
    value = external("v", (1,), "secret.bin")
    shape = array("s", [2, 2])
    nodes = [node("ConstantOfShape", ["s"], ["c"], value=value), node("Add", ["x", "c"])]
    assert read(tmp_path, model(nodes, [shape], (2, 2))) == ""
    number = external("v", (1,), "../secret.bin")
    graph = model([node("Mul", ["x", "v"])], [number])
    path = tmp_path / "net.onnx"
    path.write_bytes(graph.SerializeToString())
    assert not any(op.kind == "mul" and op.value for op in _elementwise(from_onnx(path)))


def _elementwise(graph: object) -> list:
    return [op for _, op in graph.nodes(data="op") if type(op).__name__ == "Elementwise"]


@pytest.mark.parametrize("value", ["[" * 5000, "['a'" + ", 'b'" * 5000, "__import__('os')", "'"])
def test_scopes_are_read_as_text(value: str, tmp_path: Path) -> None:
    relu = node("Relu", ["x"])
    relu.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=value)
    assert read(tmp_path, model([relu])) == ""


def test_what_is_not_a_plain_file(tmp_path: Path) -> None:
    for reader in (from_onnx, lambda path: from_ncnn(path, (1, 3, 8, 8))):
        for path in (tmp_path, Path("/dev/zero"), tmp_path / "a\0b", tmp_path / ("n" * 3000)):
            with pytest.raises(DataError, match="cannot be read|is larger than"):
                reader(path)


def seeds() -> list[bytes]:
    weights = numpy_helper.from_array(np.ones((4, 8, 3, 3), np.float32), "w")
    conv = model(
        [
            node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Shape", ["c"], ["s"]),
            node("Slice", ["s", "zero", "two"], ["nc"]),
            node("Concat", ["nc", "minus"], ["target"], axis=0),
            node("Reshape", ["c", "target"], ["r"]),
            node("Softmax", ["r"], axis=-1),
        ],
        [weights, array("zero", [0]), array("two", [2]), array("minus", [-1])],
        ("batch", 8, 6, 6),
    )
    matrix = numpy_helper.from_array(np.ones((8, 4), np.float32), "w")
    product = model([node("MatMul", ["x", "w"], ["m"]), node("Gelu", ["m"])], [matrix])
    return [conv.SerializeToString(), product.SerializeToString()]


def test_mutations_of_valid_files(tmp_path: Path) -> None:
    rng = random.Random(0)
    accepted = 0
    for _ in range(400):
        content = bytearray(rng.choice(seeds()))
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = rng.randrange(len(content))
            match rng.randrange(4):
                case 0:
                    content[at] = rng.randrange(256)
                case 1:
                    del content[at : at + rng.randrange(1, 6)]
                case 2:
                    content[at:at] = bytes(rng.randrange(256) for _ in range(3))
                case 3:
                    content[at] ^= 1 << rng.randrange(8)
        accepted += read(tmp_path, bytes(content), strict=rng.random() < 0.7) == ""
    assert accepted >= 40


NCNN = "7767517\n3 3\nInput data 0 1 data\nConvolution c 1 1 data c 0=4 1=3 6=108\nReLU r 1 1 c r\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0=4", "0=1e999"),
        ("0=4", "0=nan"),
        ("0=4", f"0={'9' * 5000}"),
        ("0=4", "0=\N{SUPERSCRIPT TWO}"),
        ("3 3", "\N{SUPERSCRIPT TWO} 3"),
        ("3 3", f"{'9' * 400} 3"),
        ("1=3", "1=99999999999"),
        ("1 1 data c", "1 -1 data c"),
        ("1 1 data c", "99999999 1 data c"),
        ("1 1 c r", "0 1 r"),
        ("Convolution", "Slice"),
        ("Convolution", "Reshape"),
        ("Convolution", "Interp"),
    ],
)
def test_numbers_of_ncnn(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "n.param"
    path.write_text(NCNN.replace(old, new), encoding="utf-8")
    with pytest.raises(CostModelError) as caught:
        from_ncnn(path, (1, 3, 8, 8))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_mutations_of_ncnn_files(tmp_path: Path) -> None:
    rng = random.Random(0)
    accepted = 0
    path = tmp_path / "n.param"
    for _ in range(400):
        words = NCNN.split(" ")
        for _ in range(rng.choice([1, 1, 2])):
            at = rng.randrange(len(words))
            words[at] = rng.choice([*words, "0=-1", "1e9", "-23300=2,1,2", "x", ""])
        path.write_text(" ".join(words))
        try:
            cm.validate(from_ncnn(path, (1, 3, 8, 8)))
            accepted += 1
        except CostModelError as error:
            assert "\n" not in str(error)
    assert accepted >= 40
