"""Rewrites that keep the function of a network, run in torch before and after."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import costmodel as cm
from costmodel.guidelines import Case
from costmodel.guidelines.advise import RULES
from costmodel.guidelines.branches import added_branches, merged_siblings
from costmodel.guidelines.drafts import drafts_of, rebuilt
from costmodel.guidelines.elementwise import (
    activations_behind_pooling,
    folded_norms,
    needless_shuffles,
    pooling_before_pointwise,
)
from costmodel.guidelines.windows import larger_batch
from costmodel.ops import BatchNorm, ChannelShuffle, Concat, Conv, Elementwise, Pool
from costmodel.platforms import load_platform

torch = pytest.importorskip("torch")
GPU = "gtx-1080-ti/torch-eager"
Weights = dict[str, "torch.Tensor"]
"""Tensors by the name of the node and what they are of it, such as ``conv.weight``."""


def module_of(graph, weights: Weights | None = None):
    """Return a module with random weights and statistics, or with those that are given."""
    from costmodel_validation.backends.graph_to_torch import to_torch

    module = to_torch(graph).eval()
    state = module.state_dict()
    random = torch.Generator().manual_seed(0)
    for key, value in state.items():
        if weights is None:
            drawn = torch.randn(value.shape, generator=random)
            state[key] = drawn.abs() + 0.5 if key.endswith("running_var") else drawn
        else:
            state[key] = weights[plain(key)]
    module.load_state_dict(state)
    return module


def plain(key: str) -> str:
    """Return the name of a tensor without the number of its node."""
    return re.sub(r"^m\d+_", "", key)


def weights_of(module) -> Weights:
    return {plain(key): value for key, value in module.state_dict().items()}


def run(module, *inputs):
    with torch.no_grad():
        return module(*inputs)


def chain(*steps, channels=8):
    """Return a network of the given operators, in a row."""
    b = cm.Builder("chain")
    y = b.input((2, channels, 8, 8))
    for op in steps:
        y = b.add(op, y)
    return b.finish(y)


def branches(*ends, joined: str):
    """Return a network of branches of one tensor that end in a concatenation, sum or apart."""
    b = cm.Builder("branches")
    x = b.input((2, 8, 8, 8))
    made = []
    for i, steps in enumerate(ends):
        y = x
        for op in steps:
            y = b.add(op, y, name=f"b{i}.{type(op).__name__.lower()}")
        made.append(y)
    if joined == "apart":
        return b.finish(*made)
    return b.finish(b.add(Concat(1) if joined == "concat" else Elementwise("add"), *made))


def same(weights: Weights) -> Weights:
    return weights


def folded(weights: Weights) -> Weights:
    """Fold a batch normalization named as its convolution is into the weights of that."""
    result = dict(weights)
    for name in [n for n in weights if n.endswith("running_var")]:
        norm = name.removesuffix(".running_var")
        conv = norm.replace("batch_norm", "conv").replace("batchnorm", "conv")
        scale = weights[f"{norm}.weight"] / torch.sqrt(weights[name] + 1e-5)
        bias = weights.get(f"{conv}.bias", torch.zeros_like(scale))
        result[f"{conv}.weight"] = weights[f"{conv}.weight"] * scale[:, None, None, None]
        shift = weights[f"{norm}.bias"] - scale * weights[f"{norm}.running_mean"]
        result[f"{conv}.bias"] = bias * scale + shift
    return result


def merged(weights: Weights) -> Weights:
    """Join the weights of the branches b0, b1 ... under the names of the first."""
    first = {n: v for n, v in weights.items() if n.startswith("b0")}
    return {
        n: torch.cat([weights[n.replace("b0", f"b{i}", 1)] for i in range(2)]) if v.dim() else v
        for n, v in first.items()
    }


def summed(weights: Weights) -> Weights:
    """Add the weights of the smaller window to the larger one's, norms folded before."""
    ready = folded(weights)
    small = torch.nn.functional.pad(ready["b1_conv.weight"], (1, 1, 1, 1))
    found = {"b0_conv.weight": ready["b0_conv.weight"] + small}
    if "b0_conv.bias" in ready:
        found["b0_conv.bias"] = ready["b0_conv.bias"] + ready["b1_conv.bias"]
    return found


def shuffled(weights: Weights) -> Weights:
    """Undo a shuffle of two groups in what reads the channels; conv_2 is dense."""
    back = torch.arange(8).reshape(4, 2).T.flatten()
    return {
        name: value[:, back] if name == "conv_2.weight" else value[back] if value.dim() else value
        for name, value in weights.items()
    }


