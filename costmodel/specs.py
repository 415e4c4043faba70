"""Networks by a line of text: what the command line and measurement tables name them by.

==========================================  =====================================================
``shufflenet_v2?width=1.5&size=224``        a function of the zoo and its parameters
``pointwise?h=56&c1=c``                     the same with symbols, ``dim:`` before longer ones
``folder/graph.json``                       a saved op graph
``folder/model.onnx``                       an ONNX file
``python:package.module:callable``          a callable of a module or of ``folder/file.py`` that
                                            returns a graph or a torch module with example inputs
==========================================  =====================================================
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import networkx as nx

from costmodel.algebra.symbols import dim
from costmodel.errors import CostModelError, DataError
from costmodel.graph import validate
from costmodel.reading import is_file
from costmodel.zoo.parameters import accepted, check_names, parse_value
from costmodel.zoo.registry import build, find

MAX_LENGTH = 4096
"""Longest text that names a network: as long as a path may be. [character]"""
FORMS = (
    "a name of the zoo as in 'shufflenet_v2?width=1.5', a file ending in .json or .onnx, or "
    "'python:module:callable'"
)


def network(spec: str, strict: bool = True) -> nx.DiGraph:
    """Return the op graph that ``spec`` names.

    Parameters
    ----------
    spec : str
        One of the forms of :mod:`costmodel.specs`.
    strict : bool
        Whether an operator that is not known is refused; else the graph carries its coverage.

    Raises
    ------
    DataError
        If the text is of no form, or a name, parameter or file is wrong; says which.
    CostModelError
        What reading the file or importing the module raises.

    Notes
    -----
    Sizes may be integers, symbols or expressions such as ``32*m``. A symbol is a letter with or
    without a number (``c``, ``c1``) or the name of a parameter (``size=size``); ``dim:`` before a
    size makes any other word a symbol: ``size=dim:pixels``. A size that a zoo function requires and
    that is not given becomes the symbol of its own name.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(network("pointwise"))
    c1*c2 + h*w*(c1 + c2)
    >>> cm.flops(network("shufflenet_v2?width=1.5&size=224"))
    298970656
    >>> network("shufflenet_v2?widht=1.5")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: shufflenet_v2 has no parameter 'widht'; it takes width, size, ...
    """
    if not isinstance(spec, str):
        raise DataError(f"a network should be a text, got {type(spec).__name__}: give {FORMS}")
    if len(spec) > MAX_LENGTH:
        raise DataError(f"a network of {len(spec)} characters is too long (at most {MAX_LENGTH})")
    text = spec.strip()
    if text.startswith("python:"):
        return _from_python(text, strict)
    head, question, query = text.partition("?")
    suffix = Path(head).suffix.lower()
    if suffix in (".json", ".onnx"):
        return _from_file(Path(text), strict)
    if not text or "/" in head or "\\" in head or suffix:
        raise DataError(f"cannot tell what network {spec!r} is: give {FORMS}")
    return from_zoo(head, query if question else "")


def from_zoo(name: str, query: str = "") -> nx.DiGraph:
    """Return a network of the zoo with parameters written as ``key=value&key=value``.

    Parameters
    ----------
    name : str
        A key of :data:`costmodel.zoo.NETWORKS`.
    query : str
        The parameters; values are read by the type of the parameter.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.flops(from_zoo("conv2d", "cin=c&cout=c&k=1&size=56"))
    3136*c**2
    """
    function = find(name)
    texts = _split_query(name, query)
    check_names(name, function, list(texts))
    parameters = accepted(function)
    values = {k: parse_value(name, k, parameters[k], text) for k, text in texts.items()}
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty
        if required and key not in values and parameter.annotation == "Dim":
            values[key] = dim(key)
    return build(name, **values)


def _split_query(name: str, query: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise DataError(f"{name}: parameter {part!r} should be written as name=value")
        if key in texts:
            raise DataError(f"{name}: parameter {key!r} is given twice")
        texts[key] = value
    return texts


def _from_file(path: Path, strict: bool) -> nx.DiGraph:
    if not is_file(path):
        # A device or a folder is told by what reads it.
        if not os.path.exists(path):
            raise DataError(f"{path}: no such file")
        if path.is_dir():
            raise DataError(f"{path}: is a folder")
    if path.suffix.lower() == ".json":
        from costmodel.graph.serialize import load

        return load(path)
    from costmodel.importers import from_onnx

    return from_onnx(path, strict=strict)


def _from_python(spec: str, strict: bool) -> nx.DiGraph:
    where, colon, name = spec.removeprefix("python:").rpartition(":")
    if not colon or not where or not name:
        raise DataError(f"{spec!r} should be python:module:callable or python:file.py:callable")
    with _importing_from_here():
        made = _call(spec, _attribute(spec, _import(spec, where), name))
        return _as_graph(spec, made, strict)


@contextlib.contextmanager
def _importing_from_here() -> Iterator[None]:
    """Put the current folder first on the import path for the time of the ``with`` block."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        # The module that was run may have changed the path itself.
        if here in sys.path:
            sys.path.remove(here)


def _import(spec: str, where: str) -> ModuleType:
    try:
        if where.endswith(".py"):
            return _import_file(Path(where))
        return importlib.import_module(where)
    except CostModelError:
        raise
    except Exception as error:
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
    sys.modules[name] = module  # dataclasses and torch.export look their module up by name
    found.loader.exec_module(module)
    return module


def _attribute(spec: str, module: ModuleType, name: str) -> Any:
    made = getattr(module, name, None)
    if made is None:
        public = [key for key in vars(module) if not key.startswith("_")]
        close = difflib.get_close_matches(name, public) or public[:8]
        raise DataError(f"{spec}: {module.__name__} has no {name!r}; it has {', '.join(close)}")
    return made


def _call(spec: str, thing: Any) -> Any:
    """Return what a callable returns; a graph, a torch module or a pair is taken as it is."""
    if isinstance(thing, nx.DiGraph | tuple) or _is_torch_module(thing):
        return thing
    if not callable(thing):
        raise DataError(f"{spec}: {type(thing).__name__} is not callable; {_WANTED}")
    try:
        return thing()
    except CostModelError:
        raise
    except Exception as error:
        raise DataError(
            f"{spec}: calling it without arguments failed: {type(error).__name__}: {error}"
        ) from error


_WANTED = (
    "wanted is a callable that returns an op graph, (torch module, example inputs), or a torch "
    "module with an attribute example_inputs"
)


def _as_graph(spec: str, made: Any, strict: bool) -> nx.DiGraph:
    if isinstance(made, nx.DiGraph):
        validate(made)
        return made
    if isinstance(made, tuple) and len(made) == 2 and _is_torch_module(made[0]):
        module, inputs = made
    elif _is_torch_module(made):
        module, inputs = made, getattr(made, "example_inputs", None)
        if inputs is None:
            raise DataError(f"{spec}: {type(made).__name__} has no example_inputs; {_WANTED}")
    else:
        raise DataError(f"{spec}: got {type(made).__name__}; {_WANTED}")
    from costmodel.importers import from_torch

    given = inputs if isinstance(inputs, tuple | list) else (inputs,)
    return from_torch(module, *given, strict=strict)


def _is_torch_module(thing: Any) -> bool:
    """Say whether ``thing`` is a torch module, without importing torch where nobody has."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)
