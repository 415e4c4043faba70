"""Tables of many networks: counts of distinct kernels, sums, rows, residuals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import costmodel as cm
from costmodel import zoo
from costmodel.kernels import lower
from costmodel.prediction.table import tabulate
from costmodel.timing.reuse import workloads
from costmodel.timing.stacks import stack

GPU = cm.load_platform("gtx-1080-ti/paper", calibrated=False)


def test_a_table_by_hand() -> None:
    b = cm.Builder()
    nothing = b.finish(b.input((1, 7)))
    twice = cm.network("pointwise?h=7&w=7&c1=8&c2=8"), zoo.linear(1, 16, 32)
    graphs = [nothing, twice[0], nothing, zoo.g1_stack(8, 8, blocks=3), twice[1], nothing]
    table = tabulate(graphs, GPU)
    alone = [cm.latency(graph, GPU) for graph in graphs]
    assert table.kernels.tolist() == [len(p.kernels) for p in alone]
    assert table.kernels[[0, 2, 5]].tolist() == [0, 0, 0]
    assert table.counts.toarray().sum(axis=1).tolist() == table.kernels.tolist()
    assert table.distance.tolist() == [sum(k.kernel.bytes for k in p.kernels) for p in alone]
    assert table.transferred.tolist()[:2] == [2 * 4 * 7, 2 * 4 * 8 * 49]
    assert table.sums(np.full((2, 1, table.distinct), 3.0)).tolist() == (
        [[(3 * table.kernels).tolist()]] * 2
    )
    assert tabulate([nothing], GPU).seconds(GPU, GPU.fitted.theta).tolist() == [
        cm.latency(nothing, GPU).seconds
    ]
    apart = tabulate(graphs, GPU, [5, 0, 0, 7, 0, 0])
    assert (apart.distance - table.distance).tolist() == [5, 0, 0, 7, 0, 0]
    order = np.array([4, 0, 3, 5, 3])
    some = table.rows(order)
    for name in ("kernels", "distance", "transferred"):
        assert getattr(some, name).tolist() == getattr(table, name)[order].tolist()
    assert some.distinct < table.distinct
    assert some.seconds(GPU, GPU.fitted.theta) == pytest.approx(
        [alone[i].seconds for i in order.tolist()], rel=1e-12
    )


def test_networks_of_up_to_one_kernel_have_the_residual_of_operators() -> None:
    fitted = replace(
        GPU.fitted,
        covariance=0 * GPU.fitted.covariance,
        operator_spread=0.5,
        network_spread=0.25,
    )
    b = cm.Builder()
    two = b.add(cm.ops.Linear(3), b.add(cm.ops.Linear(3), b.input((1, 3))))
    graphs = [zoo.linear(), b.finish(two)]
    assert tabulate(graphs, replace(GPU, fitted=fitted)).log_spread(
        replace(GPU, fitted=fitted)
    ) == pytest.approx([0.5, 0.25])
    sizes = np.array([8, 16])
    b = cm.Builder()
    pair = b.finish(b.add(cm.ops.Linear(3), b.add(cm.ops.Linear(3), b.input((sizes, 3)))))
    for graph, spread in [(zoo.pointwise(7, 7, sizes, 8), 0.5), (pair, 0.25)]:
        p = cm.latency(graph, replace(GPU, fitted=fitted))
        assert p.uncertainty is not None
        assert p.uncertainty() == pytest.approx([spread] * 2)


def test_a_kernel_beside_one_of_more_inputs_reads_nothing_more() -> None:
    shape = (1, 1000)
    found = [
        workloads(lower(zoo.elementwise(kind, shape), GPU.runtime))[0] for kind in ("relu", "add")
    ]
    (both,) = stack(found)
    assert both.workload.bytes.tolist() == [2 * 4000, 3 * 4000]
    assert both.workload.read_bytes.tolist() == [4000, 2 * 4000]
    assert both.workload.missed(1).tolist() == [8000, 12000]
