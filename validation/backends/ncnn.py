"""ncnn: the kernels of an optimized inference engine for the same graphs, on ARM and x86."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import ncnn
import networkx as nx
import numpy as np

from ..arm.bench.program import Shape
from ..arm.checks.reference import WEIGHT, uniform
from ..arm.translate.lower import lower
from ..errors import MeasuringError
from ..measuring.backend import PLAIN, KernelTiming, Label, Settings
from ..measuring.clock import Plan, Subject, Timing
from ..measuring.confirming import confirm_here
from ..measuring.host import describe_host
from ..measuring.journal import NO_JOURNAL, Journal
from ..measuring.platforms import platform_name
from .in_turns import kernels_alone, networks_in_turns
from .ncnn_model import NcnnModel, to_ncnn

RUNTIME = "ncnn"


class NcnnBackend:
    """Runs op graphs in ncnn (see :class:`~validation.measuring.backend.Backend`)."""

    name = "ncnn"
    among_others = False
    own_process = True
    label: Label = "measured"

    def describe(self, settings: Settings) -> dict[str, str]:
        """Return the machine and the versions of the software."""
        return describe_host("ncnn", "numpy")

    def platform(self, settings: Settings) -> str:
        """Return this host with ncnn."""
        return platform_name("host", RUNTIME, settings)

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        """Refuse a platform that is not this machine with this runtime.

        Raises
        ------
        MeasuringError
        """
        confirm_here(name, self, settings)

    def check_settings(self, settings: Settings) -> None:
        """Refuse settings that are not honoured, each by its name."""
        _check(settings)

    def check_graph(self, graph: nx.DiGraph, settings: Settings) -> None:
        """Refuse a network before anything is measured.

        Raises
        ------
        CostModelError
            If ncnn has no layer for an operator, or a setting is not honoured.
        """
        _check(settings)
        to_ncnn(lower(graph))

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


class ArmNcnnBackend(NcnnBackend):
    """The same on an ARM host, and nowhere else: on x86 its kernels are others.

    Raises
    ------
    MeasuringError
        If this machine is none.
    """

    name = "arm:ncnn"

    def __init__(self) -> None:
        if platform.machine() not in ("aarch64", "arm64"):
            raise MeasuringError(
                f"arm:ncnn needs an ARM machine, this is {platform.machine()}: use ncnn with "
                "--platform host/ncnn, or ncnn:ssh://user@host for a board"
            )


def _check(settings: Settings) -> None:
    """Refuse settings that are not honoured, each by its name."""
    refused = settings.unlike(Settings(threads=settings.threads, cores=settings.cores))
    if refused:
        raise MeasuringError(
            f"ncnn cannot honour {', '.join(refused)}: it runs on the processor, as its networks "
            "are written, in float32, with warm caches"
        )


def _subject(name: str, graph: nx.DiGraph, settings: Settings) -> Subject:
    """Return a network ready to be timed; its outputs have been checked for NaN."""
    _check(settings)
    model = to_ncnn(lower(graph))
    call = load_model(model, settings.threads)
    for (_, shape), mat in zip(model.outputs.values(), call(), strict=True):
        found = np.array(mat)
        if found.size != np.prod(shape):
            raise MeasuringError(f"{name}: ncnn returns {found.size} elements, not {shape}")
        if not np.isfinite(found).all():
            raise MeasuringError(f"{name}: an output holds NaN or infinity")
    return Subject(name, call)


def load_model(model: NcnnModel, threads: int) -> Callable[[], list[ncnn.Mat]]:
    """Load a model; the function returned runs it once and returns its outputs, in order."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param_mem(model.param) != 0:
        raise MeasuringError("ncnn does not read the model that was written for it")
    # From a file ncnn copies the weights; in memory it would point into what Python frees.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.bin"
        file.write_bytes(model.weights)
        if net.load_model(str(file)) != 0:
            raise MeasuringError("ncnn does not read the weights that were written for it")
    inputs = {blob: _mat(*filling) for blob, filling in model.inputs.items()}

    def call() -> list[ncnn.Mat]:
        extractor = net.create_extractor()
        for blob, mat in inputs.items():
            extractor.input(blob, mat)
        found = []
        for blob in model.outputs:
            code, mat = extractor.extract(blob)
            if code != 0:
                raise MeasuringError(f"ncnn cannot run the network (code {code})")
            found.append(mat)
        return found

    return call


def _mat(seed: int, shape: Shape, scale: int) -> ncnn.Mat:
    """Return random numbers in memory of ncnn's own, aligned as it likes."""
    values = uniform(seed, WEIGHT, int(np.prod(shape))) * np.float32(scale)
    vector = shape[2:] == (1, 1)
    return ncnn.Mat(values if vector else values.reshape(shape[1:])).clone()
