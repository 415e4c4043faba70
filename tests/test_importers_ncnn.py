"""from_ncnn: small networks written here, and the benchmark networks where the data is there."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

import costmodel as cm
from costmodel.errors import CostModelError, DataError, UnknownOperatorError
from costmodel.importers import from_ncnn
from costmodel.importers.ncnn.load import _walk
from costmodel.importers.ncnn.parse import parse, read
from costmodel.ops import Cast, ChannelShuffle, Conv, ConvTranspose, Elementwise, Slice, Split

DATA = (
    Path(os.environ.get("COSTMODEL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "ncnn"
)
NETWORKS = sorted(path.stem for path in DATA.glob("param/*.param"))
needs_data = pytest.mark.skipif(
    not NETWORKS, reason="ncnn networks not found: set COSTMODEL_DATA to the folder of measurements"
)

UNIT = """7767517
12 14
Input            data      0 1 data 0=32 1=32 2=3
Convolution      stem      1 1 data stem 0=16 1=3 3=2 4=1 5=1 6=432 9=1
Slice            cut       1 2 stem a b -23300=2,8,-233
Convolution      wide      1 1 b wide 0=8 1=1 11=3 4=0 14=1 6=192 9=3 -23310=2,0.0,6.0
ConvolutionDepthWise deep  1 1 wide deep 0=8 1=3 4=-233 5=1 6=72 7=8
Split            twice     1 2 deep deep0 deep1
BinaryOp         gate      2 1 deep0 deep1 gate 0=2
Concat           join      2 1 a gate join
ShuffleChannel   shuffle   1 1 join shuffle 0=2
Deconvolution    up        1 1 shuffle up 0=4 1=2 3=2 6=256
Pooling          pool      1 1 up pool 0=1 4=1
InnerProduct     fc        1 1 pool fc 0=10 1=1 2=40
"""


def lines(body: str, kind: str = "7767517") -> str:
    layers = [line for line in body.strip().splitlines() if line]
    return f"{kind}\n{len(layers)} {len(layers)}\n" + "\n".join(layers) + "\n"


def load(tmp_path: Path, text: str, shape: tuple = (1, 3, 32, 32)) -> object:
    path = tmp_path / "net.param"
    path.write_text(text)
    graph = from_ncnn(path, shape)
    cm.validate(graph)
    return graph


def test_a_small_network(tmp_path: Path) -> None:
    graph = load(tmp_path, UNIT)
    ops = [op for _, op in graph.nodes(data="op")]
    assert Conv(16, (3, 3), (2, 2), 1, bias=True) in ops
    assert Conv(8, (3, 1), padding=((1, 1), (0, 0))) in ops
    assert Conv(8, (3, 3), padding="same", groups=8, bias=True) in ops
    assert Split(1, 2) in ops
    assert ChannelShuffle(2) in ops
    assert ConvTranspose(4, (2, 2), (2, 2)) in ops
    assert [op.kind for op in ops if isinstance(op, Elementwise)] == ["relu", "relu6", "mul"]
    pixels = 16 * 16
    assert cm.multiply_adds(graph) == pixels * (432 + 192 + 72 + 256) + 40
    assert cm.params(graph) == (432 + 16) + 192 + (72 + 8) + 256 + (40 + 10)
    assert graph.graph["coverage"] == 1.0


def test_symbolic_size(tmp_path: Path) -> None:
    graph = load(tmp_path, UNIT, (cm.dim("n"), 3, cm.dim("s"), cm.dim("s")))
    assert cm.cost(cm.at(graph, n=1, s=32)) == cm.cost(load(tmp_path, UNIT))


def test_int8_layers_take_and_make_what_the_file_says(tmp_path: Path) -> None:
    body = """
