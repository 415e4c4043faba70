"""Running a copy of a module once and recording what it does."""

from __future__ import annotations

import copy
import gc
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from costmodel.errors import CostModelError, DataError
from costmodel.importers.torch_module.program import CONSTANT, DATA, UNKNOWN, Program
from costmodel.importers.torch_module.recorder import LARGEST, Recorder, ValuesNeededError
from costmodel.importers.torch_module.shadow import Copier
from costmodel.importers.torch_module.surroundings import Surroundings


def capture(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """Return what ``module`` does on these inputs.

    It runs on tensors without data; where its code asks for values that follow from weights, on
    real ones.

    Raises
    ------
    DataError
        If it cannot run.
    """
    compiled = _has_compiler()
    reason = _tried(module, args, kwargs, real=False)
    if isinstance(reason, Exception) and _has_compiler() and not compiled:
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
    raise _refused(module, reason, missing) from reason


_SHAPELESS = "an operator that makes shapes of values"


def _tried(module: Any, args: Any, kwargs: Any, real: bool) -> Program | BaseException:
    """Run and return the program, or why it does not run."""
    try:
        return _run(module, args, kwargs, real)
    except CostModelError:
        raise
    except (Exception, ValuesNeededError) as error:
        return error


def _has_compiler() -> bool:
    return "torch._dynamo" in sys.modules


def eager() -> AbstractContextManager[Any]:
    """Return a context in which the compiler of torch, if it is loaded, compiles nothing."""
    if not _has_compiler() or not hasattr(torch.compiler, "set_stance"):
        return nullcontext()
    context: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return context


def _refused(module: Any, reason: BaseException, missing: str | None) -> DataError:
    name = type(module).__name__
    if isinstance(reason, ValuesNeededError):
        return DataError(
            f"{name} asks for values ({reason}), and {missing} is on the meta device: give it "
            "values, so that the module can run along this input"
        )
    text = (str(reason).strip() or "no reason given").splitlines()[0]
    return DataError(f"{name} does not run on these inputs: {type(reason).__name__}: {text}")


def _run(module: Any, args: Any, kwargs: Any, real: bool) -> Program:
    recorder = Recorder(real)
    stored = _Stored(module, recorder, real)
    copier = Copier(stored, stored.located, stored.scripted)
    shadow = copier.copy(module)
    given = _Given(module, args, kwargs, recorder, real)
    inputs = Copier(given)
    args = tuple(inputs.copy(a, given.name(i)) for i, a in enumerate(args))
    kwargs = {k: inputs.copy(v, k) for k, v in kwargs.items()}
    around = Surroundings(module)
    with around, _below_autograd(), torch.random.fork_rng(devices=[], enabled=real), recorder:
        outputs = shadow(*args, **kwargs)
    program = recorder.finish(list(tensors_in(outputs)))
    copier.discard()
    return program


@contextmanager
def _below_autograd() -> Iterator[None]:
    """Leave out what autograd does, so that whole operators reach the recorder."""
    with torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
        yield


class _Quiet:
    """Settings of the whole process that one of several importing threads puts and another back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                silence = warnings.catch_warnings()
                silence.__enter__()
                warnings.simplefilter("ignore")
                compiler = eager()
                compiler.__enter__()
                fast_path = torch.backends.mha.get_fastpath_enabled()
                self._before = silence, compiler, fast_path, gc.isenabled()
                gc.disable()  # with torch loaded, one full collection takes longer than an import
                torch.backends.mha.set_fastpath_enabled(False)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                silence, compiler, fast_path, collects = self._before
                if collects:
                    gc.enable()
                torch.backends.mha.set_fastpath_enabled(fast_path)
                compiler.__exit__(None, None, None)
                silence.__exit__(None, None, None)


_QUIET = _Quiet()


def quiet() -> _Quiet:
    """Return a context without warnings of torch and without fused paths that hide operators."""
    return _QUIET


_COPIED = 2**28
"""Parameters of no more bytes are copied where they have values; the user's are never written."""


class _Stored:
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
        """Return what stands for a stored tensor that is found at ``path``."""
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
        record.memory.borrowed = self._real and not clone
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


class _Given:
    """Makes the inputs of the copy, named after the arguments of ``forward``."""

    def __init__(self, module: Any, args: Any, kwargs: Any, recorder: Recorder, real: bool) -> None:
        self._recorder = recorder
        self._real = real
        self._names = argument_names(module, len(args))

    def name(self, number: int) -> str:
        """Return the name of positional argument ``number``."""
        return self._names[number]

    def __call__(self, tensor: Tensor, path: str) -> Tensor:
        """Return what stands for an input that is found at ``path``."""
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


def _without_values(module: Any, args: Any, kwargs: Any) -> str | None:
    """Return what has no values, None if everything has."""
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
