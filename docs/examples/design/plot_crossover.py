"""
Where the faster one changes
============================

Two networks on a GPU as the batch grows, and what the latency of one follows.
"""

import matplotlib.pyplot as plt

import costmodel as cm
from costmodel import plots
from costmodel.comparison import curves

# %%
# ShuffleNet v2 has fewer multiply-adds than ResNet-18, and many more kernels: at small batches the
# host cannot launch them as fast as the device runs them.
platform, axis = "gtx-1080-ti/torch-eager", cm.Axis("batch", 1, 64)
pair = ["resnet18", "shufflenet_v2"]
marks = cm.crossovers(*pair, platform, axis)
print("the faster one changes at batch", *(f"{mark:g}" for mark in marks))
ax = plots.along(curves(pair, platform, axis), marks=marks)

# %%
# At batch 1, by how many per cent does the latency change with 1 % more of each quantity?
ax = plots.elasticities(cm.sensitivities(cm.network("shufflenet_v2"), platform))

# %%
# Both beside each other on other platforms, with intervals.
ax = plots.compared(cm.compare(pair, [platform, "t4/torch-eager", "raspberry-pi-4/ncnn"]))
plt.show()
