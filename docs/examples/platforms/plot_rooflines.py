"""
Rooflines of ShuffleNet v2 and MobileNet v2
===========================================

The roofline :cite:p:`williams2009roofline` says how fast a kernel can be at its arithmetic
intensity: no faster than the peak, and no faster than memory delivers. Each marker is a kernel,
as fast as it is predicted to be, its area the share of the time it takes. Both platforms come
calibrated with Tables 1-4 of :cite:t:`ma2018shufflenet`.
"""

import matplotlib.pyplot as plt

import costmodel as cm
from costmodel import plots

networks = {"ShuffleNet v2 1x": "shufflenet_v2", "MobileNet v2 1x": "mobilenet_v2"}

# %%
# On a GPU, eight images at once. Most kernels are far below both roofs: they are too small for 28
# multiprocessors, and each pays for its launch.
fig, axes = plt.subplots(2, 1, figsize=(7.6, 8.0), layout="constrained")
for ax, (title, spec) in zip(axes, networks.items(), strict=True):
    prediction = cm.latency(cm.network(f"{spec}?batch=8"), "gtx-1080-ti/paper")
    plots.roofline(prediction, ax)
    ax.set_title(f"{title}, batch 8, GTX 1080 Ti: {1e3 * prediction.seconds:.2f} ms predicted")

# %%
# On one core of a phone. Pointwise convolutions reach a good part of the peak; depthwise
# convolutions do not, although their intensity would allow it.
fig, axes = plt.subplots(2, 1, figsize=(7.6, 8.0), layout="constrained")
for ax, (title, spec) in zip(axes, networks.items(), strict=True):
    prediction = cm.latency(cm.network(spec), "snapdragon-810/paper")
    plots.roofline(prediction, ax)
    ax.set_title(f"{title}, Snapdragon 810, one core: {1e3 * prediction.seconds:.0f} ms predicted")

# %%
# What the time is spent on, by kind of kernel,
predictions = [
    cm.latency(cm.network(f"{spec}?batch=8"), "gtx-1080-ti/paper") for spec in networks.values()
]
plots.breakdown(predictions)

# %%
# and by what a kernel waits for.
plots.breakdown(predictions, by="term")
