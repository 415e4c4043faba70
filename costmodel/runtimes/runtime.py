"""Runtimes: how a framework turns a network into kernels. One data file per runtime."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from costmodel import ops
from costmodel.errors import DataError, listed, suggest
from costmodel.kinds import GROUPS, KINDS
from costmodel.ops.elementwise import BINARY, TERNARY, UNARY
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.reading import MAX_TOML_BYTES, parse_toml, read_text
from costmodel.runtimes.arithmetic import Arithmetic, arithmetic_of
from costmodel.runtimes.layouts import layout_costs_of
from costmodel.runtimes.packs import Packs, packs_of

ALGORITHMS = {
    "gpu": ("implicit_gemm", "winograd", "fft"),
    "cpu": ("implicit_gemm", "winograd", "whole_winograd", "plain", "blocked"),
    "accelerator": ("implicit_gemm", "winograd"),
}
"""Algorithms of convolution, by kind of hardware (:mod:`costmodel.timing`)."""
GROUPED = ("batched", "serial")
"""Ways of running the groups of a convolution on a GPU."""
INSTRUCTION_SETS = ("arm", "x86")
"""Instruction sets of CPUs, for each of which an engine has kernels, and may have priors."""
SPLITS = ("dynamic", "static")
"""Ways of splitting a kernel among the cores of a CPU: work on demand, or equal shares."""
LAYOUTS = ("nhwc", "nchw")
"""Layouts of images in GPU memory: channels last, as tensor cores need them, or not."""
_PRIOR = {"value", "spread", "source"}
"""Fields of a prior that a runtime may change; the unit and the physical range are the model's."""
FOLLOWERS = (
    *("batch_norm", "copy", "unary", "nary", "prelu", "cast", "scalar"),
    *("norm", "softmax", "reduction"),
    *UNARY,
    *BINARY,
    *TERNARY,
)
"""Operators that can be fused behind a kernel: an element-wise operator by its kind (``"scalar"``:
with a number), or all of one tensor (``"unary"``) or of several (``"nary"``); operators over rows
by their kind, ``"reduction"`` if they leave one number per row."""
_TUPLES = (
    *("copies", "widened", "own_depthwise", "one_core"),
    *("layouts", "bias_apart", "autocast"),
)
ANCHORS = tuple(dict.fromkeys((*GROUPS, *KINDS, *UNARY, *BINARY, *TERNARY)))
"""Kernels that others can be fused behind: by group or kind, element-wise operators by kind."""


@dataclass(frozen=True, slots=True)
class FusionRule:
    """A rule: the operators that some kernels fuse behind them.

    Parameters
    ----------
    behind : tuple of str
        The kernels, names of :data:`ANCHORS`.
    takes : tuple of str
        The operators that join them, names of :data:`FOLLOWERS`.
    source : str
        Source of the rule.
    hardware : tuple of str
        The kinds of hardware that it holds on, names of :data:`ALGORITHMS`; empty for all.
    """

    behind: tuple[str, ...]
    takes: tuple[str, ...]
    source: str
    hardware: tuple[str, ...] = ()

    def holds(self, anchors: Iterable[str], hardware: str) -> bool:
        """Return whether it is for a kernel of any name in ``anchors``, on ``hardware``.

        Where the hardware is not known (``""``), the rules of all hardware hold.
        """
        somewhere = not (hardware and self.hardware) or hardware in self.hardware
        return somewhere and not set(anchors).isdisjoint(self.behind)


