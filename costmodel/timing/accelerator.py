r"""Time of a kernel on an accelerator that is neither a CPU nor a GPU: an NPU, an FPGA, an array.

.. math::

    t = \text{call} \cdot \text{call}_k +
        \frac{\text{work}}{\text{rate} \cdot \text{rate}_k \cdot P} +
        \frac{\text{bytes}}{\text{bandwidth} \cdot \text{bandwidth}_k \cdot W}

The device has a rate, a bandwidth and a call cost, each multiplied by a factor for kernels of kind
:math:`k`. The model makes no assumption about the internals, which makers rarely document. Terms
add up, so that few rows suffice for a fit; overlapping activities appear as a higher rate or
bandwidth. Kinds without rows follow the device.
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, maximum, total
from costmodel.kinds import KINDS
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Terms, Theta
from costmodel.timing.workload import Workload


def terms(w: Workload, machine: Machine, q: Theta) -> Terms:
    """Return the terms of a kernel; operators fused behind it run in its pipeline."""
    steps = maximum(1, total(p.times for p in w.products)) if w.kind == "recurrent" else 1
    launch = q["call"] * q[f"call_{w.kind}"] * steps
    rate = q["rate"] * q[f"rate_{w.kind}"] * machine.multiply_adds
    compute = _work(w) / rate
    bandwidth = q["bandwidth"] * q[f"bandwidth_{w.kind}"] * machine.bandwidth
    memory = _crossing(w, machine) / bandwidth
    seconds = launch + compute + memory
    return Terms(0, launch, compute, memory, 0, seconds)


def _work(w: Workload) -> Dim:
    """Return its multiply-adds, or its other operations if it has none [operation]."""
    return w.multiply_adds if KINDS[w.kind].product else w.elementwise + w.special


def _crossing(w: Workload, machine: Machine) -> Dim:
    """Return the bytes that do not fit into the device's buffer, if it has one [byte]."""
    return w.missed(machine.cache) if machine.cache else w.bytes
