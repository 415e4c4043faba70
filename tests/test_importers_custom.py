"""Operators that users register, coverage where something is unknown, and torch's own counter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import costmodel as cm
from costmodel.errors import CostModelError, DataError, UnknownOperatorError
from costmodel.graph import from_json, to_json
from costmodel.importers import from_onnx, from_torch
from costmodel.importers.hidden import Hidden, coverage
from costmodel.importers.onnx_file.call import HANDLERS
from costmodel.importers.registry import load_modules
from costmodel.importers.torch_module import handlers as torch_handlers
from costmodel.importers.torch_module.call import ATEN
from costmodel.ops import OPERATORS, Elementwise, MatMul, Nest, Op
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn


@dataclasses.dataclass(frozen=True, slots=True)
class Banded(Op):
    """A product with a band of a matrix."""

    width: int
    kernel_kinds = ("matmul",)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return inputs[:1]

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(inputs[0].shape, (self.width,), multiply_adds=1)

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        return (Product(1, inputs[0].elements, 1, self.width),)


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test registers go with it."""
    for registry in (ATEN, HANDLERS):
        monkeypatch.setattr(registry, "_of_users", {})


@torch.library.custom_op("costmodel_tests::banded", mutates_args=())
def _banded(x: torch.Tensor, width: int) -> torch.Tensor:
    return x.clone()


@_banded.register_fake
def _(x: torch.Tensor, width: int) -> torch.Tensor:
    return torch.empty_like(x)