@dataclass(frozen=True)
class Runtime:
    """The rules by which a framework runs a network.

    Parameters
    ----------
    name, title : str
        Short and full name.
    source : str
        Source of the rules.
    dead_code : bool
        Whether operators that no output depends on are dropped.
    fold_constants : bool
        Whether values known before any input are computed in advance.
    fold_zero_products : bool
        Whether that includes products with zero (strictly, zero times infinity is not zero).
    fold_pools : bool
        Whether it includes pools of constants.
    scaled_weights : bool
        Whether a product with a number goes into the weights of the convolution or linear layer
        before it, if nothing else reads that: so this runs even if the number is zero.
    fused_attention : bool
        Whether attention is one kernel.
    fusion : tuple of FusionRule
        The operators that kernels fuse behind them.
    copies : tuple of str
        Operators that this runtime copies, although others treat them as views.
    algorithms : mapping of str to tuple of str
        The algorithms of convolution by kind of hardware; the runtime uses the fastest. On a CPU,
        ``plain`` and ``blocked`` are the layouts in which it reads images without a copy; the
        choice between the two follows fixed rules (:mod:`costmodel.timing.cpu_eager`);
        ``winograd`` transforms an image part by part, ``whole_winograd`` all of it before the
        products begin.
    asynchronous : bool
        Whether the host dispatches kernels ahead of the device.
    transfers : bool
        Whether the time of a network includes moving inputs and outputs to and from the device.
    grouped : {"batched", "serial"}
        Whether the groups of a convolution on a GPU run in one kernel or one after the other.
    layout : {"nhwc", "nchw"}
        Default layout of images between kernels, on a GPU and where the library of a CPU gets
        images in the caller's layout.
    generated : bool
        Whether a compiler generates all kernels except products: values of a kernel stay in
        registers, also those that other kernels read, and short rows are read once.
    fused_masks : bool
        Whether attention is one kernel even if a mask or positions are added to the scores.
    cublas_lt : bool
        Whether linear layers on a GPU call cuBLASLt, which adds a bias, in place of cuBLAS.
    paged_attention : bool
        Whether causal attention and single queries read keys and values from a cache of pages, as
        engines that serve language models do.
    own_depthwise : tuple of str
        The dtypes in which depthwise convolutions of NCHW images on a GPU use the framework's own
        kernel instead of a library's.
    split : {"dynamic", "static"}
        Whether cores of a CPU fetch more work when they are done, or all get equal parts and wait
        for the slowest.
    sleeps : bool
        Whether threads on a CPU sleep between kernels, instead of spinning.
    one_core : tuple of str
        Kinds of kernel that always run on one core of a CPU.
    priors : mapping
        Priors of the time model that this runtime changes, by kind of hardware, each with its own
        ``source`` or that of its table. Those of an instruction set precede those of ``cpu``.
    packs : Packs, optional
        How a CPU engine packs channels; None if images stay in the layout of its kernels.
    arithmetic : Arithmetic
        Narrow arithmetic that a CPU engine has kernels for. This table and ``packs`` may be
        ``like`` that of another runtime, and give only the fields that differ.
    widened : tuple of str
        Dtypes without kernels: such tensors are computed in float32, and cast at the beginning and
        the end of a network.
    last_axis_softmax : bool
        Whether a softmax over an axis other than the last one transposes before and after it.
    layouts : tuple of str
        The layouts of images that a platform may request, where ``layout`` applies.
    layout_costs : mapping of str to float
        For a compiler that chooses the layout of images on a GPU by network: the expected time of
        convolutions in NHWC over that in NCHW, by class; empty if it does not choose. [1]
    bias_apart : tuple of str
        Kinds of hardware on which a separate kernel adds the bias of a library's convolution, and
        does what joins the convolution.
    autocast : tuple of str
        The dtypes of its automatic mixed precision; empty if it has none.
    like : str
        The runtime whose rules and priors it has where its file gives no others, ``""`` for none.
    """

    name: str
    title: str
    source: str
    dead_code: bool
    fold_constants: bool
    fold_zero_products: bool
    fold_pools: bool
    scaled_weights: bool
    fused_attention: bool
    fusion: tuple[FusionRule, ...]
    copies: tuple[str, ...]
    algorithms: Mapping[str, tuple[str, ...]]
    asynchronous: bool
    transfers: bool
    grouped: str
    layout: str
    generated: bool
    fused_masks: bool
    cublas_lt: bool
    paged_attention: bool
    own_depthwise: tuple[str, ...]
    split: str
    sleeps: bool
    one_core: tuple[str, ...]
    priors: Mapping[str, Mapping[str, Mapping[str, Any]]]
    packs: Packs | None
    arithmetic: Arithmetic
    widened: tuple[str, ...]
    last_axis_softmax: bool
    layouts: tuple[str, ...]
    layout_costs: Mapping[str, float]
    bias_apart: tuple[str, ...]
    autocast: tuple[str, ...]
    like: str

    @property
    def engine(self) -> str:
        """Name of the runtime whose kernels it runs.

        Examples
        --------
        >>> load_runtime("tflite-toco").engine
        'tflite-ruy'
        """
        return self.like or self.name

    def chooses_layout(self, hardware: str) -> bool:
        """Return whether images on a kind of hardware have the layout that the caller gives them.

        On a CPU these are the runtimes whose library reads images without a copy.

        Examples
        --------
        >>> eager, compiled = load_runtime("torch-eager"), load_runtime("torch-compile")
        >>> eager.chooses_layout("cpu"), compiled.chooses_layout("cpu")
        (True, False)
        """
        if hardware == "cpu" and "plain" not in self.algorithms.get("cpu", ()):
            return False
        return hardware != "accelerator" and bool(self.layouts)

    def takes_channels_last(self, hardware: str) -> bool:
        """Return whether the caller gives images with the channels last to a library of a CPU.

        Examples
        --------
        >>> load_runtime("torch-eager").takes_channels_last("cpu")
        False
        """
        return hardware == "cpu" and self.layout == "nhwc" and self.chooses_layout(hardware)

    def taken_behind(self, *anchors: str, hardware: str = "") -> frozenset[str]:
        """Return the operators that fuse behind a kernel described by any name in ``anchors``."""
        found = self._taken.get((hardware, anchors))
        if found is None:
            rules = (r.takes for r in self.fusion if r.holds(anchors, hardware))
            found = self._taken[hardware, anchors] = frozenset().union(*rules)
        return found

    @cached_property
    def _taken(self) -> dict[tuple[str, tuple[str, ...]], frozenset[str]]:
        return {}


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
    """Return the fields of a file, those that it leaves out from the runtime that it is like.

    Its priors change single ones of that runtime.
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
        return data  # it is refused as what it is
    priors = {
        kind: _sourced(table, f"{like}: priors.{kind}")
        for kind, table in other.get("priors", {}).items()
    }
    for kind, table in own.items():
        priors[kind] = priors.get(kind, {}) | _sourced(table, f"{name}: priors.{kind}")
    return {**other, **data, "priors": priors}


def _table(table: dict[str, Any], field: str, file: str) -> dict[str, Any]:
    """Return the fields of a table; those that it leaves out are of the runtime it is like."""
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
