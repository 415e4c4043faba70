"""Automatic mixed precision: casts and what they are fused with, counted by hand."""

from __future__ import annotations

import networkx as nx
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.errors import DataError
from costmodel.graph import Builder, nodes_in_order
from costmodel.kernels import Kernel
from costmodel.kernels.autocast import autocast, read_lists
from costmodel.ops import Cast, Conv, Elementwise, Linear, Softmax
from costmodel.platforms import load_platform
from costmodel.prediction.table import lowered

EAGER, COMPILED = "rtx-3090/torch-eager?amp=float16", "rtx-3090/torch-compile?amp=float16"


def nodes(graph: nx.DiGraph, hardware: str = "gpu", dtype: str = "float16") -> dict[str, str]:
    """Return the dtype of the output of every node by its name."""
    found = autocast(nodes_in_order(graph), dtype, hardware, False)
    return {node.name: node.outputs[0].dtype for node in found if node.outputs}


def kernels(graph: nx.DiGraph, platform: str) -> list[Kernel]:
    return list(lowered(graph, load_platform(platform, calibrated=False)).kernels)


def output(
    op: ops.Op, dtypes: tuple[str, ...], hardware: str, shapes: tuple[tuple[int, ...], ...]
) -> str:
    """Return the dtype that an operator returns."""
    b = Builder()
    given = [b.input(s, dtype=d) for s, d in zip(shapes, dtypes, strict=False)]
    low = {"gpu": "float16", "cpu": "bfloat16"}[hardware]
    return nodes(b.finish(b.add(op, *given, name="y")), hardware, low)["y"]


# What is a kernel.


def test_a_convolution_casts_its_image_and_each_learned_tensor() -> None:
    b = Builder()
    y = b.add(Conv(4, (3, 3), bias=True), b.input((1, 8, 8, 8)), name="conv")
    image, plane = 8 * 64, 4 * 8 * 9
    found = kernels(b.finish(y), EAGER)
    assert [(k.name, k.bytes) for k in found] == [
        ("conv.weight0.cast", 6 * plane),
        ("conv.weight1.cast", 6 * 4),
        ("conv.input0.cast", 6 * image),
        ("conv", 2 * (image + plane + 4 + 4 * 36)),
    ]
    assert [k.kind for k in found] == ["elementwise"] * 3 + ["convolution"]


def test_a_linear_layer_whose_weight_is_cast_stays_one() -> None:
    b = Builder()
    y = b.add(Linear(32, bias=False), b.input((4, 64)), name="linear")
    assert [k.kind for k in kernels(b.finish(y), EAGER)][-1] == "linear"


def test_a_learned_tensor_is_cast_once_whatever_uses_it() -> None:
    b = Builder()
    x = b.input((4, 64))
    same = [b.add(Linear(64, bias=False), x, name=n, weights="w") for n in ("a", "b")]
    found = nodes(b.finish(b.add(Elementwise("add"), *same)))
    assert [name for name in found if "weight" in name] == ["a.weight0", "a.weight0.cast"]


def test_a_compiler_folds_the_casts_of_learned_tensors_and_casts_once() -> None:
    b = Builder()
    x = b.input((4, 64))
    heads = [b.add(Linear(64), x, name=n) for n in ("q", "k", "v")]
    graph = b.finish(b.add(ops.Concat(1), *heads))
    eager, compiled = kernels(graph, EAGER), kernels(graph, COMPILED)
    assert sum(".cast" in k.name for k in eager) == 3 * 3
    assert [k.name for k in compiled if ".cast" in k.name] == ["q.input0.cast"]


def test_a_change_of_dtype_inside_an_element_wise_kernel_is_none_of_its_own() -> None:
    b = Builder()
    x = b.input((4, 64))
    y = b.add(Linear(64), x, name="linear")
    graph = b.finish(b.add(Elementwise("add"), y, x, name="sum"))
    found = {k.name: k for k in kernels(graph, EAGER)}
    assert not [name for name in found if name.startswith("sum.")]
    assert found["sum"].bytes == 4 * 64 * (2 + 4 + 4)
    assert found["sum"].dtype == "float32"


def test_a_compiler_joins_casts_with_what_is_element_wise() -> None:
    b = Builder()
    y = b.add(Linear(64), b.add(Elementwise("gelu"), b.input((4, 64)), name="gelu"))
    y = b.add(ops.LayerNorm(1), y, name="norm")
    y = b.add(Linear(64), y, name="last")
    found = [k.nodes for k in kernels(b.finish(y), COMPILED)]
    assert ("gelu", "linear.input0.cast") in found
    assert ("norm.input0.cast", "norm", "last.input0.cast") in found


def test_a_softmax_reads_the_lower_precision_and_writes_float32() -> None:
    b = Builder()
    x = b.input((4, 64))
    graph = b.finish(b.add(Softmax(), b.add(Linear(64), x), name="softmax"))
    (softmax,) = [k for k in kernels(graph, EAGER) if k.name == "softmax"]
    assert (softmax.read_bytes, softmax.write_bytes) == (2 * 4 * 64, 4 * 4 * 64)
    assert softmax.dtype == "float32"


