"""Stand-ins for the tensors of a module and its inputs while a copy of it runs."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from costmodel.errors import DataError
from costmodel.importers.torch_module.aliases import Borrowed
from costmodel.importers.torch_module.program import CONSTANT, DATA, UNKNOWN
from costmodel.importers.torch_module.recorder import Recorder
from costmodel.importers.torch_module.values import LARGEST

_COPIED = 2**28
"""Parameters of no more bytes are copied where they have values; the user's are never written."""


class Stored:
    """Makes the parameters, buffers and constants of the copy."""

    def __init__(self, module: Any, recorder: Recorder, real: bool) -> None:
        self._recorder = recorder
        self._real = real
        self._names: dict[int, str] = {}
        self._learned: set[int] = set()
        sizes = [p.nbytes for p in module.parameters() if not torch.nn.parameter.is_lazy(p)]
        self._small = sum(sizes) <= _COPIED
        for learned, named in (
            (True, module.named_parameters(remove_duplicate=False)),
            (False, module.named_buffers(remove_duplicate=False)),
        ):
            for name, tensor in named:
                self._names.setdefault(id(tensor), name.replace("_orig_mod.", ""))
                if learned:
                    self._learned.add(id(tensor))

    def __call__(self, tensor: Tensor, path: str) -> Tensor:
        """Return the stand-in of a stored tensor found at ``path``."""
        name = self._names.get(id(tensor), path)
        learned = id(tensor) in self._learned
        if torch.nn.parameter.is_lazy(tensor):
            return type(tensor)(device="meta", dtype=tensor.dtype)
        if tensor.layout != torch.strided:
            raise DataError(f"{name} is a sparse tensor ({tensor.layout}), not a dense one")
        values = self._real or (not learned and tensor.numel() <= LARGEST)
        clone = not learned or self._small
        made = _data(tensor, values and tensor.device.type != "meta", clone)
        if isinstance(tensor, torch.nn.Parameter):
            made = torch.Tensor._make_subclass(type(tensor), made, tensor.requires_grad)
        made.__dict__.update(tensor.__dict__)
        level = UNKNOWN if made.device.type == "meta" else DATA if learned else CONSTANT
        record = self._recorder.enter(made, level, name, learned)
        if self._real and not clone:
            record.memory.borrowed = Borrowed.WEIGHT
        return made

    def located(self, forward: Callable[..., Any], path: str) -> Callable[..., Any]:
        """Return ``forward`` with the path of its module known while it runs."""
        stack = self._recorder.path
        module = getattr(forward, "__self__", None)
        if isinstance(module, torch.nn.modules.lazy.LazyModuleMixin):
            self._make_lazily(module, path)

        def run(*args: Any, **kwargs: Any) -> Any:
            stack.append(path)
            try:
                return forward(*args, **kwargs)
            finally:
                stack.pop()

        run.__wrapped__ = forward  # type: ignore[attr-defined]
        return run

    def scripted(self, module: Any, path: str) -> Any:
        """Return a copy of a module of TorchScript, which holds its tensors out of reach."""
        made = copy.deepcopy(module).eval()
        if not self._real:
            made = made.to("meta")
        originals = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for name, tensor in (*made.named_parameters(), *made.named_buffers()):
            found = self._names.get(id(originals[name]), f"{path}.{name}")
            learned = isinstance(originals[name], torch.nn.Parameter)
            level = UNKNOWN if tensor.device.type == "meta" else DATA
            self._recorder.enter(tensor, level, found, learned)
        return made

    def _make_lazily(self, module: Any, path: str) -> None:
        """Let the parameters of a lazy module be made unrecorded when it first runs."""
        recorder, make = self._recorder, module.initialize_parameters

        def run(*args: Any, **kwargs: Any) -> None:
            missing = module.has_uninitialized_params()
            recorder.muted += 1
            try:
                make(*args, **kwargs)
            finally:
                recorder.muted -= 1
            for key, tensor in module._parameters.items() if missing else ():
                if tensor is not None:
                    recorder.enter(tensor, UNKNOWN, f"{path}.{key}" if path else key, learned=True)

        module.__dict__["initialize_parameters"] = run


class Given:
    """Makes the inputs of the copy, named after the arguments of ``forward``."""

    def __init__(self, module: Any, args: Any, kwargs: Any, recorder: Recorder, real: bool) -> None:
        self._recorder = recorder
        self._real = real
        self._names = argument_names(module, len(args))

    def name(self, number: int) -> str:
        """Return the name of positional argument ``number``."""
        return self._names[number]

    def __call__(self, tensor: Tensor, path: str) -> Tensor:
        """Return the stand-in of an input found at ``path``."""
        values = self._real or tensor.numel() <= LARGEST
        made = _data(tensor, values and tensor.device.type != "meta", clone=True)
        level = UNKNOWN if made.device.type == "meta" else DATA
        name = path.replace(".", "_")
        self._recorder.program.inputs.append(self._recorder.enter(made, level, name).made)
        return made


def argument_names(module: Any, count: int) -> list[str]:
    """Return the names of the first ``count`` positional arguments of ``forward``."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return [f"input_{i}" for i in range(count)]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "input")
    return [names[i] if i < len(names) else f"{rest}_{i - len(names)}" for i in range(count)]


def _data(tensor: Tensor, values: bool, clone: bool) -> Tensor:
    if values:
        with torch.no_grad():
            return tensor.detach().clone() if clone else tensor.data
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
