"""ONNX Runtime on the processor: the same graphs as ONNX models, all graph optimizations on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import networkx as nx
import numpy as np
import onnxruntime
import torch

from costmodel.errors import CostModelError

from ..errors import MeasuringError
from ..measuring.backend import PLAIN, KernelTiming, Label, Settings
from ..measuring.clock import Plan, Subject, Timing
from ..measuring.confirming import confirm_here
from ..measuring.host import describe_host
from ..measuring.journal import NO_JOURNAL, Journal
from ..measuring.platforms import platform_name
from .graph_to_torch import check_outputs, random_inputs, to_torch
from .in_turns import kernels_alone, networks_in_turns
from .onnx_export import to_onnx

RUNTIME = "onnxruntime"
TOLERANCE = 1e-3
"""Largest difference to torch, as a share of the largest output: sums run in another order. [1]"""


class OnnxRuntimeBackend:
    """Runs op graphs in ONNX Runtime (see :class:`~validation.measuring.backend.Backend`)."""

    name = "onnxruntime"
    among_others = False
    own_process = True
    label: Label = "measured"

    def describe(self, settings: Settings) -> dict[str, str]:
        """Return the machine and the versions of the software."""
        return describe_host("onnxruntime", "torch", "numpy")

    def platform(self, settings: Settings) -> str:
        """Return this host with ONNX Runtime."""
        return platform_name("host", RUNTIME, settings)

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        """Refuse a platform that is not this machine with this runtime.

        Raises
        ------
        MeasuringError
        """
        confirm_here(name, self, settings)

    def check_settings(self, settings: Settings) -> None:
        """Refuse settings that are not honoured, each by its name.

        Raises
        ------
        MeasuringError
        """
        _check(settings)

    def measure_networks(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal = NO_JOURNAL,
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Time whole networks in turns; yield each as soon as it is done or has failed."""
        yield from networks_in_turns(graphs, settings, plan, journal, _subject)

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        """Time every kernel alone, those that are alike only once."""
        return kernels_alone(graph, settings, plan, RUNTIME, _subject)


def _subject(name: str, graph: nx.DiGraph, settings: Settings) -> Subject:
    """Return a network ready to be timed; its outputs have been compared with torch's."""
    _check(settings)
    try:
        call, found, wanted = _loaded(graph, settings)
    except CostModelError as error:
        raise MeasuringError(f"{name}: {error}") from None
    except Exception as error:  # exporter and runtime raise many kinds; each is one sentence here
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise MeasuringError(f"{name}: ONNX Runtime cannot run it: {text[0]}") from error
    check_outputs(graph, [torch.from_numpy(y) for y in found])
    if settings.dtype == "float32":
        _compare(name, found, wanted)
    return Subject(name, call)


_DTYPES = {"float32": torch.float32, "float16": torch.float16}


def _check(settings: Settings) -> None:
    """Refuse settings that are not honoured, each by its name."""
    own = settings.dtype if settings.dtype in _DTYPES else "float32"
    refused = settings.unlike(Settings(threads=settings.threads, dtype=own))
    if refused:
        raise MeasuringError(
            f"onnxruntime cannot honour {', '.join(refused)}: it runs on the processor, as its "
            f"networks are written, in {' or '.join(_DTYPES)}, with warm caches"
        )


def _loaded(
    graph: nx.DiGraph, settings: Settings
) -> tuple[Callable[[], object], Sequence[np.ndarray], Sequence[np.ndarray]]:
    """Return what runs a network once, its outputs, and torch's."""
    dtype = _DTYPES[settings.dtype]
    module = to_torch(graph).to(dtype)
    inputs = random_inputs(graph, dtype)
    with torch.inference_mode():
        wanted = [y.numpy() for y in module(*inputs)]
    session = load_session(to_onnx(module, inputs), settings.threads)
    fed = {known.name for known in session.get_inputs()}
    # An input that nothing depends on is not among those of the model.
    feed = {f"x{i}": x.numpy() for i, x in enumerate(inputs) if f"x{i}" in fed}
    call: Callable[[], object] = lambda: session.run(None, feed)  # noqa: E731
    return call, session.run(None, feed), wanted


def load_session(model: bytes, threads: int, optimized: str = "") -> onnxruntime.InferenceSession:
    """Return a session on the processor, all graph optimizations on.

    Parameters
    ----------
    model : bytes
        The ONNX model.
    threads : int
        Threads of an operator; operators run one after the other.
    optimized : str
        Where the model that really runs is written; ``""`` for nowhere.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if optimized:
        options.optimized_model_filepath = optimized
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _compare(name: str, found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> None:
    """Raise unless all outputs are torch's, to rounding.

    Raises
    ------
    MeasuringError
    """
    for y, z in zip(found, wanted, strict=True):
        if not z.size:
            continue
        error = float(np.max(np.abs(y.astype(float) - z)) / max(1e-30, float(np.max(np.abs(z)))))
        if not error <= TOLERANCE:
            raise MeasuringError(
                f"{name}: an output of ONNX Runtime differs from torch's by {error:.1e} of the "
                f"largest value, more than {TOLERANCE:g}"
            )
