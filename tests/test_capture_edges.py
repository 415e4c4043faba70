"""The recorded graph: writes through views and aliases, second outputs, what runs functions."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import pytest

import costmodel as cm
from costmodel.errors import UnknownOperatorError
from costmodel.importers import from_torch

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn


class Of(nn.Module):
    """A module around a function."""

    def __init__(self, function: Callable, *children: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(children)

    def forward(self, *inputs: object) -> object:
        return self.function(*inputs, *self.parts)


def graph_of(function: Callable, *inputs: torch.Tensor, **how: object) -> nx.DiGraph:
    graph = from_torch(Of(function), *inputs, **how)
    cm.validate(graph)
    return graph


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


# Each writes something in place; then sin reads. What sin reads must depend on cos and exp.
def through_a_slice(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    y[:, :2] = x[:, :2].cos()
    return y.sin()


def through_a_view(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    y.view(-1).mul_(x.view(-1).cos())
    return y.sin()


def read_by_an_alias(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    other = y.t()
    y[0].add_(x[0].cos())
    return other.sin()


def alias_of_an_alias(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    part = y[1:].unsqueeze(0)
    part[0, :, 1:3].copy_(x[1:, 1:3].cos())
    return y[None].sin()


def one_part_after_the_other(x: torch.Tensor) -> torch.Tensor:
    y = torch.empty_like(x)
    left, right = y.chunk(2, 1)
    left.copy_(x[:, :2].exp())
    right.copy_(x[:, 2:].cos())
    return y.sin()


def given_as_out(x: torch.Tensor) -> torch.Tensor:
    y = torch.empty_like(x)
    torch.mul(x.exp(), x.cos(), out=y)
    return y.sin()


def by_data(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    y.data.add_(x.cos())
    return y.sin()


def by_a_mask(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    y[x.cos() > 0] = 0
    return y.sin()


def by_numbers(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    y[torch.tensor([1])] = x[:1].cos()
    return y.sin()


def turned_in_place(x: torch.Tensor) -> torch.Tensor:
    y = x.exp().mul_(x.cos())
    y.unsqueeze_(0).transpose_(1, 2)
    return y.sin()


def into_a_cache(x: torch.Tensor) -> torch.Tensor:
    cache = torch.zeros(4, 2, 4)
    cache[1] = x.exp()
    cache[2] = x.cos()
    return cache[:3].sin()


def two_names(x: torch.Tensor) -> torch.Tensor:
    y = x.exp()
    same = y
    same += x.cos()
    return y.sin()


WRITES = (
    *(through_a_slice, through_a_view, read_by_an_alias, alias_of_an_alias, by_data, by_a_mask),
    *(one_part_after_the_other, given_as_out, by_numbers, turned_in_place, into_a_cache, two_names),
)


@pytest.mark.parametrize("function", WRITES, ids=lambda f: f.__name__)
def test_a_read_depends_on_what_was_written_before(function: Callable) -> None:
    graph = graph_of(function, zeros(2, 4))
    before = nx.ancestors(graph, "sin")
    assert {"exp", "cos"} <= before
    assert graph.graph["coverage"] == 1.0
    assert "sin" in nx.ancestors(graph, "output")


def test_a_read_does_not_depend_on_what_is_written_later() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        early = y.sin()
        y[:1] = x[:1].cos()
        return early, y

    graph = graph_of(function, zeros(2, 4))
    assert "cos" not in nx.ancestors(graph, "sin")
    assert "cos" in nx.ancestors(graph, "output_2")


def test_parts_that_are_written_side_by_side_wait_for_each_other_only_where_they_share() -> None:
    graph = graph_of(one_part_after_the_other, zeros(2, 4))
    # Two chains of one kernel each, then the write of both and the last kernel.
    assert cm.span(graph) < cm.cost(graph).work


def test_a_write_costs_what_it_moves() -> None:
    part = graph_of(through_a_slice, zeros(2, 4))
    functions = 3 * 8 - 4  # exp and sin on all, cos on half
    assert cm.mac(part) == 2 * functions + 2 * 4


def test_the_input_and_the_weights_may_be_written() -> None:
    graph = graph_of(lambda x: x.add_(1).mul_(2), zeros(2, 4))
    assert [n for n in graph if n in ("add", "mul")] == ["add", "mul"]

    def forward(x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
        linear.weight.data.clamp_(-1, 1)
        return linear(x)

    net = Of(forward, nn.Linear(4, 4))
    assert cm.multiply_adds(from_torch(net, zeros(2, 4))) == 2 * 16
    assert cm.params(from_torch(net, zeros(2, 4))) == 20


def test_a_second_output_that_is_used_has_an_edge() -> None:
    def indices(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x.exp(), 2, return_indices=True)[1].float()

    graph = graph_of(indices, zeros(1, 2, 4, 4))
    assert "exp" in nx.ancestors(graph, "output")

    def unpooled(x: torch.Tensor) -> torch.Tensor:
        y, where = F.max_pool2d(x.exp(), 2, return_indices=True)
        return F.max_unpool2d(y.cos(), where, 2)

    graph = graph_of(unpooled, zeros(1, 2, 4, 4))
    assert {"exp", "cos"} <= nx.ancestors(graph, "output")


def test_states_of_a_recurrent_layer_have_edges() -> None:
    net = Of(lambda x, f: f(x.exp())[1][0].sin(), nn.LSTM(4, 5))
    graph = from_torch(net, zeros(3, 2, 4))
    assert "exp" in nx.ancestors(graph, "sin")


# What depends on data is followed along the input, and the graph says so.
def branch(x: torch.Tensor) -> torch.Tensor:
    return x @ x if x.sum() > 0 else x


def loop(x: torch.Tensor) -> torch.Tensor:
    while x.norm() > 1:
        x = (x @ x) / 100
    return x


def chosen(x: torch.Tensor) -> torch.Tensor:
    rows = x[x[:, 0] > 0]
    return rows @ x


def many(x: torch.Tensor) -> torch.Tensor:
    return torch.ones(int(x.sum()), 4) @ x


def cond(x: torch.Tensor) -> torch.Tensor:
    return torch.cond(x.sum() > 0, lambda x: x @ x, lambda x: x + 1, (x,))


def python_list(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor([v for v in x[:, 0].tolist() if v > 0])[:, None] @ x[:1]


ALONG: dict[str, tuple[Callable, torch.Tensor, int]] = {
    "branch": (branch, torch.ones(4, 4), 64),
    "other branch": (branch, -torch.ones(4, 4), 0),
    "loop": (loop, torch.full((4, 4), 10.0), 3 * 64),
    "chosen rows": (chosen, torch.eye(4), 16),
    "as many as a value": (many, torch.eye(4), 4 * 16),
    "cond": (cond, torch.ones(4, 4), 64),
    "cond, other branch": (cond, -torch.ones(4, 4), 0),
    "values as a list": (python_list, torch.eye(4), 4),
}


@pytest.mark.parametrize("name", ALONG)
@pytest.mark.parametrize("behind_weights", [False, True])
def test_what_depends_on_data_follows_the_input(name: str, behind_weights: bool) -> None:
    function, x, multiply_adds = ALONG[name]
    net: nn.Module = Of(function)
    if behind_weights:
        same = nn.Linear(4, 4, bias=False)
        nn.init.eye_(same.weight)
        net = nn.Sequential(same, net)
        multiply_adds += 64
    graph = from_torch(net, x)
    cm.validate(graph)
    assert cm.multiply_adds(graph) == multiply_adds
    assert len(graph.graph["along"]) > 0
    assert graph.graph["notes"][0].startswith("along this input: the code looks at ")


def test_what_depends_on_constants_follows_no_input() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(3).sum()
        return x @ x if bool(steps == 3) else x

    graph = graph_of(function, zeros(4, 4))
    assert cm.multiply_adds(graph) == 64
    assert graph.graph["along"] == ()


def test_values_that_do_not_exist_are_asked_for_by_name() -> None:
    net = nn.Sequential(nn.Linear(4, 4), Of(branch)).to("meta")
    with pytest.raises(
        cm.CostModelError, match=r"asks for values \(gt in 1\), and 0\.weight is on"
    ):
        from_torch(net, torch.ones(4, 4))


def test_functions_of_functions_count() -> None:
    from torch._higher_order_ops import map as mapped
    from torch._higher_order_ops.scan import scan
    from torch._higher_order_ops.while_loop import while_loop

    def looped(x: torch.Tensor) -> torch.Tensor:
        return while_loop(lambda x: x.norm() > 1, lambda x: ((x @ x) / 100,), (x,))

    def scanned(x: torch.Tensor) -> torch.Tensor:
        return scan(lambda c, x: (c @ x, c * 2), torch.eye(4), x)

    assert cm.multiply_adds(graph_of(looped, torch.full((4, 4), 10.0))) == 3 * 64
    squares = graph_of(lambda x: mapped(lambda a: a @ a, x), zeros(3, 4, 4))
    assert cm.multiply_adds(squares) == 3 * 64
    assert cm.multiply_adds(graph_of(scanned, zeros(3, 4, 4))) == 3 * 64


def test_a_function_of_functions_with_symbols_is_refused_by_name() -> None:
    with pytest.raises(UnknownOperatorError, match="cond"):
        from_torch(Of(cond), torch.ones(4, 4), dynamic={"n": 0})


def test_blocks_of_settings_count() -> None:
    from torch.utils.checkpoint import checkpoint

    def low(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return x @ x

    graph = graph_of(low, zeros(4, 4))
    assert cm.multiply_adds(graph) == 64
    assert next(d["outputs"][0].dtype for n, d in graph.nodes(data=True) if n == "mat_mul") == (
        "bfloat16"
    )
    dots = graph_of(lambda x: torch.func.vmap(lambda a: a @ a)(x), zeros(3, 4))
    assert cm.multiply_adds(dots) == 12
    again = graph_of(lambda x: checkpoint(lambda a: a @ a, x, use_reentrant=False), zeros(4, 4))
    assert cm.multiply_adds(again) == 64


@pytest.mark.parametrize("lengths", [[5, 3, 2], torch.tensor([5, 3, 2])], ids=["list", "tensor"])
@pytest.mark.parametrize(("cls", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_packed_sequences_count_their_rows(cls: type, gates: int, lengths: object) -> None:
    rnn = nn.utils.rnn

    def function(x: torch.Tensor, table: nn.Embedding, layer: nn.Module) -> torch.Tensor:
        packed = rnn.pack_padded_sequence(table(x), lengths, True, enforce_sorted=False)
        return rnn.pad_packed_sequence(layer(packed)[0], True)[0]

    net = Of(function, nn.Embedding(9, 4), cls(4, 8, batch_first=True))
    graph = from_torch(net, torch.zeros(3, 5, dtype=torch.int64))
    cm.validate(graph)
    assert cm.multiply_adds(graph) == 10 * gates * 8 * (4 + 8)
    assert graph.nodes["output"]["op"].infer(*cm.graph.inputs_of(graph, "output")) == ()
    assert cm.graph.inputs_of(graph, "output")[0].shape == (3, 5, 8)


def test_a_custom_operator_without_a_shape_rule_runs_along_the_input() -> None:
    @torch.library.custom_op("costmodel_tests::doubled", mutates_args=())
    def doubled(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.numpy() * 2)

    @torch.library.custom_op("costmodel_tests::raised", mutates_args=("x",))
    def raised(x: torch.Tensor) -> None:
        x.add_(1)

    def function(x: torch.Tensor, f: nn.Module) -> torch.Tensor:
        y = torch.ops.costmodel_tests.doubled(f(x))
        torch.ops.costmodel_tests.raised(y)
        return f(y)

    net = Of(function, nn.Linear(4, 4))
    with pytest.raises(UnknownOperatorError, match=r"doubled.*raised"):
        from_torch(net, zeros(2, 4))
    graph = from_torch(net, zeros(2, 4), strict=False)
    assert cm.multiply_adds(graph) == 2 * 2 * 16
    assert len(graph.graph["unknown"]) == 2


def test_a_large_graph_takes_calls_in_proportion() -> None:
    import cProfile
    import pstats

    def calls(n: int) -> int:
        net = nn.Sequential(*(nn.ReLU() for _ in range(n)))
        with cProfile.Profile() as profile:
            from_torch(net, zeros(2, 4))
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    calls(10)
    assert calls(1000) < 10.5 * calls(100)
