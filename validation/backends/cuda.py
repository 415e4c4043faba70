"""Timing on NVIDIA GPUs: events and CUDA graphs.

``cuda`` is :mod:`torch.cuda`, or anything with its ``Event``, ``Stream``, ``CUDAGraph`` and
``synchronize``: that is how the logic is tested where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_WARM_UP_CALLS = 3  # before a capture: libraries allocate and choose algorithms on first calls


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
        # The outputs live in the graph's own memory; keeping them keeps it.
        kept = call()

    def replay() -> object:
        graph.replay()
        return kept

    return replay
