"""Reductions and softmax."""

from __future__ import annotations

from costmodel.importers.emitter import Operand
from costmodel.importers.torch_module.call import ATEN, Call, Result, packet_name
from costmodel.ops import AdaptivePool, Cast, Elementwise, Reduce, Softmax

_KINDS = {
    "sum": "sum",
    "nansum": "sum",
    "nanmean": "mean",
    "count_nonzero": "sum",
    "trace": "sum",
    "_is_all_true": "all",
    "_is_any_true": "any",
    "mean": "mean",
    "amax": "max",
    "amin": "min",
    "argmax": "argmax",
    "argmin": "argmin",
    "prod": "prod",
    "any": "any",
    "all": "all",
    "var": "var",
    "linalg_vector_norm": "norm",
    "norm": "norm",
}


@ATEN.register(*_KINDS)
def _reduce(call: Call) -> Result:
    return reduce(call, _KINDS[_name(call)])


@ATEN.register("max", "min")
def _extreme(call: Call) -> Result:
    """Reduce, or take the larger of two tensors: torch has one name for both."""
    other = call.optional("other")
    if other is not None:
        return call.emit.add(Elementwise(_name(call)), call.operand("self"), other)
    values = reduce(call, _name(call))
    return (values, reduce(call, f"arg{_name(call)}")) if len(call.metas) > 1 else values


@ATEN.register("std")
def _std(call: Call) -> Result:
    return _deviation(call)


def _deviation(call: Call) -> Operand:
    return call.emit.add(Elementwise("sqrt"), reduce(call, "var"))


@ATEN.register("var_mean")
def _var_mean(call: Call) -> Result:
    return reduce(call, "var"), reduce(call, "mean")


@ATEN.register("logsumexp")
def _logsumexp(call: Call) -> Result:
    powers = call.emit.add(Elementwise("exp"), call.operand("self"))
    return call.emit.add(Elementwise("log"), reduce(call, "sum", powers))


@ATEN.register("aminmax")
def _both_extremes(call: Call) -> Result:
    return reduce(call, "min"), reduce(call, "max")


@ATEN.register("std_mean")
def _std_mean(call: Call) -> Result:
    return _deviation(call), reduce(call, "mean")


@ATEN.register("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
def _cumulate(call: Call) -> Result:
    y = call.emit.add(Reduce("cumsum", (call.size("dim"),)), call.operand("self"))
    return (y, call.emit.add(Cast("int64"), y)) if len(call.metas) > 1 else y


@ATEN.register("softmax", "_softmax", "log_softmax", "_log_softmax", "_safe_softmax")
def _softmax(call: Call) -> Result:
    return call.emit.add(Softmax(call.size("dim")), call.operand("self"))


def reduce(call: Call, kind: str, x: Operand | None = None) -> Operand:
    """Emit a reduction over the axes that ``call`` names, all of them by default.

    A mean over the pixels of an image is global pooling, under whichever name it was written.
    """
    x = call.operand("self") if x is None else x
    rank = len(x.shape)
    axes = tuple(axis % rank for axis in call.sizes("dim") if rank) or tuple(range(rank))
    keep = bool(call.get("keepdim", False))
    if kind == "mean" and rank in (4, 5) and sorted(axes) == list(range(2, rank)):
        y: Operand = call.emit.add(AdaptivePool("avg", (1,) * (rank - 2)), x)
        return y if keep else call.emit.reshape(y, y.shape[:2])
    return call.emit.add(Reduce(kind, axes, keep), x)


def _name(call: Call) -> str:
    return packet_name(call.node.target)
