"""
Claims of the paper, each as a picture
======================================

Multiply-adds are not speed: four claims of :cite:t:`ma2018shufflenet`, predicted for its two
platforms with the calibrations that ship (fitted to Tables 1-4; Figure 1 was not), and a share in
closed form.
"""

import matplotlib.pyplot as plt
import numpy as np
import sympy

import costmodel as cm
from costmodel import zoo
from costmodel.graph import Builder
from costmodel.ops import Conv

GPU, ARM = "gtx-1080-ti/paper", "snapdragon-810/paper"

# %%
# **Figure 1: equal multiply-adds, different speed.** The networks of the level of 140 M, at batch 8
# on the GPU and 1 on ARM; the order differs between the platforms, too.
level = {
    "ShuffleNet v2 1x": "shufflenet_v2?width=1.0",
    "ShuffleNet v1 1x": "shufflenet_v1?width=1.0&groups=3",
    "MobileNet v1 0.5": "mobilenet_v1?width=0.5",
    "MobileNet v2 0.6": "mobilenet_v2?width=0.6",
}
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.0), layout="constrained")
for ax, platform, batch in zip(axes, (GPU, ARM), (8, 1), strict=True):
    for marker, (name, spec) in zip("osD^", level.items(), strict=True):
        net = cm.network(f"{spec}&batch={batch}")
        seconds = cm.latency(net, f"{platform}?transfers=yes").seconds
        ax.plot(cm.flops(net) / batch / 1e6, 1 / seconds, f"k{marker}", label=name)
    ax.set(title=platform, xlabel="multiply-adds [M]", ylabel="runs a second", ylim=(0, None))
axes[0].legend()


# %%
# **Fewer multiply-adds, no faster.** A 3x3 convolution of 64 channels at 56 x 56, or a 1x1, 3x3 and
# 1x1 of 27 channels between, which saves 73 %. At batch 1 the GPU waits for launches and
# waves, an eager framework for its host; at batch 8 and 512 channels the saving is one.
def dense(c: int, size: int, batch: int):
    b = Builder("dense")
    x = b.input((batch, c, size, size))
    return b.finish(b.add(Conv(c, (3, 3), 1, 1, bias=False), x))


def decomposed(c: int, size: int, batch: int):
    b = Builder("decomposed")
    x = b.input((batch, c, size, size))
    x = b.add(Conv(c * 27 // 64, (1, 1), 1, 0, bias=False), x)
    x = b.add(Conv(c * 27 // 64, (3, 3), 1, 1, bias=False), x)
    return b.finish(b.add(Conv(c, (1, 1), 1, 0, bias=False), x))


cases = {"64 channels, 56 x 56, batch 1": (64, 56, 1), "512, 28 x 28, batch 8": (512, 28, 8)}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for offset, runtime, hatch in ((-0.2, "paper", ""), (0.2, "torch-eager", "//")):
    ratios = []
    for shape in cases.values():
        pair = [cm.latency(f(*shape), f"gtx-1080-ti/{runtime}") for f in (decomposed, dense)]
        ratios.append(pair[0].seconds / pair[1].seconds)
    ax.bar(np.arange(2) + offset, ratios, 0.4, label=runtime, hatch=hatch, edgecolor="k")
ax.axhline(1, color="k", linestyle=":")
ax.set(xticks=range(2), xticklabels=cases, ylabel="time over that of the dense one")
ax.set_xlabel("3x3 convolution that is decomposed")
ax.legend()

# %%
# **A 3x3 convolution is not nine 1x1 ones**, though it has nine times the multiply-adds: a GPU has
# Winograd's algorithm and fills up; on ARM the figure rests on Table 4's narrow layers alone.
for platform in (GPU, ARM):
    times = [
        cm.latency(cm.network(f"conv2d?cin=128&size=28&cout=128&k={k}"), platform).seconds
        for k in (3, 1)
    ]
    print(f"{platform}: a 3x3 convolution takes {times[0] / times[1]:.1f} times as long as a 1x1")

# %%
# **MAC's order is time's order in Table 1**: the same multiply-adds at four ratios of channels, on
# the GPU.
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for c1, c2 in ((128, 128), (90, 180), (52, 312), (36, 432)):
    net = cm.network(f"g1_stack?c1={c1}&c2={c2}")
    time = 1e6 * cm.latency(net, GPU).seconds
    ax.plot(cm.mac(net) / 1e6, time, "ko")
    ax.annotate(f" {c1}:{c2}", (cm.mac(net) / 1e6, time))
ax.set(xlabel="MAC [M elements]", ylabel="predicted time [us]")

# %%
# **G4 in closed form**: the share of a bottleneck's MAC that its ReLUs and its shortcut have, for
# 4m channels and m within, at h x h pixels. On large images it goes to two thirds, although they
# have no multiply-adds.
m, h = sympy.symbols("m h", positive=True, integer=True)
unit, bare = (
    cm.mac(zoo.g4_stack(c=4 * m, inner=m, size=h, blocks=1, relu=kept, shortcut=kept))
    for kept in (True, False)
)
share = sympy.simplify(1 - bare / unit)
print(share, "->", sympy.limit(share, h, sympy.oo))
