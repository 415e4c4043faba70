"""PyTorch: eager, compiled and CUDA graphs, on the processor and on NVIDIA GPUs."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Literal

import networkx as nx
import torch

from costmodel.errors import CostModelError
from costmodel.kernels.lowering import lower
from costmodel.runtimes import load_runtime

from ..errors import MeasuringError, OutOfMemoryError
from ..measuring.backend import PLAIN, KernelTiming, Settings
from ..measuring.clock import CpuTimer, Plan, Probe, Subject, Timer, Timing, measure
from ..measuring.confirming import confirm_here
from ..measuring.host import describe_host, lacks_memory, pinned
from ..measuring.journal import NO_JOURNAL, Journal
from ..measuring.platforms import platform_name
from .alone import Alone, cut_out
from .cuda import CudaTimer, captured, gpu_hardware
from .graph_to_torch import (
    check_outputs,
    random_inputs,
    to_torch,
)
from .others import Others
from .torch_emitter import DTYPES

RUNTIMES = {"eager": "torch-eager", "compile": "torch-compile", "graphs": "cuda-graphs"}
"""The runtime (:mod:`costmodel.runtimes`) of each mode."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_PROBE_SIZE = 80  # rows of the matrices of a probe: 10 to 100 us of arithmetic
_FLUSH_BYTES = 2**28  # more than any last-level cache of a core or GPU at hand


