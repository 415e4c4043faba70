"""Networks made by Python code: op graphs, torch modules, module classes."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import networkx as nx

from costmodel.errors import CostModelError, DataError, missing
from costmodel.graph import validate
from costmodel.reading import is_file
from costmodel.specs.shapes import InputShape, split_query


def from_python(spec: str, strict: bool, inputs: Sequence[InputShape] = ()) -> nx.DiGraph:
    """Return the graph of a Python callable or torch module (see :func:`costmodel.network`).

    Raises
    ------
    DataError
        If it does not exist or its code fails.
    """
    with _importing_from_here():
        module, name, query = _found(spec)
        made = _call(spec, _attribute(spec, module, name), split_query(name, query))
        return _as_graph(spec, made, strict, inputs)


@contextlib.contextmanager
def _importing_from_here() -> Iterator[None]:
    """Put the current folder first on the import path within the ``with`` block."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        # The executed module may have changed the path itself.
        if here in sys.path:
            sys.path.remove(here)


def parameters_of(spec: str) -> tuple[tuple[str, ...], bool]:
    """Return the parameters of a Python callable by name, and whether it takes others, too.

    Raises
    ------
    DataError
        If it does not exist or its code fails.

    Examples
    --------
    >>> parameters_of("python:costmodel.zoo:g1_stack")[0][:3]
    ('c1', 'c2', 'size')
    """
    with _importing_from_here():
        thing = _attribute(spec, *_found(spec)[:2])
    if isinstance(thing, nx.DiGraph | tuple) or _is_torch_module(thing) or not callable(thing):
        return (), False
    try:
        known = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):  # of a callable that is written in C
        return (), True
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = tuple(p.name for p in known if p.kind in named)
    return names, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known)


def _found(spec: str) -> tuple[ModuleType, str, str]:
    """Return the module that a spec names, the name in it, and the parameters as text."""
    place, question, query = spec.removeprefix("python:").partition("?")
    where, colon, name = place.rpartition(":")
    if not colon or not where or not name:
        raise DataError(f"{spec!r} must be python:module:callable or python:file.py:callable")
    return _import(spec, where), name, query if question else ""


def _import(spec: str, where: str) -> ModuleType:
    try:
        if where.endswith(".py"):
            return _import_file(Path(where))
        return importlib.import_module(where)
    except CostModelError:
        raise
    except Exception as error:
        if isinstance(error, ImportError) and (said := missing(error, spec)) is not None:
            raise said from None
        raise DataError(
            f"{spec}: importing {where} failed: {type(error).__name__}: {error}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    if not is_file(path):
        raise DataError(f"{path}: no such file")
    name = f"costmodel_spec_{path.stem}"  # so that resnet.py does not shadow a module resnet
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise DataError(f"{path}: no Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and torch.export look up their module by name
    found.loader.exec_module(module)
    return module


def _attribute(spec: str, module: ModuleType, name: str) -> Any:
    made = getattr(module, name, None)
    if made is None:
        public = [key for key in vars(module) if not key.startswith("_")]
        close = difflib.get_close_matches(name, public) or public[:8]
        raise DataError(f"{spec}: {module.__name__} has no {name!r}; it has {', '.join(close)}")
    return made


def _call(spec: str, thing: Any, texts: dict[str, str]) -> Any:
    """Return the result of a callable; graphs, torch modules and pairs are returned unchanged."""
    if isinstance(thing, nx.DiGraph | tuple) or _is_torch_module(thing):
        if texts:
            raise DataError(f"{spec}: it is not a callable and takes no parameters")
        return thing
    if not callable(thing):
        raise DataError(f"{spec}: {type(thing).__name__} is not callable; {_WANTED}")
    try:
        return thing(**{name: _value(text) for name, text in texts.items()})
    except CostModelError:
        raise
    except Exception as error:
        how = f"with {', '.join(texts)}" if texts else "without arguments"
        raise DataError(
            f"{spec}: calling it {how} failed: {type(error).__name__}: {error}"
        ) from error


def _value(text: str) -> Any:
    """Return a parameter as a number, Boolean or text.

    >>> _value("3"), _value("0.5"), _value("true"), _value("same")
    (3, 0.5, True, 'same')
    """
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_WANTED = (
    "expected a callable that returns an op graph, (torch module, example inputs), or a module "
    "with example_inputs"
)


def _as_graph(spec: str, made: Any, strict: bool, given: Sequence[InputShape]) -> nx.DiGraph:
    if isinstance(made, nx.DiGraph):
        if given:
            raise DataError(f"{spec}: a graph has fixed input shapes; leave --input out")
        validate(made)
        return made
    if isinstance(made, tuple) and len(made) == 2 and _is_torch_module(made[0]):
        module, examples = made
    elif _is_torch_module(made):
        module, examples = made, getattr(made, "example_inputs", None)
    else:
        raise DataError(f"{spec}: got {type(made).__name__}; {_WANTED}")
    from costmodel.importers import from_torch

    if given:
        ordered = [_zeros(spec, shape) for shape in given if not shape.name]
        named = {shape.name: _zeros(spec, shape) for shape in given if shape.name}
        args, keywords = _bound(spec, module, ordered, named)
        return from_torch(module, *args, strict=strict, **keywords)
    if examples is None:
        raise DataError(
            f"{spec}: {type(module).__name__} has no example_inputs; give the shapes of its "
            "inputs, as in --input 1x3x224x224"
        )
    ready = examples if isinstance(examples, tuple | list) else (examples,)
    return from_torch(module, *ready, strict=strict)


def _bound(
    spec: str, module: Any, ordered: list[Any], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the inputs as ``forward`` expects them, by position where possible."""
    try:
        bound = inspect.signature(module.forward).bind(*ordered, **named)
    except TypeError as error:
        raise DataError(f"{spec}: the inputs do not fit forward: {error}") from None
    return bound.args, bound.kwargs


def _zeros(spec: str, given: InputShape) -> Any:
    """Return an example input."""
    import torch

    dtype = getattr(torch, given.dtype or "float32", None)
    if not isinstance(dtype, torch.dtype):
        raise DataError(f"{spec}: torch has no dtype {given.dtype!r}; write 1x128:int64")
    try:
        return torch.zeros(given.shape, dtype=dtype)
    except (RuntimeError, ValueError):
        raise DataError(f"{spec}: an input of shape {given.shape} does not fit memory") from None


def _is_torch_module(thing: Any) -> bool:
    """Return whether ``thing`` is a torch module, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)
