"""Running a copy of a module once and recording its calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from costmodel.errors import CostModelError, DataError
from costmodel.importers.torch_module.program import Program
from costmodel.importers.torch_module.quiet import eager, has_compiler
from costmodel.importers.torch_module.recorder import Recorder, ValuesNeededError
from costmodel.importers.torch_module.shadow import Copier
from costmodel.importers.torch_module.standins import Given, Stored
from costmodel.importers.torch_module.surroundings import Surroundings


def capture(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """Return the recorded program of ``module`` on these inputs.

    It runs on tensors without data; if its code needs values that follow from weights, on
    real ones.

    Raises
    ------
    DataError
        If it cannot run.
    """
    compiled = has_compiler()
    reason = _tried(module, args, kwargs, real=False)
    if isinstance(reason, Exception) and has_compiler() and not compiled:
        # The code has loaded the compiler of torch: once more, now that it can be left out.
        with eager():
            reason = _tried(module, args, kwargs, real=False)
    missing = _without_values(module, args, kwargs)
    if isinstance(reason, Program):
        return reason
    if missing is None:
        asked = str(reason) if isinstance(reason, ValuesNeededError) else _SHAPELESS
        with eager():
            reason = _tried(module, args, kwargs, real=True)
        if isinstance(reason, Program):
            reason.asked = reason.asked or [asked]
            return reason
    raise _refused(module, args, reason, missing) from reason


_SHAPELESS = "an operator that makes shapes of values"


def _tried(module: Any, args: Any, kwargs: Any, real: bool) -> Program | BaseException:
    """Run and return the program, or why it does not run."""
    try:
        return _run(module, args, kwargs, real)
    except CostModelError:
        raise
    except (Exception, ValuesNeededError) as error:
        return error


def _refused(module: Any, args: Any, reason: BaseException, missing: str | None) -> DataError:
    name = type(module).__name__
    if isinstance(reason, ValuesNeededError):
        return DataError(
            f"{name} asks for values ({reason}), and {missing} is on the meta device: give it "
            "values, so that the module can run along this input"
        )
    text = (str(reason).strip() or "no reason given").splitlines()[0]
    text = text.removesuffix(", but expected one of:")  # the forms of a call follow
    shape = next(filter(_is_shape, args), None)
    if shape is not None:
        text += f"; an input is a tensor, such as torch.zeros({', '.join(map(str, shape))})"
    return DataError(f"{name} does not run on these inputs: {type(reason).__name__}: {text}")


def _is_shape(value: Any) -> bool:
    """Return whether an input is a shape, which the user may have given for a tensor of it."""
    return isinstance(value, tuple | list) and bool(value) and all(type(n) is int for n in value)


def _run(module: Any, args: Any, kwargs: Any, real: bool) -> Program:
    recorder = Recorder(real)
    stored = Stored(module, recorder, real)
    copier = Copier(stored, stored.located, stored.scripted)
    shadow = copier.copy(module)
    given = Given(module, args, kwargs, recorder, real)
    inputs = Copier(given)
    args = tuple(inputs.copy(a, given.name(i)) for i, a in enumerate(args))
    kwargs = {k: inputs.copy(v, k) for k, v in kwargs.items()}
    settings = Surroundings(module), _below_autograd(), torch.random.fork_rng([], enabled=real)
    try:
        with settings[0], settings[1], settings[2], recorder:
            outputs = shadow(*args, **kwargs)
        return recorder.finish(list(tensors_in(outputs)))
    finally:
        recorder.put_back()
        copier.discard()


@contextmanager
def _below_autograd() -> Iterator[None]:
    """Leave out what autograd does, so that whole operators reach the recorder."""
    with torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
        yield


def _without_values(module: Any, args: Any, kwargs: Any) -> str | None:
    """Return a description of the tensors without values, None if all have values."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.device.type == "meta" and not torch.nn.parameter.is_lazy(tensor):
            return str(name)
    for tensor in tensors_in((args, kwargs)):
        if tensor.device.type == "meta":
            return "an input"
    return None


def tensors_in(thing: Any) -> Iterator[Tensor]:
    """Yield the tensors that ``thing`` holds: containers and plain objects, each object once."""
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if one is None or isinstance(one, int | float | str | type) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, dict):
            waiting += list(one.values())[::-1]
        elif isinstance(one, list | tuple | set):
            waiting += list(one)[::-1]
        elif not isinstance(one, torch.nn.Module) and hasattr(one, "__dict__"):
            waiting += list(vars(one).values())[::-1]
