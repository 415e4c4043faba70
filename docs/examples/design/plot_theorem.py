"""
Guideline G1 as a theorem
=========================

The least memory access cost at fixed multiply-adds, solved for, with a certificate; and how near
the widths of ShuffleNet v2 are to the best of their budget.
"""

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm

# %%
# A 1x1 convolution of 56 x 56 pixels with the multiply-adds of 64 to 64 channels: the widths with
# the least MAC are a geometric program. Its optimum is global: no real numbers go below the bound.
graph = cm.zoo.pointwise(56, 56, *cm.symbols("c1 c2"))
found = cm.solve(graph, "mac", at_least={"multiply_adds": 56**2 * 64**2})
print(found.values, f"MAC {found.objective:,.0f}, none below {found.certificate.bound:,.0f}")

c1 = np.arange(16, 257)
mac = 56**2 * (c1 + 64**2 / c1) + 64**2
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(c1, mac / 1e3, label="MAC at fixed multiply-adds")
ax.axhline(found.certificate.bound / 1e3, color="black", linestyle="--", label="certified bound")
ax.plot(found.values["c1"], found.objective / 1e3, marker="o", color="#D55E00")
ax.set_xlabel("c1 [channel]; c2 follows")
ax.set_ylabel("MAC [1000 elements]")
ax.legend()

# %%
# ShuffleNet v2 has 116, 232 and 464 channels in its stages. With as many multiply-adds and no more
# parameters, how much faster would the best widths be? Total multiply-adds that must be reached are
# a sum: the answer is a local optimum.
own = cm.zoo.shufflenet_v2()
graph = cm.zoo.shufflenet_v2(channels=(24, *cm.symbols("c2 c3 c4"), 1024))
best = cm.solve(
    graph,
    "latency",
    "raspberry-pi-4/ncnn",
    at_least={"multiply_adds": cm.multiply_adds(own)},
    at_most={"params": cm.params(own)},
    ranges={"c2": (32, 320), "c3": (64, 640), "c4": (128, 1280)},
    multiple=4,
)
seconds = cm.latency(own, "raspberry-pi-4/ncnn").seconds
print(best.method, dict(best.values))
print(f"{1e3 * best.objective:.1f} ms; ShuffleNet v2 takes {1e3 * seconds:.1f} ms")
plt.show()
