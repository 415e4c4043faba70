"""
Design a network for a Pi 4 in 10 ms
====================================

A width and an image size that meet a budget of time, then the changes that pay.
"""

import matplotlib.pyplot as plt

import costmodel as cm
from costmodel import plots
from costmodel.comparison import curves

# %%
# Which width of MobileNet v2 takes 10 ms on one core of a Raspberry Pi 4, at which image size? The
# answer is predicted; the bands are its 90 % intervals and say how far to trust it.
platform, limit = "raspberry-pi-4/ncnn", 0.01
sizes, axis = (96, 128), cm.Axis("width", 0.1, 1.0)
specs = [f"mobilenet_v2?size={size}" for size in sizes]
widths = [width for spec in specs for width in cm.meet(spec, platform, axis, limit)]
for size, width in zip(sizes, widths, strict=True):
    print(f"{size} pixels: width {width:.2f} takes {1e3 * limit:.0f} ms")

ax = plots.along(curves(specs, platform, axis), marks=widths, limit=limit)

# %%
# Of all widths and sizes of this space, those within the budget that do the most work:
space = cm.find_space("mobilenet_v2")
fast = cm.sweep(space, platform, f"latency<{limit}")
best = fast.columns["multiply_adds"].argsort()[::-1][:3]
for row in best:
    millions = fast.columns["multiply_adds"][row] / 1e6
    print(f"{millions:.1f} M multiply-adds:", fast.variant(int(row)))

# %%
# And which clock would a width of 0.5 at 128 pixels need?
clocks = cm.meet("mobilenet_v2?width=0.5&size=128", platform, cm.Axis("clock", 1e9, 6e9), limit)
print(", ".join(f"{clock / 1e9:.1f} GHz" for clock in clocks))
plt.show()