def test_the_bias_of_a_product_with_computed_weights_is_cast() -> None:
    """As in a convolution whose weights are standardized, or a bias joined from parts."""
    b = Builder()
    x = b.input((2, 8, 8, 8))
    y = b.add(Conv(4, (3, 3)), x, name="conv")
    half = b.add(ops.Parameter((2, 1, 1)))
    bias = b.add(ops.Concat(0), half, half, name="bias")
    y = b.add(Elementwise("add"), y, bias, name="sum")
    assert nodes(b.finish(y))["sum"] == "float16"


def test_an_added_image_that_is_learned_is_no_bias() -> None:
    b = Builder()
    y = b.add(Linear(64), b.input((2, 5, 64)), name="linear")
    y = b.add(Elementwise("add"), y, b.add(ops.Parameter((1, 5, 64))), name="sum")
    assert nodes(b.finish(y))["sum"] == "float32"


def test_a_cast_weight_has_just_been_written() -> None:
    b = Builder()
    x = b.input((1, 4096))
    for i in range(3):
        x = b.add(Linear(4096, bias=False), x, name=f"linear{i}")
    plain, cast = (
        lowered(b.finish(x), load_platform(f"a100-sxm-80gb/torch-eager?{s}", calibrated=False))
        for s in ("dtype=float16", "amp=float16")
    )
    weight = 2 * 4096**2
    far = [w.weights.distance for w in plain.workloads]
    near = [w.weights.distance for w in cast.workloads if w.kind == "linear"]
    assert min(far) > 3 * weight
    assert all(weight <= distance < 2.1 * weight for distance in near)


def test_masked_attention_is_one_kernel_in_the_lower_precision() -> None:
    b = Builder()
    q, k, v = (b.input((1, 2, 16, 64)) for _ in range(3))
    scores = b.add(ops.AttentionScores(), q, k)
    scores = b.add(Elementwise("add"), scores, b.add(ops.Parameter((1, 2, 16, 16))))
    y = b.add(ops.AttentionMix(), b.add(Softmax(), scores), v, name="attention")
    *casts, attention = kernels(b.finish(y), EAGER)
    assert [c.kind for c in casts] == ["elementwise"] * 3
    assert (attention.kind, attention.dtype) == ("attention", "float16")


# The setting.


def test_amp_is_faster_than_float32_and_no_faster_than_half() -> None:
    graph = cm.zoo.resnet50(batch=64)
    full, amp, half = (
        cm.latency(graph, f"rtx-3090/torch-eager{s}").seconds
        for s in ("", "?amp=float16", "?dtype=float16")
    )
    assert half < amp < full


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("rtx-3090/paper?amp=float16", "paper has no automatic mixed precision; leave amp out"),
        ("pixel-4/tflite?amp=float16", "tflite has no automatic mixed precision"),
        ("rtx-3090/torch-eager?amp=int8", "amp must be one of float16, bfloat16, got 'int8'"),
    ],
)
def test_amp_is_refused_where_there_is_none(name: str, part: str) -> None:
    with pytest.raises(DataError, match=part) as error:
        load_platform(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", [EAGER, f"{EAGER}&layout=nhwc", "xeon-gold-6240/torch-eager?amp=bfloat16"]
)
def test_the_setting_survives_loading(name: str) -> None:
    assert load_platform(name).name == name


def test_without_amp_nothing_changes() -> None:
    b = Builder()
    y = b.add(Conv(4, (3, 3)), b.input((1, 8, 8, 8)), name="conv")
    assert [k.name for k in kernels(b.finish(y), "rtx-3090/torch-eager")] == ["conv"]


@pytest.mark.parametrize(
    ("lists", "part"),
    [
        ('lower = ["Conv"]\nfull = ["Conv"]\n', "'Conv' must be an operator in one list"),
        ('lower = ["Convolution"]\nfull = []\n', "'Convolution' must be an operator in one list"),
        ("lower = []\n", "its fields must be source, lower, full, raised, widest"),
    ],
)
def test_wrong_lists_are_refused(lists: str, part: str) -> None:
    with pytest.raises(DataError, match=part):
        read_lists(f'[gpu]\nsource = "x"\n{lists}raised = []\nwidest = []\n')


def test_float64_is_left_alone() -> None:
    assert output(Linear(4), ("float64",), "gpu", ((2, 3),)) == "float64"


def test_tensors_of_one_element_do_not_raise_others() -> None:
    dtypes = ("float16", "float32")
    assert output(Elementwise("mul"), dtypes, "gpu", ((2, 3), ())) == "float16"
    assert output(Elementwise("mul"), dtypes, "gpu", ((2, 3), (1,))) == "float32"


def test_no_cast_is_put_between_operators_that_agree() -> None:
    b = Builder()
    x = b.input((1, 8, 8, 8))
    for _ in range(3):
        x = b.add(Conv(8, (3, 3), padding=1), x)
    found = autocast(nodes_in_order(b.finish(x)), "float16", "gpu", False)
    images = [node for node in found if isinstance(node.op, Cast) and ".input" in node.name]
    assert len(images) == 1


@pytest.mark.parametrize(
    "platform", [EAGER, f"{EAGER}&layout=nhwc", COMPILED, "h100-sxm/cuda-graphs?amp=bfloat16"]
)
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vit"])
def test_more_images_never_take_less_time(platform: str, name: str) -> None:
    batches = [1, 2, 3, 5, 8, 13, 32, 33, 64]
    found = cm.latencies([cm.network(f"{name}?batch={n}") for n in batches], platform)
    times = [p.seconds for p in found]
    assert times == sorted(times)