Input data 0 1 data
Convolution a 1 1 data a 0=4 1=1 6=12 8=102 9=1
Convolution b 1 1 a b 0=4 1=1 6=16 8=2
"""
    graph = load(tmp_path, lines(body), (1, 3, 8, 8))
    ops = [op for _, op in graph.nodes(data="op")]
    # Quantized once, handed on as int8, made float at the end.
    assert [op.dtype for op in ops if isinstance(op, Cast)] == ["int8", "float32"]
    assert cm.params(graph, unit="bytes") == 12 + 16


def test_crop_reshape_permute(tmp_path: Path) -> None:
    body = """
Input data 0 1 data
Crop half 1 1 data half -23309=1,1 -23310=1,3 -23311=1,0
Reshape rows 1 1 half rows 0=-1 1=2
Permute turn 1 1 rows turn 0=1
Softmax last 1 1 turn last 0=1 1=1
"""
    graph = load(tmp_path, lines(body), (1, 3, 4, 4))
    ops = [op for _, op in graph.nodes(data="op")]
    assert Slice(1, 1, 2) in ops
    assert graph.nodes["softmax"]["outputs"][0].shape == (1, 16, 2)


def test_activations_are_named_as_by_the_other_importers(tmp_path: Path) -> None:
    body = """
Input data 0 1 data
Clip a 1 1 data a 0=0.0 1=6.0
Clip b 1 1 a b 0=0.0
Clip c 1 1 b c 0=-1.0 1=1.0
GELU d 1 1 c d
GELU e 1 1 d e 0=1
Convolution f 1 1 e f 0=3 1=1 6=9 9=3 -23310=2,-1.0,1.0
"""
    kinds = [op.kind for op in elementwise(load(tmp_path, lines(body)))]
    assert kinds == ["relu6", "relu", "hard_tanh", "gelu", "gelu_tanh", "hard_tanh"]


def test_layers_of_the_file_run_one_by_one(tmp_path: Path) -> None:
    """A file is what ncnn runs: a gate that it has apart is two layers, in MobileNet v3 for one."""
    body = """
Input data 0 1 data
Split two 1 2 data x0 x1
HardSigmoid gate 1 1 x1 gate
BinaryOp mul 2 1 x0 gate y 0=2
"""
    assert [op.kind for op in elementwise(load(tmp_path, lines(body)))] == ["hard_sigmoid", "mul"]


def elementwise(graph: object) -> list[Elementwise]:
    return [op for _, op in graph.nodes(data="op") if isinstance(op, Elementwise)]


def test_post_processing_is_left_out_and_said(tmp_path: Path) -> None:
    body = """
Input data 0 1 data
Convolution head 1 1 data head 0=18 1=1 6=54
Yolov3DetectionOutput out 1 1 head out 1=3
"""
    graph = load(tmp_path, lines(body))
    # Its work does not follow from shapes: it may be as much as all that is counted.
    assert graph.graph["coverage"] == 0.5
    (unknown,) = graph.graph["unknown"]
    assert unknown.startswith("Yolov3DetectionOutput [post-processing] at out")
    assert cm.multiply_adds(graph) == 32 * 32 * 54


def test_unknown_layers_are_listed_at_once(tmp_path: Path) -> None:
    body = """