class TorchBackend:
    """Runs op graphs in PyTorch (see :class:`~validation.measuring.backend.Backend`)."""

    name = "torch"
    among_others = True
    own_process = True
    label: Literal["measured"] = "measured"

    def describe(self, settings: Settings) -> dict[str, str]:
        """Return the machine and the versions of the software."""
        found = describe_host("torch", "numpy")
        found["torch threads"] = str(settings.threads)
        if settings.device == "cuda" and torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
            found["cuda"] = str(torch.version.cuda)
            found["cudnn"] = str(torch.backends.cudnn.version())
        return found

    def platform(self, settings: Settings) -> str:
        """Return this host or the GPU at hand with the runtime of the mode.

        Raises
        ------
        MeasuringError
            If the GPU is not known.
        """
        if settings.device == "cpu":
            # CUDA graphs are refused there, but only when it comes to measuring.
            mode = "eager" if settings.mode == "graphs" else settings.mode
            return platform_name("host", RUNTIMES[mode], settings)
        runtime = RUNTIMES[settings.mode]
        return platform_name(gpu_hardware(torch.cuda, runtime), runtime, settings)

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        """Refuse a platform that is not this machine with this runtime.

        Raises
        ------
        MeasuringError
        """
        confirm_here(name, self, settings)

    def check_settings(self, settings: Settings) -> None:
        """Refuse settings that this machine or this build of torch does not have.

        Raises
        ------
        MeasuringError
        """
        _refuse(settings)

    def measure_networks(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal = NO_JOURNAL,
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Time whole networks in turns; yield each as soon as it is done or has failed."""
        with session(settings) as timer:
            subjects = []
            for name, graph in graphs.items():
                journal.begin(name)
                try:
                    subjects.append(prepare(name, graph, settings))
                except MeasuringError as error:
                    yield name, error
            yield from measure(subjects, plan, timer, journal)
        gc.collect()

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        """Time every kernel alone, as the runtime of the mode cuts the network into kernels."""
        kernels = lower(graph, load_runtime(RUNTIMES[settings.mode]))
        cuts = {kernel.name: cut_out(graph, kernel) for kernel in kernels}
        first = {cut.signature: name for name, cut in reversed(cuts.items())}
        with session(settings) as timer:
            subjects = [
                prepare(name, cuts[name].body, settings, cuts[name]) for name in first.values()
            ]
            timings = dict(measure(subjects, plan, timer))
        return tuple(
            KernelTiming(k.name, k.kind, timings[first[cuts[k.name].signature]]) for k in kernels
        )


@contextlib.contextmanager
def session(settings: Settings) -> Iterator[Timer]:
    """Bind threads to cores and set torch up as ``settings`` say; undo it afterwards.

    Raises
    ------
    MeasuringError
        If this machine or this build of torch cannot do what is asked.
    """
    _refuse(settings)
    with ExitStack() as stack:
        stack.enter_context(pinned(settings.threads))
        keep_freed_memory()
        threads = torch.get_num_threads()
        torch.set_num_threads(settings.threads)
        stack.callback(torch.set_num_threads, threads)
        stack.enter_context(_products(settings))
        stack.enter_context(torch.inference_mode())
        if settings.device == "cuda":
            yield CudaTimer(torch.cuda)
        else:
            own = time.thread_time if settings.threads == 1 else None
            yield CpuTimer(own=own, probe=Probe(_arithmetic()))


def _arithmetic() -> Callable[[], object]:
    """Return a product of matrices that fit into the first cache."""
    a, b, c = (torch.ones(_PROBE_SIZE, _PROBE_SIZE) for _ in range(3))
    return lambda: torch.mm(a, b, out=c)


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed instead of giving it back to the system.

    By default it depends on the history of a process whether large outputs are handed back and
    faulted in anew at every call: the same network then takes up to twice as long in one process as
    in another. Other C libraries are left as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, 2**30)
        mallopt(_M_MMAP_THRESHOLD, 2**25)  # the largest that glibc takes


def prepare(
    name: str, graph: nx.DiGraph, settings: Settings, alone: Alone | None = None
) -> Subject:
    """Return ``graph`` ready to be timed; its outputs have been checked.

    Raises
    ------
    MeasuringError
        If torch cannot run it, or its outputs have wrong shapes or hold NaN.
    OutOfMemoryError
        If it does not fit into the memory that is left.
    """
    try:
        module = _module(graph, settings)
        inputs = _inputs(graph, settings, alone)
        outputs = module(*inputs)
    except CostModelError as error:
        raise MeasuringError(f"{name}: {error}") from None
    except Exception as error:  # torch raises many kinds; each is one sentence here
        if lacks_memory(error):
            raise OutOfMemoryError(f"{name}: there is not enough memory to run it") from None
        raise MeasuringError(_sentence(name, error)) from error
    try:
        check_outputs(graph, outputs)
    except MeasuringError as error:
        raise MeasuringError(f"{name}: {error}") from None
    call: Callable[[], object] = lambda: module(*inputs)  # noqa: E731
    if settings.mode == "graphs":
        call = captured(torch.cuda, call)
    before: Callable[[], object] | None = None
    if settings.between:
        twin, others = _module(graph, settings, seed=1), _inputs(graph, settings, alone)
        before = Others(settings.between, lambda: twin(*others), inputs, outputs)
    elif settings.cache == "cold":
        before = _flush(settings)
    return Subject(name, call, before)


def _module(graph: nx.DiGraph, settings: Settings, seed: int = 0) -> Any:
    module = _placed(to_torch(graph, seed), settings)
    if settings.mode == "compile":
        module = torch.compile(module, fullgraph=True, options={"freezing": True})
    return module


def _inputs(graph: nx.DiGraph, settings: Settings, alone: Alone | None) -> list[torch.Tensor]:
    dtype = None if settings.dtype == "tf32" else DTYPES[settings.dtype]
    inputs = [_placed(x, settings) for x in random_inputs(graph, dtype)]
    if alone is not None and alone.views is not None:
        roots = [_placed(x, settings) for x in random_inputs(alone.views, dtype)]
        for slot, view in zip(alone.slots, to_torch(alone.views)(*roots), strict=True):
            inputs[slot] = view
    return inputs


def _placed(what: Any, settings: Settings) -> Any:
    """Return a module or tensor on the device, in the dtype and the layout that were asked."""
    if isinstance(what, torch.nn.Module):
        what = what.to(settings.device)
        if settings.dtype in ("float16", "bfloat16"):
            what = what.to(DTYPES[settings.dtype])
        if settings.layout == "channels_last":
            what = what.to(memory_format=torch.channels_last)
        return what
    what = what.to(settings.device)
    if settings.layout == "channels_last" and what.dim() == 4:
        what = what.contiguous(memory_format=torch.channels_last)
    return what


def _refuse(settings: Settings) -> None:
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise MeasuringError(
            "device cuda was asked for, but torch finds no NVIDIA GPU (or is a build without CUDA)"
        )
    if settings.device == "cuda" and settings.between:
        raise MeasuringError("operators are timed among others on device cpu only")
    if settings.device == "cpu" and settings.mode == "graphs":
        raise MeasuringError("mode graphs needs device cuda: CUDA graphs exist on a GPU only")
    if settings.dtype == "int8":
        raise MeasuringError("dtype int8 needs a backend that quantizes, such as arm:ssh://...")
    if settings.device == "cpu" and settings.dtype == "tf32":
        raise MeasuringError("dtype tf32 needs device cuda: a processor has no TF32 arithmetic")


@contextlib.contextmanager
def _products(settings: Settings) -> Iterator[None]:
    """Let products use TF32 only where it was asked for, and cuDNN try its algorithms."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32)
    cudnn.benchmark = True
    cudnn.allow_tf32 = matmul.allow_tf32 = settings.dtype == "tf32"
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


def _flush(settings: Settings) -> Callable[[], object]:
    buffer = torch.zeros(_FLUSH_BYTES // 4, device=settings.device)
    return lambda: buffer.add_(1.0)


def _sentence(name: str, error: Exception) -> str:
    text = str(error).strip().splitlines() or [type(error).__name__]
    if "compiler" in str(error).lower() and "found" in str(error).lower():
        return f"{name}: torch.compile finds no C++ compiler: install g++, or use mode eager"
    return f"{name}: torch cannot run it: {text[0]}"
