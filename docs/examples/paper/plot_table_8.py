"""
Table 8: whole networks
=======================

Table 8 of :cite:t:`ma2018shufflenet` lists the speeds of whole networks. The predictions were
fitted to Tables 1-4, which contain no network: no depthwise convolution, pooling or channel
shuffle. Only networks with known layers are shown (see :doc:`/guide/trust`).
"""

import matplotlib.pyplot as plt
import numpy as np

from costmodel import plots
from costmodel_validation.scores.reproduce import predict

families = {
    "shufflenet_v2": "ShuffleNet v2",
    "shufflenet_v1": "ShuffleNet v1",
    "mobilenet_v1": "MobileNet v1",
    "mobilenet_v2": "MobileNet v2",
    "igcv3": "IGCV3-D",
}

fig, axes = plt.subplots(1, 2, figsize=(9.6, 5.0), layout="constrained")
for ax, kind, title in zip(
    axes, ("gpu", "arm"), ("GTX 1080 Ti, batch 8", "Snapdragon 810, one core"), strict=True
):
    t = predict(kind, "table8")
    width = np.exp(1.645 * t.log_spread)
    plots.scatter(
        [cell.seconds for cell in t.cells],
        t.seconds,
        list(zip(t.seconds / width, t.seconds * width, strict=True)),
        [families[cell.network.partition("?")[0]] for cell in t.cells],
        ax,
    )
    ax.set(title=title, xlabel="printed: one over the speed in the paper [ms]")
