"""How people call from_torch: keywords, nested inputs, caches, symbols, masks, wrapped modules."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest
from rich.console import Console

import costmodel as cm
from costmodel.errors import DataError
from costmodel.importers import from_torch
from costmodel.report import collect, page, report_document
from costmodel.report.terminal import print_report

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn


class Of(nn.Module):
    """A module around a function."""

    def __init__(self, function: Callable) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: object) -> object:
        return self.function(*inputs)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def given(graph: nx.DiGraph) -> dict[str, str]:
    """Return name and tensor of every input."""
    ops = graph.nodes(data=True)
    return {n: str(d["outputs"][0]) for n, d in ops if type(d["op"]).__name__ == "Input"}


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, batch: dict, scale: float = 1.0, *, mask: torch.Tensor | None = None) -> dict:
        y = self.linear(batch["image"]) * scale
        y = y if mask is None else y * mask
        return {"y": y, "aux": (batch["sizes"][0].sum(),)}


def test_keywords_and_nested_inputs() -> None:
    batch = {"image": zeros(2, 4), "sizes": [zeros(3)]}
    by_position = from_torch(Nested(), batch, 2.0, mask=zeros(2, 4))
    by_keyword = from_torch(Nested(), batch=batch, scale=2.0, mask=zeros(2, 4))
    named = {"batch_image": "float32[2, 4]", "batch_sizes_0": "float32[3]", "mask": "float32[2, 4]"}
    assert given(by_position) == given(by_keyword) == named
    assert cm.multiply_adds(by_position) == 2 * 16
    assert [n for n in by_position if n.startswith("output")] == ["output", "output_2"]


@dataclasses.dataclass
class Answer:
    logits: torch.Tensor
    states: list
    loss: torch.Tensor | None = None


def test_outputs_that_are_objects() -> None:
    net = Of(lambda x: Answer(x.exp(), [x.sin(), {"z": x.cos()}]))
    graph = from_torch(net, zeros(2, 4))
    for name, output in (("exp", "output"), ("sin", "output_2"), ("cos", "output_3")):
        assert list(graph.pred[output]) == [name]


class Cache:
    """What keeps keys and values between the tokens of a decoder, as the libraries write it."""

    def __init__(self) -> None:
        self.layers: list[dict[str, torch.Tensor]] = []

    def update(self, i: int, k: torch.Tensor, v: torch.Tensor) -> tuple:
        if i == len(self.layers):
            self.layers.append({"k": k, "v": v})
        else:
            layer = self.layers[i]
            layer["k"] = torch.cat([layer["k"], k], 2)
            layer["v"] = torch.cat([layer["v"], v], 2)
        return self.layers[i]["k"], self.layers[i]["v"]


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 16)
        self.qkv = nn.ModuleList(nn.Linear(16, 48) for _ in range(2))

    def forward(self, tokens: torch.Tensor, cache: Cache | None = None) -> Answer:
        cache = Cache() if cache is None else cache
        x = self.table(tokens)
        n, t, _ = x.shape
        for i, layer in enumerate(self.qkv):
            q, k, v = layer(x).view(n, t, 3, 4, 4).permute(2, 0, 3, 1, 4)
            k, v = cache.update(i, k, v)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
            x = x + y.transpose(1, 2).reshape(n, t, 16)
        return Answer(x, [cache])


def tokens(n: int) -> torch.Tensor:
    return torch.zeros(1, n, dtype=torch.int64)


def filled(n: int) -> Cache:
    cache = Cache()
    Decoder()(tokens(n), cache)
    return cache


def test_prefill_and_decode_with_a_cache() -> None:
    prefill = from_torch(Decoder(), tokens(8))
    assert cm.multiply_adds(prefill) == 2 * (8 * 16 * 48 + 4 * 36 * 8)
    assert sum(n.startswith("output") for n in prefill) == 1 + 4
    cache = filled(8)
    decode = from_torch(Decoder(), tokens(1), cache=cache)
    cm.validate(decode)
    assert cm.multiply_adds(decode) == 2 * (16 * 48 + 4 * 9 * 8)
    assert given(decode)["cache_layers_1_v"] == "float32[1, 4, 8, 4]"
    assert cache.layers[1]["v"].shape == (1, 4, 8, 4)


def test_decode_with_a_cache_of_n_tokens() -> None:
    graph = from_torch(Decoder(), tokens(1), cache=filled(8), dynamic={"n": ("cache", 2)})
    n = cm.dim("n")
    assert (cm.multiply_adds(graph) - 2 * (16 * 48 + 4 * (n + 1) * 8)).expand() == 0
    assert cm.cost(cm.at(graph, n=5)) == cm.cost(from_torch(Decoder(), tokens(1), cache=filled(5)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.up, self.out = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(16, 4, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        a = self.one(image)
        return self.out(torch.cat([a, self.up(self.two(a))], 1))


def test_symbols_that_are_multiples() -> None:
    dynamic = {"4*k": (("image", 2), ("image", 3)), "n": 0}
    graph = from_torch(UNet(), zeros(1, 3, 64, 64), dynamic=dynamic)
    for n, k in ((1, 16), (3, 5)):
        right = from_torch(UNet(), zeros(n, 3, 4 * k, 4 * k))
        assert cm.cost(cm.at(graph, n=n, k=k)) == cm.cost(right)


class TwoInputs(nn.Module):
    def forward(self, a: torch.Tensor, pair: dict) -> torch.Tensor:
        return a @ pair["b"]


def test_symbols_on_any_input_by_name() -> None:
    inputs = zeros(3, 4), {"b": zeros(4, 5)}
    graph = from_torch(TwoInputs(), *inputs, dynamic={"m": ("a", 0), "n": ("pair_b", -1)})
    assert cm.multiply_adds(graph) == 4 * cm.dim("m") * cm.dim("n")


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        ({"n": ("c", 0)}, r"dynamic\['n'\] names c; the inputs are a, pair_b"),
        ({"n": ((1, 0),)}, r"names input 1; the inputs are a, pair_b"),
        ({"n": ("pair_b", 2)}, r"names axis 2 of pair_b, which has 2 axes"),
        ({"2*n": ("a", 0)}, r"axis 0 of a has size 3, which is not 2\*n"),
        ({"n + 1": ("a", 0)}, r"dynamic names 'n \+ 1'; a size is a name or a multiple"),
        ({"n": ("a", 1)}, r"axis 1 of a cannot be the symbol 'n': the network fixes its size"),
    ],
)
def test_impossible_symbols_are_one_sentence(dynamic: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        from_torch(TwoInputs(), zeros(3, 4), {"b": zeros(4, 5)}, dynamic=dynamic)
    assert "guard" not in str(caught.value).lower()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(4, 8, 2, batch_first=True),
        lambda: nn.GRU(4, 8, bidirectional=True, batch_first=True),
        lambda: nn.LSTM(4, 8, proj_size=3, batch_first=True),
        lambda: nn.RNN(4, 8, nonlinearity="relu", batch_first=True),
    ],
)
def test_recurrent_layers_of_symbolic_length(make: Callable[[], nn.Module]) -> None:
    net = make()
    graph = from_torch(net, zeros(2, 5, 4), dynamic={"n": 0, "t": 1})
    assert cm.cost(cm.at(graph, n=3, t=7)) == cm.cost(from_torch(net, zeros(3, 7, 4)))


# Masks.
QUERY = zeros(1, 2, 10, 16)
FULL, TRIANGLE = 2 * 100 * 32, 2 * 55 * 32


def attend(mask: Callable[[], torch.Tensor]) -> Callable:
    return lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=mask())


CAUSAL: dict[str, Callable[[], torch.Tensor]] = {
    "of truth values": lambda: torch.ones(10, 10, dtype=torch.bool).tril(),
    "not the upper one": lambda: ~torch.ones(10, 10, dtype=torch.bool).triu(1),
    "by positions": lambda: torch.arange(10)[:, None] >= torch.arange(10),
    "of torch": lambda: nn.Transformer.generate_square_subsequent_mask(10),
    "filled and cut": lambda: torch.full((10, 10), float("-inf")).triu(1),
    "the least number": lambda: torch.full((1, 1, 10, 10), torch.finfo(torch.float32).min).triu(1),
    "masked fill": lambda: zeros(10, 10).masked_fill(torch.ones(10, 10).triu(1).bool(), -1e9),
}
OTHER: dict[str, Callable[[], torch.Tensor]] = {
    "nothing left out": lambda: torch.ones(10, 10, dtype=torch.bool),
    "the diagonal left out": lambda: torch.ones(10, 10, dtype=torch.bool).tril(-1),
    "a window": lambda: torch.ones(10, 10, dtype=torch.bool).tril().triu(-3),
    "the other triangle": lambda: torch.ones(10, 10, dtype=torch.bool).triu(),
    "a bias": lambda: torch.ones(10, 10).triu(1),
    "a bias in the triangle": lambda: torch.full((10, 10), float("-inf")).triu(1) - 1,
}


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("stored", [False, True])
def test_a_mask_that_is_causal_counts_as_is_causal(name: str, stored: bool) -> None:
    net: nn.Module = Of(attend(CAUSAL[name]))
    if stored:
        net = Of(lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=net.mask))
        net.register_buffer("mask", CAUSAL[name]())
    graph = from_torch(net, QUERY)
    assert cm.multiply_adds(graph) == TRIANGLE
    assert "the triangle is counted" in graph.graph["notes"][0]
    assert graph.graph["along"] == ()
    flagged = Of(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True))
    assert cm.multiply_adds(from_torch(flagged, QUERY)) == TRIANGLE


@pytest.mark.parametrize("name", OTHER)
def test_another_mask_counts_the_square(name: str) -> None:
    graph = from_torch(Of(attend(OTHER[name])), QUERY)
    assert cm.multiply_adds(graph) == FULL
    assert graph.graph["notes"] == (
        "1 attention with a mask as a tensor: the full square is counted",
    )


def test_a_mask_that_is_given_counts_along_the_input() -> None:
    net = Of(lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m))
    causal = from_torch(net, QUERY, torch.ones(10, 10, dtype=torch.bool).tril())
    assert cm.multiply_adds(causal) == TRIANGLE
    assert causal.graph["along"] == ("the mask of attention in the network",)
    assert cm.multiply_adds(from_torch(net, QUERY, zeros(10, 10))) == FULL
    nowhere = torch.zeros(10, 10, device="meta")
    assert cm.multiply_adds(from_torch(net, QUERY, nowhere)) == FULL


def test_the_decoder_layer_of_torch_is_one_network_however_its_mask_is_given() -> None:
    net, x = nn.TransformerDecoderLayer(32, 4, 64, batch_first=True), zeros(1, 10, 32)
    mask = nn.Transformer.generate_square_subsequent_mask(10)
    by_mask = from_torch(net, x, x, tgt_mask=mask)
    by_flag = from_torch(net, x, x, tgt_mask=mask, tgt_is_causal=True)
    whole = cm.multiply_adds(from_torch(net, x, x))
    assert cm.multiply_adds(by_mask) == cm.multiply_adds(by_flag) < whole


def test_what_is_said_of_a_graph_is_printed_and_kept(tmp_path: Path) -> None:
    net = Of(lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=q[0, 0] @ q[0, 0].mT))
    said = "1 attention with a mask as a tensor: the full square is counted"
    cm.save(from_torch(net, QUERY), tmp_path / "g.json")
    again = cm.load(tmp_path / "g.json")
    assert again.graph["notes"] == (said,)
    report, out = collect(again), io.StringIO()
    assert report_document(report)["notes"] == [said]
    print_report(Console(file=out, width=120), report)
    assert said in out.getvalue()
    assert said in page(report)


# Modules in wrappers.
LAYERS = 9 * 27 * 4 * 4, 27 * 4 + 4


def layers() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: m,
        nn.DataParallel,
        torch.compile,
        lambda m: nn.Sequential(torch.compile(m)),
        lambda m: torch.fx.symbolic_trace(m),
    ],
)
def test_wrapped_modules_are_what_they_hold(wrap: Callable) -> None:
    graph = from_torch(wrap(layers()), zeros(1, 3, 14, 14)[:, :, :8, :8])
    assert cm.multiply_adds(graph) == 36 * 27 * 4
    assert cm.params(graph) == 27 * 4 + 4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("part", [False, True])
def test_modules_of_torchscript_count(part: bool) -> None:
    net = torch.jit.script(layers())
    net = nn.Sequential(net, nn.Identity()) if part else net
    graph = from_torch(net, zeros(1, 3, 8, 8))
    assert cm.multiply_adds(graph) == 36 * 27 * 4
    assert cm.params(graph) == 27 * 4 + 4


def test_what_no_graph_has_is_refused_by_name() -> None:
    sparse = nn.Module()
    sparse.register_buffer("table", torch.eye(4).to_sparse())
    sparse.forward = lambda x: torch.sparse.mm(sparse.table, x)
    with pytest.raises(DataError, match=r"table is a sparse tensor"):
        from_torch(sparse, zeros(4, 4))
    with pytest.raises(DataError, match="nested tensors"):
        from_torch(Of(lambda x: torch.nested.nested_tensor([x, x[:2]])), zeros(4, 4))
