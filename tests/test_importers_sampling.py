"""Grid sampling and deformable convolution: from torch, from ONNX, and what they cost."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402
from torch.nn import functional  # noqa: E402

import costmodel as cm  # noqa: E402
from costmodel.graph import nodes_in_order  # noqa: E402
from costmodel.ops import Conv, DeformConv, GridSample, Resize  # noqa: E402
from costmodel.ops.tensor import Tensor  # noqa: E402
from costmodel_validation.backends.graph_to_torch import to_torch  # noqa: E402

X, GRID = (2, 8, 14, 14), (2, 7, 9, 2)


def operators(graph: object) -> list[object]:
    return [node.op for node in nodes_in_order(graph) if node.op.kernel_kinds]


class Sampled(torch.nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return functional.grid_sample(x, grid, mode=self.mode, align_corners=False)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_samples_from_torch(mode: str) -> None:
    graph = cm.from_torch(Sampled(mode), torch.zeros(X), torch.zeros(GRID))
    assert operators(graph) == [GridSample(mode)]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("bilinear", "bilinear"),
        ("linear", "bilinear"),
        ("cubic", "bicubic"),
        ("nearest", "nearest"),
    ],
)
def test_grid_samples_from_onnx(tmp_path: object, mode: str, kind: str) -> None:
    node = helper.make_node("GridSample", ["x", "grid"], ["y"], mode=mode)
    assert operators(loaded(tmp_path, node, {"x": X, "grid": GRID}, (2, 8, 7, 9))) == [
        GridSample(kind)
    ]


def loaded(
    folder: object,
    node: object,
    inputs: dict[str, tuple[int, ...]],
    output: tuple[int, ...],
    weights: dict[str, tuple[int, ...]] | None = None,
) -> object:
    stored = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, [0.0] * int(torch.Size(shape).numel()))
        for name, shape in (weights or {}).items()
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in inputs.items()
    ]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)]
    graph = helper.make_graph([node], "g", values, made, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    onnx.save(model, str(folder / "model.onnx"))
    return cm.from_onnx(str(folder / "model.onnx"))


@pytest.mark.parametrize("modulated", [False, True])
def test_deformable_convolutions_from_onnx(tmp_path: object, modulated: bool) -> None:
    names = ["x", "w", "offset", "b", *(["mask"] if modulated else [])]
    node = helper.make_node(
        "DeformConv", names, ["y"], pads=[1, 1, 1, 1], strides=[2, 2], group=2, offset_group=4
    )
    inputs = {"x": (1, 8, 14, 14), "offset": (1, 72, 7, 7)}
    inputs |= {"mask": (1, 36, 7, 7)} if modulated else {}
    weights = {"w": (16, 4, 3, 3), "b": (16,)}
    graph = loaded(tmp_path, node, inputs, (1, 16, 7, 7), weights)
    (op,) = operators(graph)
    assert op == DeformConv(16, (3, 3), 2, 1, 1, 2, 4, modulated, bias=True)
    assert cm.params(graph) == 16 * 4 * 9 + 16
    assert cm.multiply_adds(graph) == 16 * 49 * 4 * 9


def test_a_deformable_convolution_from_torchvision_s_operator() -> None:
    schema = (
        "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
        "SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, "
        "SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor"
    )
    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        library.define(schema)
        library.impl("deform_conv2d", _shape_only, "CompositeExplicitAutograd")
        torch.library.register_fake("torchvision::deform_conv2d", _shape_only, lib=library)
        graph = cm.from_torch(Deforming(), torch.zeros(1, 8, 14, 14), torch.zeros(1, 18, 14, 14))
    finally:
        library._destroy()
    assert operators(graph) == [DeformConv(16, (3, 3), padding=1, bias=True)]


def _shape_only(x, weight, offset, mask, bias, *sizes):
    return x.new_zeros(x.shape[0], weight.shape[0], *offset.shape[2:])


class Deforming(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(16, 8, 3, 3))
        self.bias = torch.nn.Parameter(torch.zeros(16))

    def forward(self, x: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(1, 1)
        return torch.ops.torchvision.deform_conv2d(
            x, self.weight, offset, mask, self.bias, 1, 1, 1, 1, 1, 1, 1, 1, False
        )


def test_a_deformable_convolution_without_offsets_is_a_convolution() -> None:
    b = cm.Builder()
    op = DeformConv(16, (3, 3), stride=2, padding=1, groups=2, bias=True)
    x, offsets = b.input((1, 8, 13, 14)), b.input((1, 18, 7, 7))
    module = to_torch(b.finish(b.add(op, x, offsets)))
    (deformed,) = (m for m in module.modules() if hasattr(m, "weight"))
    image = torch.randn(1, 8, 13, 14)
    (found,) = module(image, torch.zeros(1, 18, 7, 7))
    wanted = functional.conv2d(image, deformed.weight, deformed.bias, 2, 1, groups=2)
    torch.testing.assert_close(found, wanted)
    # An offset of a whole pixel reads the next one.
    offset = torch.zeros(1, 9, 2, 7, 7)
    offset[:, :, 1] = 1
    (moved,) = module(image[:, :, :, :], offset.view(1, 18, 7, 7))
    shifted = functional.conv2d(
        functional.pad(image, (1, 2, 1, 1))[..., 1:], deformed.weight, deformed.bias, 2, groups=2
    )
    torch.testing.assert_close(moved, shifted)


def test_a_sampled_image_costs_what_resizing_it_costs() -> None:
    x = Tensor((1, 64, 56, 56))
    for where in ("raspberry-pi-4/ncnn", "gtx-1080-ti/torch-eager"):
        b = cm.Builder()
        resized = cm.latency(
            b.finish(b.add(Resize((112, 112), "bilinear"), b.input(x.shape))), where
        )
        b = cm.Builder()
        sampled = b.add(GridSample(), b.input(x.shape), b.input((1, 112, 112, 2)))
        found = cm.latency(b.finish(sampled), where)
        assert found.kernels[0].terms.compute == resized.kernels[0].terms.compute
        assert found.seconds == pytest.approx(resized.seconds, rel=0.1)


def test_a_deformable_convolution_takes_longer_than_the_convolution() -> None:
    for where in ("raspberry-pi-4/ncnn", "gtx-1080-ti/torch-eager", "xeon-gold-6240/torch-eager"):
        b = cm.Builder()
        plain = b.finish(b.add(Conv(64, (3, 3), padding=1), b.input((1, 64, 56, 56))))
        b = cm.Builder()
        op = DeformConv(64, (3, 3), padding=1)
        x, offsets = b.input((1, 64, 56, 56)), b.input((1, 18, 56, 56))
        deformed = cm.latency(b.finish(b.add(op, x, offsets)), where).kernels[0].terms.compute
        assert deformed > cm.latency(plain, where).kernels[0].terms.compute
