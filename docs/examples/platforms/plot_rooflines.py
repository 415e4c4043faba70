"""
Rooflines of ShuffleNet v2 and MobileNet v2
===========================================

The roofline :cite:p:`williams2009roofline` says how fast a kernel can be at its arithmetic
intensity: no faster than the peak, and no faster than memory delivers. Each marker is a kernel,
as fast as it is predicted to be, its area the share of the time it takes.
"""

import costmodel as cm
from costmodel import plots

networks = {"ShuffleNet v2 1x": "shufflenet_v2", "MobileNet v2 1x": "mobilenet_v2"}

# %%
# On a GPU, eight images at once. Most kernels are far below both roofs: they are too small for 28
# multiprocessors, and each pays for its launch.
for title, spec in networks.items():
    prediction = cm.latency(cm.network(f"{spec}?batch=8"), "gtx-1080-ti/paper")
    ax = plots.roofline(prediction)
    ax.set_title(f"{title}, batch 8, GTX 1080 Ti: {1e3 * prediction.seconds:.2f} ms predicted")

# %%
# On one core of a phone. Pointwise convolutions reach a good part of the peak; depthwise
# convolutions do not, although their intensity would allow it.
for title, spec in networks.items():
    prediction = cm.latency(cm.network(spec), "snapdragon-810/paper")
    ax = plots.roofline(prediction)
    ax.set_title(f"{title}, Snapdragon 810, one core: {1e3 * prediction.seconds:.0f} ms predicted")

# %%
# What the time is spent on, by kind of kernel and by what a kernel waits for.
predictions = [
    cm.latency(cm.network(f"{spec}?batch=8"), "gtx-1080-ti/paper") for spec in networks.values()
]
plots.breakdown(predictions)
plots.breakdown(predictions, by="term")
