"""NVIDIA GPUs: which one this is, and timing on it by events and CUDA graphs.

``cuda`` is :mod:`torch.cuda`, or anything with as much of it as is used here: that is how the
logic is tested where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from costmodel.hardware.gpus import find_gpu

from ..errors import MeasuringError

_WARM_UP_CALLS = 3  # before a capture: libraries allocate and choose algorithms on first calls


def gpu_hardware(cuda: Any, runtime: str) -> str:
    """Return the name of the hardware file of the GPU at hand.

    Parameters
    ----------
    cuda : module
        ``torch.cuda``.
    runtime : str
        For the message: what would stand behind the hardware.

    Raises
    ------
    MeasuringError
        If there is no GPU, or no hardware file of it.
    """
    remedy = f"say what predicts, such as --platform rtx-3090/{runtime}"
    if not cuda.is_available():
        raise MeasuringError(
            f"torch finds no NVIDIA GPU here, or is a build without CUDA; {remedy}"
        )
    reported = cuda.get_device_name()
    found = find_gpu(reported)
    if found is None:
        raise MeasuringError(f"no platform is known for the GPU {reported!r}: {remedy}")
    return found


@dataclass(frozen=True)
class CudaTimer:
    """Times calls by two events on the stream: the host counts where the device waits for it.

    Parameters
    ----------
    cuda : module
        ``torch.cuda``.
    """

    cuda: Any

    def time(self, call: Callable[[], object], repeat: int) -> tuple[float, bool]:
        """Return the seconds of ``repeat`` calls on the device; never disturbed by the host."""
        start = self.cuda.Event(enable_timing=True)
        end = self.cuda.Event(enable_timing=True)
        self.cuda.synchronize()
        start.record()
        for _ in range(repeat):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1e-3, False


def captured(cuda: Any, call: Callable[[], object]) -> Callable[[], object]:
    """Return a function that replays ``call`` as one CUDA graph.

    Parameters
    ----------
    cuda : module
        ``torch.cuda``.
    call : callable
        Runs the network once on tensors that stay in place.
    """
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        for _ in range(_WARM_UP_CALLS):
            call()
    cuda.current_stream().wait_stream(side)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        outputs = call()
    # The graph holds addresses only: weights and inputs, which belong to the call, and outputs must
    # live as long as it is replayed.
    kept = call, outputs

    def replay() -> object:
        graph.replay()
        return kept[1]

    return replay
