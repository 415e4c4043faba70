"""A stand-in for ``torch.cuda``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class FakeEvent:
    def __init__(self, device: FakeCuda, enable_timing: bool = False) -> None:
        assert enable_timing
        self.device = device
        self.at = -1.0

    def record(self) -> None:
        self.device.log.append("record")
        self.at = self.device.now

    def synchronize(self) -> None:
        self.device.log.append("wait")

    def elapsed_time(self, other: FakeEvent) -> float:
        assert self.device.log[-1] == "wait", "events are read before the device is done"
        return (other.at - self.at) * 1e3


class FakeGraph:
    def __init__(self, device: FakeCuda) -> None:
        self.device = device

    def replay(self) -> None:
        self.device.log.append("replay")
        self.device.now += 0.0005


class FakeStream:
    def __init__(self, device: FakeCuda) -> None:
        self.device = device

    def wait_stream(self, other: FakeStream) -> None:
        self.device.log.append("wait_stream")


class FakeCuda:
    """As much of ``torch.cuda`` as is used: a clock that kernels move, a log, a GPU's name."""

    def __init__(self, reported: str = "") -> None:
        self.now, self.log = 0.0, []  # type: ignore[var-annotated]
        self.reported = reported

    def is_available(self) -> bool:
        return bool(self.reported)

    def get_device_name(self) -> str:
        return self.reported

    def Event(self, enable_timing: bool = False) -> FakeEvent:
        return FakeEvent(self, enable_timing)

    def Stream(self) -> FakeStream:
        return FakeStream(self)

    def current_stream(self) -> FakeStream:
        return FakeStream(self)

    def CUDAGraph(self) -> FakeGraph:
        return FakeGraph(self)

    def synchronize(self) -> None:
        self.log.append("synchronize")

    @contextlib.contextmanager
    def stream(self, side: FakeStream) -> Iterator[None]:
        self.log.append("side")
        yield
        self.log.append("main")

    @contextlib.contextmanager
    def graph(self, graph: FakeGraph) -> Iterator[None]:
        self.log.append("capture")
        yield
        self.log.append("captured")

    def kernel(self) -> str:
        self.log.append("kernel")
        self.now += 0.002
        return "output"
