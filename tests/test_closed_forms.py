"""Latencies in closed form: quick to find on every runtime, and equal to those of numbers."""

from __future__ import annotations

import time

import pytest

import costmodel as cm
from costmodel.runtimes import load_runtime, runtime_names

LIMIT = 3.0
"""Longest that the closed form of ResNet-50 may take. [s]"""


def platform_of(runtime: str) -> str:
    own = {("gpu",): "rtx-3090", ("accelerator",): "eyeriss"}
    hardware = own.get(tuple(load_runtime(runtime).algorithms), "raspberry-pi-4")
    return f"{hardware}/{runtime}"


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["host/torch-eager", *map(platform_of, runtime_names())])
def test_resnet50_with_batch_and_size_is_quick_and_right(platform: str) -> None:
    where = cm.load_platform(platform)
    cm.latency(cm.zoo.resnet18(), where)  # what is read and cached once
    graph = cm.zoo.resnet50(batch=cm.dim("batch"), size=cm.dim("size"))
    start = time.process_time()
    seconds = cm.latency(graph, where).seconds
    taken = time.process_time() - start
    for batch, size in ((1, 224), (8, 160)):
        expected = cm.latency(cm.zoo.resnet50(batch=batch, size=size), where).seconds
        found = seconds.subs({cm.dim("batch"): batch, cm.dim("size"): size})
        assert float(found) == pytest.approx(float(expected), rel=1e-9)
    assert taken < LIMIT
