"""
Rooflines of ShuffleNet v2 and MobileNet v2
===========================================

The roofline :cite:p:`williams2009roofline` limits the speed of a kernel at its arithmetic
intensity by the peak and by the memory bandwidth. Each marker is a kernel at its predicted speed;
its area is its share of the time. Both platforms are calibrated with Tables 1-4 of
:cite:t:`ma2018shufflenet`.
"""

import matplotlib.pyplot as plt

import costmodel as cm
from costmodel import plots

networks = {"ShuffleNet v2 1x": "shufflenet_v2", "MobileNet v2 1x": "mobilenet_v2"}

# %%
# On a GPU with batch 8. Most kernels are far below both roofs: they are too small for 28
# multiprocessors, and each has the cost of a launch.
fig, axes = plt.subplots(2, 1, figsize=(7.6, 8.0), layout="constrained")
for ax, (title, spec) in zip(axes, networks.items(), strict=True):
    prediction = cm.latency(cm.network(f"{spec}?batch=8"), "gtx-1080-ti/paper")
    plots.roofline(prediction, ax)
    ax.set_title(f"{title}, batch 8, GTX 1080 Ti: {1e3 * prediction.seconds:.2f} ms predicted")

# %%
# On one core of a phone. Pointwise convolutions reach a large part of the peak; depthwise
# convolutions do not, although their intensity would allow it.
fig, axes = plt.subplots(2, 1, figsize=(7.6, 8.0), layout="constrained")
for ax, (title, spec) in zip(axes, networks.items(), strict=True):
    prediction = cm.latency(cm.network(spec), "snapdragon-810/paper")
    plots.roofline(prediction, ax)
    ax.set_title(f"{title}, Snapdragon 810, one core: {1e3 * prediction.seconds:.0f} ms predicted")

# %%
# Time by kind of kernel.
predictions = [
    cm.latency(cm.network(f"{spec}?batch=8"), "gtx-1080-ti/paper") for spec in networks.values()
]
plots.breakdown(predictions)

# %%
# Time by term: what each kernel waits for.
plots.breakdown(predictions, by="term")
