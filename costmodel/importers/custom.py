"""Custom operators: their names in torch or ONNX, and the operators that they emit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from costmodel.errors import DataError
from costmodel.importers.onnx_file.call import HANDLERS
from costmodel.importers.onnx_file.call import Call as OnnxCall
from costmodel.importers.onnx_file.call import Result as OnnxResult
from costmodel.importers.torch_module.call import ATEN, Result
from costmodel.importers.torch_module.call import Call as TorchCall

TorchHandler: TypeAlias = Callable[[TorchCall], Result]
"""A function that emits the operators of a custom torch operator."""
OnnxHandler: TypeAlias = Callable[[OnnxCall], OnnxResult]
"""A function that emits the operators of a custom ONNX operator."""


def torch_operator(name: str) -> Callable[[TorchHandler], TorchHandler]:
    """Return a decorator that registers the function of a custom torch operator.

    The function takes the call (:class:`~costmodel.importers.torch_module.call.Call`): its tensors
    are ``call.operand(name)`` and its other arguments ``call.get(name)``, by the names of the
    schema. It adds operators with ``call.emit.add(op, *tensors)`` and returns the output, or a list
    of several. Their shape rules and nests determine the shapes and the cost. The shapes of torch
    are checked against them.

    Parameters
    ----------
    name : str
        Namespace and name as in ``torch.library``: ``"mylib::banded"``. The function replaces the
        handler of a known operator.

    Raises
    ------
    DataError
        If the name has no namespace.

    Examples
    --------
    >>> from costmodel.ops import Elementwise
    >>> @torch_operator("mylib::squared_relu")
    ... def squared_relu(call):
    ...     y = call.emit.add(Elementwise("relu"), call.operand("x"))
    ...     return call.emit.add(Elementwise("square"), y)
    """
    return ATEN.replacing(_key(name).removeprefix("aten."))


def onnx_operator(name: str) -> Callable[[OnnxHandler], OnnxHandler]:
    """Return a decorator that registers the function of a custom ONNX operator.

    The function takes the call (:class:`~costmodel.importers.onnx_file.call.Call`): its tensors are
    ``call.operand(0)``, ``call.operand(1)`` and so on, its attributes ``call.attribute(name)``.

    Parameters
    ----------
    name : str
        Domain and type: ``"com.mine::Banded"``.

    Raises
    ------
    DataError
        If the name has no domain.

    Examples
    --------
    >>> from costmodel.ops import Elementwise
    >>> @onnx_operator("com.mine::Rectify")
    ... def rectify(call):
    ...     return call.emit.add(Elementwise("relu"), call.operand(0))
    """
    return HANDLERS.replacing(_key(name))


def _key(name: str) -> str:
    space, colons, operator = name.partition("::") if isinstance(name, str) else ("", "", "")
    if not (space and colons and operator):
        raise DataError(f'an operator name must be "namespace::name", got {name!r}')
    return f"{space}.{operator}"
