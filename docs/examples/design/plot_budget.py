"""
Design a network for a Pi 4 in 50 ms
====================================

A width that meets a budget of time, then the widths of each stage.
"""

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm

# %%
# Which width of MobileNet v2 takes 50 ms on one core of a Raspberry Pi 4? The answer is predicted;
# its interval says how far to trust it.
platform, limit = "raspberry-pi-4/ncnn", 0.05
(width,) = cm.meet("mobilenet_v2", platform, cm.Axis("width", 0.2, 1.4), limit)
print(f"width {width:.2f} takes {1e3 * limit:.0f} ms")

widths = np.round(np.arange(0.2, 1.41, 0.1), 1)
found = cm.latencies([cm.zoo.mobilenet_v2(width=float(w)) for w in widths], platform)
fig, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
low, high = np.array([p.interval for p in found]).T
ax.fill_between(widths, 1e3 * low, 1e3 * high, alpha=0.2)
ax.plot(widths, [1e3 * p.seconds for p in found], marker="o")
ax.axhline(1e3 * limit, color="black", linestyle="--")
ax.set_xlabel("width of MobileNet v2 [1]")
ax.set_ylabel("predicted latency (ms)")

# %%
# Within the same time, ShuffleNet v2 leaves its stages open. Of variants drawn from its space those
# that meet the budget with the most multiply-adds are:
space = cm.find_space("shufflenet_v2")
fast = cm.sweep(space, platform, f"latency<{limit}", sample=400)
most = np.argsort(-fast.columns["multiply_adds"])[:3]
for row in most:
    millions = fast.columns["multiply_adds"][row] / 1e6
    print(f"{millions:.0f} M multiply-adds:", fast.variant(int(row)))
plt.show()
