"""A copy of a module that runs in its place, so that the user's objects are never modified.

Modules, containers, bound methods, closures and plain objects are copied; whatever else they hold
is shared. The caller converts tensors.
"""

from __future__ import annotations

import collections
import copy
import functools
import sys
import types
import weakref
from collections.abc import Callable
from enum import Enum
from typing import Any

_OF_MODULES = ("torch.nn.utils", "torch.utils.hooks")
"""Where torch has plain objects that belong to one module: hooks, and the handles of hooks."""
_MAPPINGS = frozenset({dict, collections.OrderedDict, collections.defaultdict})
_ATOMS = frozenset({int, float, bool, str, bytes, complex, type(None), type, types.ModuleType})


class Copier:
    """Copies all objects reachable from a module or its inputs, each once.

    Parameters
    ----------
    tensor : callable
        Returns the stand-in of a tensor, given it and its dotted path.
    located : callable, optional
        Returns the stand-in of the ``forward`` of a module, given it and the path of the module.
    scripted : callable, optional
        Returns the stand-in of a TorchScript module, given it and its path.
    """

    def __init__(
        self,
        tensor: Callable[[Any, str], Any],
        located: Callable[[Callable[..., Any], str], Callable[..., Any]] | None = None,
        scripted: Callable[[Any, str], Any] | None = None,
    ) -> None:
        import torch

        self._torch = torch
        self._tensor = tensor
        self._located = located
        self._scripted = scripted or (lambda module, path: copy.deepcopy(module).eval())
        self._memo: dict[int, Any] = {}
        self._alive: list[Any] = []  # an identity is one only while its object lives
        self._plain: dict[type, bool] = {}
        self._modules: list[Any] = []

    def copy(self, x: Any, path: str = "") -> Any:
        """Return the copy of ``x``, found at dotted ``path``."""
        kind = type(x)
        if kind in _ATOMS:
            return x
        made = self._memo.get(id(x), self)
        if made is not self:
            return made
        return self._remember(x, self._copied(x, kind, path))

    def discard(self) -> None:
        """Break the reference cycles of the copied modules."""
        for module in self._modules:
            module.__dict__.clear()
        self._memo.clear()

    def _remember(self, x: Any, made: Any) -> Any:
        self._memo[id(x)] = made
        self._alive.append(x)
        return made

    def _copied(self, x: Any, kind: type, path: str) -> Any:
        torch = self._torch
        if isinstance(x, torch.Tensor):
            return self._tensor(x, path)
        if isinstance(x, torch.nn.Module):
            return self._module(x, path)
        if kind in _MAPPINGS:
            made = self._remember(x, x.copy())
            for key, value in x.items():
                made[key] = self.copy(value, _join(path, key))
            return made
        if kind is list or kind is collections.deque:
            made = self._remember(x, x.copy())
            for i, value in enumerate(x):
                made[i] = self.copy(value, _join(path, i))
            return made
        if isinstance(x, tuple):
            return self._tuple(x, kind, path)
        if kind is set:
            return x.copy()
        if kind is types.MethodType:
            owner, function = self.copy(x.__self__, path), self.copy(x.__func__, path)
            same = owner is x.__self__ and function is x.__func__
            return x if same else types.MethodType(function, owner)
        if kind is types.FunctionType:
            return self._function(x, path)
        if kind is functools.partial:
            return functools.partial(
                self.copy(x.func, path), *self.copy(x.args, path), **self.copy(x.keywords, path)
            )
        if kind is weakref.ref:
            target = x()
            return x if target is None else weakref.ref(self.copy(target, path))
        return self._object(x, kind, path)

    def _tuple(self, x: Any, kind: type, path: str) -> Any:
        made = [self.copy(value, _join(path, i)) for i, value in enumerate(x)]
        if all(a is b for a, b in zip(made, x, strict=True)):
            return x
        return kind(*made) if hasattr(kind, "_fields") else tuple.__new__(kind, made)

    def _function(self, x: Any, path: str) -> Any:
        cells = tuple(self._cell(cell, path) for cell in x.__closure__ or ())
        defaults = self.copy(x.__defaults__, path)
        if defaults is x.__defaults__ and all(
            a is b for a, b in zip(cells, x.__closure__ or (), strict=True)
        ):
            return x
        made = types.FunctionType(x.__code__, x.__globals__, x.__name__, defaults, cells)
        made.__kwdefaults__ = x.__kwdefaults__
        made.__qualname__, made.__module__ = x.__qualname__, x.__module__
        made.__dict__.update({k: self.copy(v, path) for k, v in x.__dict__.items()})
        return made

    def _cell(self, cell: Any, path: str) -> Any:
        if id(cell) in self._memo:
            return self._memo[id(cell)]
        try:
            inside = cell.cell_contents
        except ValueError:  # a variable that has no value yet
            return cell
        if type(inside) in _ATOMS or isinstance(inside, type):
            return cell
        made = self._remember(cell, types.CellType())
        made.cell_contents = self.copy(inside, path)
        if made.cell_contents is inside:
            self._memo[id(cell)] = cell
        return self._memo[id(cell)]

    def _module(self, x: Any, path: str) -> Any:
        torch = self._torch
        if isinstance(x, torch.jit.ScriptModule):
            return self._scripted(x, path)
        for wrapper in ("_orig_mod", "module"):
            if type(x).__name__ in ("OptimizedModule", "DistributedDataParallel") and (
                wrapper in x._modules
            ):
                return self.copy(x._modules[wrapper], path)
        made = self._remember(x, object.__new__(type(x)))
        self._modules.append(made)
        content = made.__dict__
        content.update({k: v for k, v in x.__dict__.items() if type(v) in _ATOMS})
        for key in ("_parameters", "_buffers", "_modules"):
            content[key] = self.copy(x.__dict__[key], path)
        for key, value in x.__dict__.items():
            if key not in content:
                empty = key[0] == "_" and type(value) in _MAPPINGS and not value
                content[key] = value.copy() if empty else self.copy(value, _join(path, key))
        content["training"] = False
        if type(x).__name__ == "DataParallel":
            content["device_ids"] = []
        if self._located is not None:
            forward = content.get("forward") or type(x).forward.__get__(made)
            content["forward"] = self._located(forward, path)
        return made

    def _object(self, x: Any, kind: type, path: str) -> Any:
        if kind not in self._plain:
            self._plain[kind] = _is_plain(kind)
        content = getattr(x, "__dict__", None)
        if not self._plain[kind] or not content:
            return x
        try:
            made: Any = object.__new__(kind)
        except TypeError:  # it is made of more than its attributes
            return x
        self._remember(x, made)
        made.__dict__.update({k: self.copy(v, _join(path, k)) for k, v in content.items()})
        return made


def _is_plain(kind: type) -> bool:
    """Return whether copying the attributes copies an object of this class.

    False for classes of the interpreter and torch, classes with finalizers, and singletons.
    """
    origin = kind.__module__.split(".")[0]
    ours = origin != "torch" or kind.__module__.startswith(_OF_MODULES)
    return (
        ours
        and origin not in sys.stdlib_module_names | {"numpy", "builtins"}
        and vars(object)["__new__"] is getattr(kind, "__new__", None)
        and not issubclass(kind, type | Enum)
        and not hasattr(kind, "__del__")
        and not any(vars(c).get("__slots__") for c in kind.__mro__[:-1])
    )


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
