"""Reading of runtimes: one data file per runtime, checked field by field."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from costmodel import ops
from costmodel.errors import DataError, listed, suggest
from costmodel.kinds import KINDS
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.reading import MAX_TOML_BYTES, parse_toml, read_text
from costmodel.runtimes.arithmetic import arithmetic_of
from costmodel.runtimes.layouts import layout_costs_of
from costmodel.runtimes.packs import packs_of
from costmodel.runtimes.runtime import (
    ALGORITHMS,
    ANCHORS,
    FOLLOWERS,
    GROUPED,
    INSTRUCTION_SETS,
    LAYOUTS,
    SPLITS,
    FusionRule,
    Runtime,
)

_PRIOR = {"value", "spread", "source"}
"""Fields of a prior that a runtime may change; the unit and the physical range are the model's."""
_TUPLES = (
    *("copies", "widened", "own_depthwise", "one_core"),
    *("layouts", "bias_apart", "bias_always", "autocast"),
)


def runtime_names() -> list[str]:
    """Return the names of the runtimes that come with the package.

    Examples
    --------
    >>> "torch-eager" in runtime_names()
    True
    """
    files = resources.files(__package__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_runtime(name: str) -> Runtime:
    """Return a runtime by name, or from a TOML file.

    Raises
    ------
    DataError
        If there is none, or a field is missing or wrong.

    Examples
    --------
    >>> load_runtime("torch-eager").fusion
    ()
    >>> sorted(load_runtime("tflite").taken_behind("linear"))
    ['batch_norm', 'hard_tanh', 'relu', 'relu6']
    """
    # A user's file may have changed since it was read.
    return _read(name, Path(name)) if name.endswith(".toml") else _shipped(name)


def _unknown(name: str) -> str:
    """Say that there is no such runtime: those that hold the name, near ones, or all."""
    low, names = name[:100].lower(), runtime_names()
    words = [other for other in names if low and (low in other or other in low)]
    close = words or difflib.get_close_matches(low, names, n=3)
    if close:
        return f"unknown runtime {name!r}; did you mean {' or '.join(close)}?"
    return f"unknown runtime {name!r}; costmodel platforms lists them, such as {listed(names, 3)}"


@cache
def _shipped(name: str) -> Runtime:
    if name not in runtime_names():
        raise DataError(_unknown(name))
    return _read(name, _path(name))


def _path(name: str) -> Path:
    return Path(str(resources.files(__package__) / f"{name}.toml"))


def _read(name: str, path: Path) -> Runtime:
    runtime = _runtime(_data(name, path), name)
    stem = Path(name).name.removesuffix(".toml")
    if runtime.name != stem:
        raise DataError(
            f"{name}: its name is {runtime.name!r} but must be {stem!r}, the name of the file"
        )
    return runtime


def _data(name: str, path: Path) -> dict[str, Any]:
    """Return the fields of a file; those that it leaves out are of the runtime that it is like.

    A prior of the file takes the place of that runtime's prior of the same name.
    """
    try:
        data = parse_toml(read_text(path, MAX_TOML_BYTES))
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    for field in ("packs", "arithmetic"):
        if isinstance(data.get(field), dict) and "like" in data[field]:
            data[field] = _table(data[field], field, name)
    like = data.get("like")
    if not (like and isinstance(like, str)):
        return data
    other, own = _other(like, f"{name}: like"), data.get("priors", {})
    if not isinstance(own, dict):
        return data  # _runtime refuses it
    priors = {
        kind: _sourced(table, f"{like}: priors.{kind}")
        for kind, table in other.get("priors", {}).items()
    }
    for kind, table in own.items():
        priors[kind] = priors.get(kind, {}) | _sourced(table, f"{name}: priors.{kind}")
    return {**other, **data, "priors": priors}


def _table(table: dict[str, Any], field: str, file: str) -> dict[str, Any]:
    """Return the fields of a table; those that it leaves out are of the runtime that it is like."""
    own = dict(table)
    where = f"{file}: {field}.like"
    like = own.pop("like")
    other = _other(like, where)
    if field not in other:
        raise DataError(f"{where}: runtime {like!r} has no table {field}")
    return {**other[field], **own}


def _other(name: Any, where: str) -> dict[str, Any]:
    """Return the fields of a runtime that a file or one of its tables is like."""
    if not isinstance(name, str):
        raise DataError(f"{where} must be the name of a runtime, got {name!r}")
    if name not in runtime_names():
        raise DataError(f"{where}: {_unknown(name)}")
    return _data(name, _path(name))


def _runtime(data: dict[str, Any], file: str) -> Runtime:
    fields: dict[str, tuple[type, Any]] = {
        name: (kind, default)
        for name, kind, default in (
            ("name", str, None),
            ("title", str, None),
            ("source", str, None),
            ("dead_code", bool, False),
            ("fold_constants", bool, False),
            ("fold_zero_products", bool, True),
            ("fold_pools", bool, True),
            ("scaled_weights", bool, False),
            ("fused_attention", bool, True),
            ("fusion", list, []),
            ("copies", list, []),
            ("algorithms", dict, {}),
            ("asynchronous", bool, False),
            ("transfers", bool, False),
            ("grouped", str, "batched"),
            ("layout", str, "nhwc"),
            ("generated", bool, False),
            ("fused_masks", bool, False),
            ("cublas_lt", bool, False),
            ("paged_attention", bool, False),
            ("own_depthwise", list, []),
            ("split", str, "dynamic"),
            ("sleeps", bool, False),
            ("one_core", list, []),
            ("priors", dict, {}),
            ("packs", dict, {}),
            ("arithmetic", dict, {}),
            ("widened", list, []),
            ("last_axis_softmax", bool, False),
            ("layouts", list, []),
            ("layout_costs", dict, {}),
            ("bias_apart", list, []),
            ("bias_always", list, []),
            ("autocast", list, []),
            ("like", str, ""),
        )
    }
    unknown = set(data) - set(fields)
    if unknown:
        raise DataError(f"{file}: unknown field {min(unknown)}; {suggest(min(unknown), fields)}")
    values: dict[str, Any] = {}
    for field, (kind, default) in fields.items():
        value = data.get(field, default)
        if not isinstance(value, kind):
            raise DataError(f"{file}: {field} must be a {kind.__name__}, got {value!r}")
        values[field] = value
    for key, value in values["algorithms"].items():
        if not isinstance(value, list):
            raise DataError(f"{file}: algorithms.{key} must be a list, got {value!r}")
    values["fusion"] = _fusion(values["fusion"], file)
    values["layout_costs"] = layout_costs_of(values["layout_costs"], file)
    values["packs"] = packs_of(values["packs"], file)
    values["arithmetic"] = arithmetic_of(values["arithmetic"], file)
    _check_names(values, file)
    for field in _TUPLES:
        values[field] = tuple(values[field])
    values["algorithms"] = {key: tuple(value) for key, value in values["algorithms"].items()}
    values["priors"] = {
        kind: _sourced(table, f"{file}: priors.{kind}") for kind, table in values["priors"].items()
    }
    return Runtime(**values)


def _fusion(rules: list[Any], file: str) -> tuple[FusionRule, ...]:
    """Return the fusion rules; every one names its source."""
    checked = []
    for number, rule in enumerate(rules, 1):
        where = f"{file}: fusion rule {number}"
        if not isinstance(rule, dict) or set(rule) - {"hardware"} != {"behind", "takes", "source"}:
            raise DataError(
                f"{where} must have the fields behind, takes, source and at most hardware beside "
                f"them, got {rule!r}"
            )
        for field in rule.keys() - {"source"}:
            if not isinstance(rule[field], list) or not rule[field]:
                raise DataError(f"{where}: {field} must be a list of names, got {rule[field]!r}")
        if not isinstance(rule["source"], str) or not rule["source"].strip():
            raise DataError(f"{where}: source must say where the rule is known from")
        _check(rule["behind"], ANCHORS, f"{where}: behind")
        _check(rule["takes"], FOLLOWERS, f"{where}: takes")
        hardware = rule.get("hardware", [])
        _check(hardware, tuple(ALGORITHMS), f"{where}: hardware")
        source = " ".join(rule["source"].split())
        behind, takes = tuple(rule["behind"]), tuple(rule["takes"])
        checked.append(FusionRule(behind, takes, source, tuple(hardware)))
    return tuple(checked)


def _sourced(table: Any, where: str) -> dict[str, dict[str, Any]]:
    """Return the priors of a table, each with its own source or that of the table."""
    if not isinstance(table, dict):
        raise DataError(f"{where} must be a table, got {table!r}")
    found = {}
    for name, entry in table.items():
        if name == "source":
            continue
        if not isinstance(entry, dict):
            raise DataError(f"{where}.{name} must be a table with a value, got {entry!r}")
        if wrong := sorted(entry.keys() - _PRIOR) or ({"value"} - entry.keys()):
            raise DataError(
                f"{where}.{name} must have a value, and at most a spread and a source beside it; "
                f"see {min(wrong)!r}"
            )
        source = entry.get("source", table.get("source"))
        if not (isinstance(source, str) and source.strip()):
            raise DataError(f"{where}.{name} has no source; give one to it or to its table")
        found[name] = {**entry, "source": " ".join(source.split())}
    return found


def _check_names(values: dict[str, Any], file: str) -> None:
    """Raise if a table of a runtime contains an unknown name."""
    for kind, algorithms in values["algorithms"].items():
        _check((kind,), tuple(ALGORITHMS), f"{file}: algorithms.{kind}")
        _check(algorithms, ALGORITHMS[kind], f"{file}: algorithms.{kind}")
    views = sorted(name for name in ops.__all__ if getattr(getattr(ops, name), "is_view", False))
    _check(values["copies"], tuple(views), f"{file}: copies")
    _check(values["priors"], (*ALGORITHMS, *INSTRUCTION_SETS), f"{file}: priors")
    _check((values["grouped"],), GROUPED, f"{file}: grouped")
    _check((values["layout"],), LAYOUTS, f"{file}: layout")
    _check(values["bias_apart"], tuple(ALGORITHMS), f"{file}: bias_apart")
    _check(values["bias_always"], tuple(values["bias_apart"]), f"{file}: bias_always")
    _check(values["layouts"], LAYOUTS, f"{file}: layouts")
    _check(values["widened"], tuple(DTYPE_BYTES), f"{file}: widened")
    _check(values["autocast"], tuple(DTYPE_BYTES), f"{file}: autocast")
    _check(values["own_depthwise"], tuple(DTYPE_BYTES), f"{file}: own_depthwise")
    _check((values["split"],), SPLITS, f"{file}: split")
    _check(values["one_core"], tuple(KINDS), f"{file}: one_core")


def _check(names: Iterable[Any], allowed: tuple[str, ...], where: str) -> None:
    for name in names:
        if name not in allowed:
            raise DataError(f"{where}: {name!r} is unknown; {suggest(name, allowed)}")
