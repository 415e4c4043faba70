"""Whole networks under ncnn on four ARM devices, from the ``.param`` files that were run.

Only rows of the CPU are read, and none with more threads than the cluster they ran on has cores.
Where the cores have half-precision arithmetic (ARMv8.2), ncnn stores and computes in float16.

Snapdragon 8 Gen 2: ncnn's "big" cores are all but the Cortex-A510 (``powersave`` 2,
``src/cpu.cpp``: a highest clock above the middle), and the system chooses among them. SqueezeNet on
one thread runs at 40 % of the peak of the Cortex-X3, or 90 % of that of a Cortex-A715 or A710, and
four threads are 3.2 times as fast: of four in equal shares, the X3 would wait for the others. So
one thread did not run on the X3. VGG-16 did: its 3.8e9 multiply-adds by Winograd's algorithms take
85 ms at the peak of an A715, and its 0.25 GB of weights some 10 ms more, but it took 92 ms. Which
core runs a network is noise of these rows: the times of a Snapdragon 855+, scaled, are off by 10 to
12 % on one thread, where those of a Raspberry Pi 4 fit a Snapdragon 810 within 7 %.
"""

from __future__ import annotations

from dataclasses import replace

import networkx as nx

from costmodel.graph import infer_node, nodes_in_order
from costmodel.importers import from_ncnn

from .dataset import DeviceSet, Row, data_folder, read_csv

# Run in the table: device, threads, whether its arithmetic is float16.
_RUNS = {
    "35": ("snapdragon-810", 1, False),
    "34": ("snapdragon-810", 4, False),
    "46": ("raspberry-pi-4", 1, False),
    "45": ("raspberry-pi-4", 4, False),
    "16": ("snapdragon-855-plus", 1, True),
    "15": ("snapdragon-855-plus", 4, True),
    "206": ("snapdragon-8-gen-2", 1, True),
    "207": ("snapdragon-8-gen-2", 4, True),
}
_CORES = {"snapdragon-8-gen-2": "&cores=cortex-a715,cortex-a710"}
_CPU = "-1"


def device_sets() -> list[DeviceSet]:
    """Return the networks of each device and number of threads."""
    lines = [line for line in read_csv("ncnn/benchncnn.csv") if line["gpu_device"] == _CPU]
    full = _graphs({line["net"] for line in lines if line["run_id"] in _RUNS})
    half = {name: in_float16(graph) for name, graph in full.items()}
    sets = []
    for run, (device, threads, is_half) in _RUNS.items():
        rows = tuple(
            Row(line["net"], float(line["min_ms"]) / 1e3)
            for line in lines
            if line["run_id"] == run and line["net"] in full
        )
        platform = f"{device}/ncnn?threads={threads}{_CORES.get(device, '')}"
        graphs = half if is_half else full
        sets.append(DeviceSet(f"ncnn {device} x{threads}", platform, rows, graphs))
    return [replace(own, elsewhere=_elsewhere(own, sets)) for own in sets]


def _elsewhere(own: DeviceSet, sets: list[DeviceSet]) -> tuple[dict[str, float], ...]:
    """Return the times of the networks on each other board, with as many threads."""
    threads = own.name.rpartition(" x")[2]
    return tuple(
        {row.network: row.seconds for row in other.rows}
        for other in sets
        if other.name != own.name and other.name.rpartition(" x")[2] == threads
    )


def in_float16(graph: nx.DiGraph) -> nx.DiGraph:
    """Return ``graph`` with float16 instead of float32.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(in_float16(cm.zoo.pointwise(56, 56, 24, 48)), unit="bytes")
    453888
    """
    result = graph.copy()
    for node in nodes_in_order(graph):
        op = node.op
        if getattr(op, "dtype", "") == "float32":
            op = replace(op, dtype="float16")  # type: ignore[type-var]
        inputs = tuple(result.nodes[source]["outputs"][i] for source, i in node.sources)
        result.nodes[node.name].update(op=op, outputs=infer_node(node.name, op, inputs))
    return result


def _graphs(names: set[str]) -> dict[str, nx.DiGraph]:
    folder = data_folder() / "ncnn" / "param"
    found = {}
    for line in read_csv("ncnn/input_shapes.csv"):
        file = folder / f"{line['net']}.param"
        if line["net"] in names and file.is_file():
            shape = (1, int(line["c"]), int(line["h"]), int(line["w"]))
            found[line["net"]] = from_ncnn(file, shape)
    return found