NORMED = [Conv(8, (3, 3), padding=1), BatchNorm()]
BRANCH = [Conv(4, (1, 1)), BatchNorm(), Elementwise("relu")]
WIDER = [Conv(12, (1, 1)), BatchNorm(), Elementwise("relu")]
POINT = [Conv(8, (1, 1)), BatchNorm()]
RELU, SIGMOID = Elementwise("relu"), Elementwise("sigmoid")
DEPTHWISE = Conv(8, (3, 3), padding=1, groups=8)
SHUFFLED = [ChannelShuffle(2), DEPTHWISE, BatchNorm()]
CASES: list[tuple[Callable, object, Callable[[Weights], Weights]]] = [
    (activations_behind_pooling, chain(NORMED[0], RELU, Pool("max", (2, 2), 2)), same),
    (activations_behind_pooling, chain(Conv(8, (1, 1)), SIGMOID, Pool("max", (3, 3), 2, 1)), same),
    (pooling_before_pointwise, chain(Conv(4, (1, 1)), Pool("avg", (2, 2), 2)), same),
    (pooling_before_pointwise, chain(Conv(4, (1, 1), bias=True), Pool("avg", (2, 2), 2)), same),
    (folded_norms, chain(*NORMED), folded),
    (folded_norms, chain(Conv(8, (1, 1), bias=True), BatchNorm(), RELU), folded),
    (folded_norms, chain(DEPTHWISE, BatchNorm()), folded),
    (merged_siblings, branches(BRANCH, WIDER, joined="concat"), merged),
    (merged_siblings, branches(BRANCH, WIDER, joined="apart"), merged),
    (merged_siblings, branches(BRANCH[:1], WIDER[:1], joined="apart"), merged),
    (added_branches, branches(NORMED[:1], POINT[:1], joined="add"), summed),
    (added_branches, branches(NORMED, POINT, joined="add"), summed),
    (
        needless_shuffles,
        chain(*SHUFFLED, Conv(6, (1, 1))),
        shuffled,
    ),
    (larger_batch, chain(*NORMED, RELU), same),
]


def name_of(value: object) -> str | None:
    return getattr(value, "__name__", None)


@pytest.mark.parametrize(("rule", "graph", "transfer"), CASES, ids=name_of)
def test_the_network_computes_what_it_did(rule, graph, transfer) -> None:
    (rewrite,) = rule(Case(graph, load_platform(GPU)))
    assert rewrite.same_function
    changed = rebuilt(rewrite.change(drafts_of(graph)), graph)
    module = module_of(graph)
    other = module_of(changed, transfer(weights_of(module)))
    x = torch.randn(2 * rewrite.inputs, 8, 8, 8, generator=torch.Generator().manual_seed(7))
    parts = [run(module, part) for part in x.split(2)]
    before = [torch.cat(same_output) for same_output in zip(*parts, strict=True)]
    after = run(other, x)
    assert len(before) == len(after)
    for expected, found in zip(before, after, strict=True):
        assert torch.allclose(expected, found, atol=1e-4, rtol=1e-4)


def test_every_rule_that_says_so_is_run() -> None:
    """A rule that keeps the function has a case above; the others say that they do not."""
    tried = {rule for rule, *_ in CASES}
    networks = ["shufflenet_v1", "shufflenet_v2", "densenet", "googlenet", "mobilenet_v3"]
    cases = [Case(cm.zoo.build(name), load_platform(GPU)) for name in networks]
    for rule in set(RULES) - tried:
        assert not any(rewrite.same_function for case in cases for rewrite in rule(case)), rule


@pytest.mark.parametrize(
    "steps",
    [
        [Conv(4, (1, 1)), Pool("avg", (3, 3), 2, 1)],  # zeros count in the mean, and have no bias
        [Conv(4, (3, 3), padding=1), Pool("avg", (2, 2), 2)],
        [Conv(4, (1, 1)), Elementwise("relu"), Pool("avg", (2, 2), 2)],
    ],
)
def test_what_would_change_the_function_is_not_moved(steps) -> None:
    where = load_platform(GPU)
    assert list(pooling_before_pointwise(Case(chain(*steps), where))) == []
    silu = chain(Conv(8, (1, 1)), Elementwise("silu"), Pool("max", (2, 2), 2))
    assert list(activations_behind_pooling(Case(silu, where))) == []