Input data 0 1 data
Spectrogram one 1 1 data one
GridSample two 1 1 one two
"""
    with pytest.raises(
        UnknownOperatorError, match=r"2 operators: Spectrogram \(at one\); GridSample"
    ):
        load(tmp_path, lines(body))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line of an ncnn .param file must be 7767517"),
        ("7767517\nlayers\n", "line 2 must give the numbers"),
        ("7767517\n3 3\nInput data 0 1 data\n", "line 2 gives 3 layers but 1 follow"),
        ("7767517\n1 1\nInput data 0 x data\n", "net.param, line 3: expected 'type name"),
        ("7767517\n1 1\nReLU r 1 1 nothing out\n", "layer 'r' takes 'nothing', made by none"),
        (
            lines("Input data 0 1 data\nInnerProduct fc 1 1 data fc 0=0 2=3"),
            r"layer 'fc' \(InnerProduct\): InnerProduct weights 3 is not divisible by 0",
        ),
        (
            lines("Input data 0 1 data\nConvolution c 1 1 data c 0=4 1=3 6=107"),
            "107 weights where the shapes need 108",
        ),
        (
            lines("Input data 0 1 data\nConvolution c 1 1 data c 0=4 1=99 6=5"),
            "does not fit into size 32",
        ),
    ],
)
def test_wrong_files_are_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CostModelError, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.param").write_bytes(b"\xff\xfe\x00")
    for name in ("none.param", "bytes.param"):
        with pytest.raises(DataError, match=f"{name}: cannot be read"):
            from_ncnn(tmp_path / name, (1, 3, 8, 8))


def test_parser_reads_shape_hints() -> None:
    text = lines("Input data 0 1 data -23330=8,3,32,16,3,1,7,1,1").splitlines()
    assert parse(text, "net")[0].hints == ((3, 16, 32), (7,))


# The networks of ncnn's benchmark. Multiply-adds in millions: of the paper that describes the
# network, and ours exactly; where the file is another variant, the note says so.
PRINTED = {
    "alexnet": (724, 724_406_816, "with groups; Iandola et al. 2016 count about 720"),
    "googlenet": (1_550, 1_582_671_872, "Szegedy et al. 2015: 1.5 billion"),
    "mobilenet": (569, 568_740_352, "Howard et al. 2017"),
    "mobilenet_v2": (300, 313_619_328, "Sandler et al. 2018; the file widens its first block 1x"),
    "resnet18": (1_820, 1_826_918_400, "He et al. 2016: 1.8 billion"),
    "resnet50": (3_860, 3_857_973_248, "He et al. 2016: 3.8 billion, stride in the 1x1"),
    "shufflenet": (140, 127_061_304, "Zhang et al. 2018, g = 3; the file has other widths"),
    "shufflenet_v2": (146, 144_907_992, "Ma et al. 2018; the file halves stride-2 units evenly"),
    "vgg16": (15_470, 15_470_264_320, "Simonyan and Zisserman 2015"),
}


@needs_data
@pytest.mark.parametrize("name", PRINTED)
def test_benchmark_networks_match_what_is_published(name: str) -> None:
    printed, exact, _ = PRINTED[name]
    counted = cm.multiply_adds(graph_of(name))
    assert counted == exact
    assert counted / 1e6 == pytest.approx(printed, rel=0.1)


def shape_of(name: str) -> tuple[int, ...]:
    with (DATA / "input_shapes.csv").open() as file:
        (row,) = (row for row in csv.DictReader(file) if row["net"] == name)
    return (1, int(row["c"]), int(row["h"]), int(row["w"]))


def graph_of(name: str) -> object:
    return from_ncnn(DATA / "param" / f"{name}.param", shape_of(name))


@needs_data
@pytest.mark.parametrize("name", NETWORKS)
def test_benchmark_networks_load(name: str) -> None:
    graph = graph_of(name)
    cm.validate(graph)
    assert cm.multiply_adds(graph) > 10**7
    # All that is left out is post-processing, which the graph says.
    assert all("post-processing" in entry for entry in graph.graph["unknown"])
    if name.endswith("_int8"):
        assert cm.multiply_adds(graph) == cm.multiply_adds(graph_of(name.removesuffix("_int8")))


@needs_data
def test_every_shape_that_the_files_note_is_ours() -> None:
    compared = 0
    for name in NETWORKS:
        layers = read(DATA / "param" / f"{name}.param")
        walk, _ = _walk(layers, name, shape_of(name))
        for layer in layers:
            for blob, hint in zip(layer.outputs, layer.hints, strict=False):
                if blob in walk.blobs:
                    assert walk.blobs[blob].shape[1:] == hint, (name, layer.name)
                    compared += 1
    assert compared > 3000