class Band(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.costmodel_tests.banded(self.first(x), 3)


def test_a_custom_operator_of_torch_counts(registries: None) -> None:
    x = torch.zeros(4, 8)
    with pytest.raises(UnknownOperatorError, match=r"costmodel_tests.banded.default"):
        from_torch(Band(), x)

    @cm.torch_operator("costmodel_tests::banded")
    def banded(call: Any) -> Any:
        return call.emit.add(Banded(call.get("width")), call.operand("x"))

    graph = from_torch(Band(), x)
    assert cm.multiply_adds(graph) == 4 * 8 * 8 + 4 * 8 * 3
    assert graph.graph["coverage"] == 1.0
    assert cm.latency(graph, "raspberry-pi-4/ncnn").seconds > 0

    # A second time, as a cell of a notebook does, and made of operators that are there.
    @cm.torch_operator("costmodel_tests::banded")
    def again(call: Any) -> Any:
        return call.emit.add(MatMul(transpose_b=True), call.operand("x"), call.operand("x"))

    with pytest.raises(CostModelError, match=r"banded.*counted shape \(4, 4\), torch makes"):
        from_torch(Band(), x)


def test_a_graph_with_a_custom_operator_is_saved_once_it_is_known(
    registries: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cm.torch_operator("costmodel_tests::banded")(
        lambda call: call.emit.add(Banded(call.get("width")), call.operand("x"))
    )
    graph = from_torch(Band(), torch.zeros(4, 8))
    cm.validate(graph)
    with pytest.raises(CostModelError, match="only once it is in costmodel.ops.OPERATORS"):
        to_json(graph)
    with monkeypatch.context() as known:
        known.setitem(OPERATORS, "Banded", Banded)
        text = to_json(graph)
        assert cm.multiply_adds(from_json(text)) == 4 * 8 * 8 + 4 * 8 * 3
    with pytest.raises(CostModelError, match="Banded"):
        from_json(text)


def test_a_custom_operator_of_onnx_counts(registries: None, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = make.make_node("Banded", ["x"], ["y"], domain="com.mine", width=3, name="band")
    ends = [make.make_tensor_value_info(name, kind, [4, 8]) for name in "xy"]
    opsets = [make.make_opsetid("", 17), make.make_opsetid("com.mine", 1)]
    graph = make.make_graph([node], "net", ends[:1], ends[1:])
    path = tmp_path / "net.onnx"
    onnx.save(make.make_model(graph, opset_imports=opsets), path)
    with pytest.raises(UnknownOperatorError, match="com.mine.Banded"):
        from_onnx(path)

    @cm.onnx_operator("com.mine::Banded")
    def banded(call: Any) -> Any:
        return call.emit.add(Banded(call.attribute("width")), call.operand(0))

    assert cm.multiply_adds(from_onnx(path)) == 4 * 8 * 3


@pytest.mark.parametrize("name", ["banded", "::banded", "mylib::", "mylib.banded", ""])
def test_an_operator_without_a_namespace_is_refused(name: str) -> None:
    for register in (cm.torch_operator, cm.onnx_operator):
        with pytest.raises(DataError, match="namespace::name"):
            register(name)


# ---- coverage


def test_what_may_be_a_product_lowers_the_coverage_by_all_of_it() -> None:
    """The shapes of a mixture of experts: two fifths of its work are no 3 %."""
    linear = cm.Builder("dense")
    x = linear.input((64, 256))
    graph = linear.finish(linear.add(cm.ops.Linear(512), x))
    known = cm.cost(graph).work
    experts = Hidden((Tensor((128, 256)), Tensor((8, 256, 512))), (Tensor((128, 512)),))
    assert experts.work() >= 128 * 256 * 512
    assert coverage(graph, [experts]) <= known / (known + 128 * 256 * 512)


@pytest.mark.parametrize(
    ("inputs", "output", "work"),
    [
        (((16, 32, 14, 14), (64, 32, 3, 3)), (16, 64, 12, 12), 16 * 64 * 144 * 32 * 9),
        (((16, 32, 14, 14), (64, 32, 1, 1)), (16, 64, 14, 14), 16 * 64 * 196 * 32),
        (((4, 100, 64), (4, 64, 100)), (4, 100, 100), 4 * 100 * 100 * 64),
        (((7, 512),), (7, 7), 7 * 7 * 512),
        (((2, 3), (2, 4), (5, 3, 4)), (2, 5), 2 * 5 * 3 * 4),
        (((10, 64), (128, 64), (64, 128)), (10, 64), 10 * 64 * 128 * 2),
    ],
    ids=["convolution", "pointwise", "batched", "with itself", "bilinear", "two matrices"],
)
def test_a_hidden_product_is_no_larger_than_its_guess(
    inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...], work: int
) -> None:
    assert Hidden([Tensor(x) for x in inputs], [Tensor(output)]).work() >= work


def test_what_runs_a_program_of_its_own_leaves_a_half() -> None:
    graph = cm.zoo.pointwise(7, 7, 8, 8)
    x = (Tensor((1, 8)),)
    assert coverage(graph, [Hidden(x, x, bounded=False)]) == 0.5
    assert coverage(graph, [Hidden(x, x, bounded=False)] * 3) == 0.25
    assert coverage(cm.Builder("nothing").finish(), [Hidden(x, x)]) == 0.0


def test_symbols_have_a_coverage() -> None:
    n = cm.dim("n")
    builder = cm.Builder("open")
    graph = builder.finish(builder.add(cm.ops.Linear(8), builder.input((n, 8))))
    share = coverage(graph, [Hidden((Tensor((n, 8)),), (Tensor((n, 8)),))])
    assert 0 < share < 1


# ---- without any one handler


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.head = nn.Linear(16, 11)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return F.log_softmax(self.head(self.layer(self.table(tokens)).mean(1)), -1)


class Pictures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first = nn.Conv2d(3, 8, 3)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2))
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.norm = nn.GroupNorm(2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.interpolate(self.norm(self.up(self.stem(x))), scale_factor=2.0)
        top = F.adaptive_avg_pool2d(y, 4).flatten(1).topk(3).values
        return torch.einsum("bk,bl->bkl", top, top) @ torch.softmax(top, -1)[..., None]


class Signals(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(9, 6, batch_first=True)
        self.mix = nn.Bilinear(6, 6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.rnn(torch.fft.rfft(x).abs())[0]
        return self.mix(y, y).cumsum(1) + torch.cdist(y, y).sum(-1, keepdim=True)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[torch.Tensor, ...]]] = {
    "encoder": (Encoder, (torch.zeros(2, 5, dtype=torch.int64),)),
    "pictures": (Pictures, (torch.zeros(1, 3, 18, 18),)),
    "signals": (Signals, (torch.zeros(2, 3, 16),)),
}


class Watched(dict):
    """Handlers, and the names of those that were used."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        super().__init__(handlers)
        self.used: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:
        self.used[name] = None
        return super().__getitem__(name)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    load_modules(torch_handlers)
    handlers = Watched(ATEN._handlers)
    monkeypatch.setattr(ATEN, "_handlers", handlers)
    return handlers


@pytest.mark.parametrize("name", NETWORKS)
def test_without_any_one_handler_nothing_vanishes(name: str, watched: Watched) -> None:
    """The import fails, or torch takes the operator apart and all is counted, or it is said."""
    make, inputs = NETWORKS[name]
    net = make()
    whole = cm.cost(from_torch(net, *inputs))
    used = list(watched.used)
    assert len(used) > 8
    missed = 0
    for operator in used:
        handler = watched.pop(operator)
        try:
            graph = from_torch(net, *inputs, strict=False)
        except CostModelError:
            missed += 1
        else:
            share, part = graph.graph["coverage"], cm.cost(graph)
            counted = part.multiply_adds >= whole.multiply_adds
            assert counted or share <= part.work / whole.work, operator
            assert share == 1.0 or graph.graph["unknown"], operator
            missed += share < 1
        watched[operator] = handler
    assert missed > 0


# ---- torch's own counter


class Sum(nn.Module):
    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs, *self.parts)


COUNTED: dict[str, tuple[nn.Module, tuple[torch.Tensor, ...]]] = {
    "linear and convolution": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5)),
        (torch.zeros(2, 3, 8, 8),),
    ),
    "transposed convolution": (nn.ConvTranspose2d(3, 4, 3, stride=2), (torch.zeros(1, 3, 5, 5),)),
    "lstm": (nn.LSTM(5, 6, 2, bidirectional=True), (torch.zeros(7, 2, 5),)),
    "projected lstm": (nn.LSTM(5, 6, proj_size=3), (torch.zeros(7, 2, 5),)),
    "bilinear": (nn.Bilinear(3, 4, 6), (torch.zeros(5, 3), torch.zeros(5, 4))),
    "cdist": (Sum(torch.cdist), (torch.zeros(5, 3), torch.zeros(7, 3))),
    "attention": (
        Sum(lambda q: F.scaled_dot_product_attention(q, q, q)),
        (torch.zeros(1, 2, 6, 4),),
    ),
    "encoder layer as one operator": (
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(),
        (torch.zeros(1, 6, 8),),
    ),
    "vectors": (Sum(lambda a, m: (m.mv(a), a.dot(a))), (torch.zeros(3), torch.zeros(4, 3))),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch says that oneDNN has none
@pytest.mark.parametrize("name", COUNTED)
def test_torch_counts_what_we_count_with_our_formulas(name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    net, inputs = COUNTED[name]
    mapping = cm.flop_formulas()
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        net(*inputs)
    ours = cm.multiply_adds(from_torch(net, *inputs))
    assert ours > 0
    assert counter.get_total_flops() == 2 * ours


def test_operators_of_users_are_among_the_formulas(registries: None) -> None:
    cm.torch_operator("costmodel_tests::banded")(
        lambda call: call.emit.add(Banded(call.get("width")), call.operand("x"))
    )
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False, custom_mapping=cm.flop_formulas()) as counter:
        Band()(torch.zeros(4, 8))
    assert counter.get_total_flops() == 2 * (4 * 8 * 8 + 4 * 8 * 3)


def test_elementwise_operators_of_users_keep_their_shape(registries: None) -> None:
    cm.torch_operator("costmodel_tests::banded")(
        lambda call: call.emit.add(Elementwise("relu"), call.operand("x"))
    )
    assert cm.multiply_adds(from_torch(Band(), torch.zeros(4, 8))) == 4 * 8 * 8
