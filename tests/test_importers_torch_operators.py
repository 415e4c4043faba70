"""from_torch: operators that real networks need beside layers, counted against numbers by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import costmodel as cm
from costmodel.errors import CostModelError
from costmodel.importers import from_torch
from costmodel.ops import (
    Bitcast,
    Elementwise,
    EmbeddingBag,
    FourierTransform,
    GroupedLinear,
    Op,
    Reduce,
    Scatter,
    SearchSorted,
    Sort,
    StridedView,
)

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn


class Of(nn.Module):
    """A module around a function; what it is given besides becomes its children."""

    def __init__(self, function: Callable, *parts: object) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ParameterList(p for p in parts if isinstance(p, nn.Parameter))
        self.children_ = nn.ModuleList(p for p in parts if isinstance(p, nn.Module))

    def forward(self, *inputs: torch.Tensor) -> object:
        return self.function(*inputs, *self.parts, *self.children_)


def parameter(*shape: int, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape, dtype=dtype), requires_grad=dtype.is_floating_point)


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def numbers(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def two_experts(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return torch._grouped_mm(x, w, offs=torch.tensor([4, 6], dtype=torch.int32))


def spectral(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    low = torch.fft.rfft(x)[:, :, :3]
    return torch.fft.irfft(torch.einsum("bix,iox->box", low, w), n=8)


HALF = torch.bfloat16
EIGHT = torch.float8_e4m3fn
LSTM = 4 * 6 * (5 + 6)
"""Multiply-adds of one step: four gates of 6 features, from 5 inputs and the 6 themselves."""

PRODUCTS: dict[str, tuple[Callable[[], nn.Module], tuple, int, int | None]] = {
    # Case: module, inputs, multiply-adds written out by hand, parameters.
    "bilinear": (
        lambda: Of(lambda a, b, f: f(a, b), nn.Bilinear(3, 4, 6)),
        (zeros(5, 3), zeros(5, 4)),
        5 * 6 * 3 * 4 + 5 * 6 * 4,
        6 * 3 * 4 + 6,
    ),
    "cdist": (lambda: Of(torch.cdist), (zeros(2, 5, 3), zeros(2, 7, 3)), 2 * 5 * 7 * 3, 0),
    "addmv": (lambda: Of(torch.addmv), (zeros(5), zeros(5, 3), zeros(3)), 15, 0),
    "addbmm": (
        lambda: Of(torch.addbmm),
        (zeros(3, 5), zeros(2, 3, 4), zeros(2, 4, 5)),
        2 * 3 * 4 * 5,
        0,
    ),
    "scaled baddbmm": (
        lambda: Of(lambda c, a, b: torch.baddbmm(c, a, b, beta=0.5, alpha=2)),
        (zeros(2, 3, 5), zeros(2, 3, 4), zeros(2, 4, 5)),
        2 * 3 * 4 * 5,
        0,
    ),
    "dot, mv, vdot, inner": (
        lambda: Of(lambda a, m: (a.dot(a), m.mv(a), torch.vdot(a, a), torch.inner(a, a))),
        (zeros(3), zeros(5, 3)),
        3 + 15 + 3 + 3,
        0,
    ),
    "tensordot": (
        lambda: Of(lambda a, b: torch.tensordot(a, b, dims=([1, 2], [0, 1]))),
        (zeros(2, 3, 4), zeros(3, 4, 5)),
        2 * 3 * 4 * 5,
        0,
    ),
    "einsum that sums one element": (
        lambda: Of(lambda a, b: torch.einsum("bid,bjd->bij", a, b)),
        (zeros(2, 3, 1), zeros(2, 4, 1)),
        0,
        0,
    ),
    "einsum of a diagonal": (
        lambda: Of(lambda a, b: torch.einsum("bii,bij->bj", a, b)),
        (zeros(2, 4, 4), zeros(2, 4, 5)),
        2 * 4 * 5,
        0,
    ),
    "grouped product: a row meets one expert": (
        lambda: Of(two_experts, parameter(2, 16, 8, dtype=HALF)),
        (zeros(6, 16, dtype=HALF),),
        6 * 16 * 8,
        2 * 16 * 8,
    ),
    "float8 product": (
        lambda: Of(
            lambda x, w: torch._scaled_mm(
                x, w.t(), torch.ones(()), torch.ones(()), out_dtype=torch.bfloat16
            ),
            nn.Parameter(torch.zeros(16, 32).to(EIGHT), requires_grad=False),
        ),
        (zeros(16, 32, dtype=EIGHT),),
        16 * 32 * 16,
        None,
    ),
    "int8 product": (
        lambda: Of(torch._int_mm),
        (zeros(32, 16, dtype=torch.int8), zeros(16, 8, dtype=torch.int8)),
        32 * 16 * 8,
        0,
    ),
    "LSTM, two layers, both directions": (
        lambda: Of(lambda x, f: f(x)[0], nn.LSTM(5, 6, 2, bidirectional=True)),
        (zeros(7, 2, 5),),
        7 * 2 * 2 * (LSTM + 4 * 6 * (12 + 6)),
        None,
    ),
    "LSTM with projections, states used": (
        lambda: Of(lambda x, f: f(x), nn.LSTM(5, 6, 2, proj_size=3, batch_first=True)),
        (zeros(2, 7, 5),),
        7 * 2 * (4 * 6 * (5 + 3) + 6 * 3 + 4 * 6 * (3 + 3) + 6 * 3),
        None,
    ),
    "cells": (
        lambda: Of(
            lambda x, h, a, b, c: (a(x, (h, h)), b(x, h), c(x, h)),
            *(nn.LSTMCell(5, 6), nn.GRUCell(5, 6), nn.RNNCell(5, 6)),
        ),
        (zeros(2, 5), zeros(2, 6)),
        2 * 6 * (5 + 6) * (4 + 3 + 1),
        None,
    ),
    "weight norm": (
        lambda: Of(lambda x, f: f(x), nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 3))),
        (zeros(1, 2, 9),),
        7 * 3 * 2 * 3,
        3 * 2 * 3 + 3 + 3,
    ),
    "spectral norm": (
        lambda: Of(lambda x, f: f(x), nn.utils.parametrizations.spectral_norm(nn.Linear(5, 6))),
        (zeros(2, 5),),
        2 * 5 * 6 + 5 * 6 + 6,
        None,
    ),
    "complex product": (
        lambda: Of(lambda x: torch.complex(x, x) @ torch.complex(x, x)),
        (zeros(4, 4),),
        4 * 4**3,
        0,
    ),
    "Fourier layer": (
        lambda: Of(spectral, parameter(3, 5, 3, dtype=torch.cfloat)),
        (zeros(2, 3, 8),),
        4 * 2 * 3 * 5 * 3,
        3 * 5 * 3,
    ),
    "attention with a mask and grouped queries": (
        lambda: Of(
            lambda q, k, m: F.scaled_dot_product_attention(q, k, k, attn_mask=m, enable_gqa=True)
        ),
        (zeros(1, 4, 6, 8), zeros(1, 2, 5, 8), zeros(6, 5, dtype=torch.bool)),
        2 * 4 * 6 * 5 * 8,
        0,
    ),
    "attention on keys that broadcast": (
        lambda: Of(lambda q, k: F.scaled_dot_product_attention(q, k, k)),
        (zeros(2, 2, 6, 4), zeros(1, 2, 5, 4)),
        2 * 2 * 2 * 6 * 5 * 4,
        0,
    ),
    "embedding bag": (
        lambda: Of(lambda i, o, f: f(i, o), nn.EmbeddingBag(9, 4)),
        (zeros(12, dtype=torch.int64), numbers(0, 3, 7)),
        0,
        36,
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_under_all_names_are_exact(name: str) -> None:
    make, inputs, multiply_adds, params = PRODUCTS[name]
    graph = from_torch(make(), *inputs)
    cm.validate(graph)
    assert cm.multiply_adds(graph) == multiply_adds
    if params is not None:
        assert cm.params(graph) == params
    assert graph.graph["coverage"] == 1.0


def written(x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[i] = 0.0
    return x


def unpooled(x: torch.Tensor) -> torch.Tensor:
    y, indices = F.max_pool2d(x[None, None], 2, return_indices=True)
    return F.max_unpool2d(y, indices, 2)


def framed(x: torch.Tensor) -> torch.Tensor:
    return torch.stft(x, 4, 2, window=torch.ones(4), return_complex=True)


SQUARE = zeros(4, 4)
ROWS = numbers(0, 2)
# Case: function, inputs, what must be among the operators, elementwise operations by hand.
OTHERS: dict[str, tuple[Callable, tuple, list[Op], int]] = {
    "logical operators": (
        lambda a, b: (a > 0) & (b > 0) | (a < b) ^ (a > b),
        (SQUARE, SQUARE),
        [Elementwise("and"), Elementwise("or"), Elementwise("xor")],
        16 * 7,
    ),
    "by tag": (
        lambda a: (torch.lgamma(a), torch.hypot(a, a), torch.signbit(a), torch.erfinv(a)),
        (SQUARE,),
        [Elementwise("special"), Elementwise("special_of_two"), Elementwise("not")],
        16 * 4,
    ),
    "infinities": (
        lambda a: torch.where(torch.isnan(a) | torch.isinf(a), 0.0, a),
        (SQUARE,),
        [],
        16 * 4,
    ),
    "reductions": (
        lambda a: (a.aminmax(dim=1), a.count_nonzero(0), a.nansum(1)),
        (SQUARE,),
        [Reduce("min", (1,)), Reduce("max", (1,)), Reduce("sum", (0,))],
        16 * 4,
    ),
    "made from nothing": (
        lambda a: a + torch.eye(4) + torch.rand(4) + torch.tril_indices(4, 4)[0, :4],
        (SQUARE,),
        [],
        16 * 3,
    ),
    "one hot": (lambda i: F.one_hot(i, 5), (ROWS,), [Elementwise("equal")], 10),
    "top of 16": (lambda a: a.flatten().topk(5), (SQUARE,), [Sort(5)], 16 * 3),
    "sort": (lambda a: a.sort(0), (SQUARE,), [Sort(4, 0)], 16 * 2),
    "argsort": (lambda a: a.argsort(), (SQUARE,), [Sort(4)], 16 * 2),
    "running sums": (lambda a: a.cumprod(1), (SQUARE,), [Reduce("cumsum", (1,))], 16),
    "search": (
        lambda a: torch.bucketize(a, torch.arange(7.0)),
        (SQUARE,),
        [SearchSorted()],
        16 * 3,
    ),
    "histogram": (
        lambda a: torch.histc(a, 5, 0, 1),
        (SQUARE,),
        [Scatter(accumulate=True)],
        16 * 3,
    ),
    "scatter, add": (
        lambda a, i: a.index_add(0, i, a[:2]),
        (SQUARE, ROWS),
        [Scatter(accumulate=True)],
        8,
    ),
    "scatter, set": (written, (SQUARE, ROWS), [Scatter(copies=False)], 0),
    "scatter behind a mask": (
        lambda a: torch.index_put(a, (a > 0,), torch.zeros(())),
        (SQUARE,),
        [Elementwise("where")],
        32,
    ),
    "masked": (lambda a: a.masked_fill(a > 0, 1.0), (SQUARE,), [Elementwise("where")], 32),
    "unfold": (
        lambda a: F.unfold(a[None, None], 2),
        (SQUARE,),
        [StridedView((1, 4, 9))],
        0,
    ),
    "fold": (
        lambda a: F.fold(a[None], (4, 4), 2, stride=2),
        (SQUARE,),
        [Scatter(accumulate=True)],
        16,
    ),
    "unpool": (unpooled, (SQUARE,), [Scatter()], 4 * 4),
    "diagonal": (lambda a: a.diagonal() * 2, (SQUARE,), [StridedView((4,))], 4),
    "empty": (lambda a: torch.cat([a, torch.zeros(0, 4)]) + 1, (SQUARE,), [], 16),
    "empty sum": (lambda a: a[:, :0].sum() + a, (SQUARE,), [], 16),
    "rfft": (
        lambda a: torch.fft.rfft(a),
        (zeros(3, 16),),
        [FourierTransform((1,), "real")],
        5 * 3 * 9 * 4,
    ),
    "fft2": (lambda a: torch.fft.fft2(a), (SQUARE,), [FourierTransform((0, 1))], 5 * 16 * 4),
    "stft": (
        framed,
        (zeros(1, 16),),
        [StridedView((1, 9, 4)), FourierTransform((-1,), "real")],
        9 * 4 + 5 * 9 * 3 * 2,
    ),
    "complex product of elements": (
        lambda a: torch.view_as_real(torch.view_as_complex(a) * torch.view_as_complex(a)),
        (zeros(3, 2),),
        [Bitcast("complex64"), Bitcast("float32")],
        3 * 6,
    ),
    "embedding bag of rows": (
        lambda i, w: F.embedding_bag(i, w, mode="mean"),
        (zeros(5, 3, dtype=torch.int64), zeros(9, 4)),
        [EmbeddingBag(9, 4, 5, mean=True)],
        5 * 3 * 4 + 5 * 4,
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_operators_are_counted(name: str) -> None:
    function, inputs, wanted, elementwise = OTHERS[name]
    graph = from_torch(Of(function), *inputs)
    cm.validate(graph)
    found = {op for _, op in graph.nodes(data="op")}
    for op in wanted:
        assert op in found, sorted(map(repr, found))
    assert cm.cost(graph).elementwise == elementwise
    assert cm.multiply_adds(graph) == 0


def test_experts_that_have_rows_are_read() -> None:
    graph = from_torch(Of(two_experts, parameter(2, 16, 8, dtype=HALF)), zeros(6, 16, dtype=HALF))
    (name,) = (n for n, op in graph.nodes(data="op") if isinstance(op, GroupedLinear))
    one = GroupedLinear(16, 8).nest(cm.Tensor((6, 16), "bfloat16"), cm.Tensor((16,), "int32"))
    assert one.weight_reads == 6 * 16 * 8  # six rows meet six experts at most
    assert graph.nodes[name]["op"] == GroupedLinear(2, 8)


def test_a_number_is_written_to_every_place() -> None:
    graph = from_torch(Of(written), SQUARE, ROWS)
    (name,) = (n for n, op in graph.nodes(data="op") if isinstance(op, Scatter))
    assert set(graph.predecessors(name)) >= {"inputs_1", "contiguous"}
    assert cm.mac(graph) == (16 + 16) + (2 + 8 + 8)  # a copy; two indices, two rows there and back


def test_what_is_written_in_place_moves_alone() -> None:
    x, new, rows = cm.Tensor((100, 8)), cm.Tensor((2, 8)), cm.Tensor((2,), "int64")
    assert cm.mac(Scatter(), x, rows, new) == 800 + 2 + 16 + 800
    assert cm.mac(Scatter(copies=False), x, rows, new) == 2 + 16 + 16


REFUSED: dict[str, tuple[Callable, tuple, str]] = {
    "sparse": (lambda a, b: a @ b, (torch.eye(4).to_sparse(), SQUARE), "torch.sparse_coo"),
    "int4 weights": (
        lambda x: torch._weight_int4pack_mm_for_cpu(
            x, torch.zeros(16, 32, dtype=torch.uint8), 32, torch.zeros(2, 16, 2, dtype=HALF)
        ),
        (zeros(2, 64, dtype=HALF),),
        "_weight_int4pack_mm_for_cpu",
    ),
    "inverse": (torch.linalg.inv, (torch.eye(4),), "linalg_inv_ex"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_counted_is_refused_by_name(name: str) -> None:
    function, inputs, word = REFUSED[name]
    with pytest.raises(CostModelError, match=word):
        from_torch(Of(function), *inputs)
