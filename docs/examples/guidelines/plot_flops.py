"""
FLOPs are not latency
=====================

Networks of the zoo on a GPU and on a phone: multiply-adds against the predicted latency of one
image. If multiply-adds decided the latency, all points of a device would lie on one line. Their
spread across the lines is memory traffic, launches, and cores that the shapes of a network leave
idle.
"""

import matplotlib.pyplot as plt

import costmodel as cm

specs = (
    *("alexnet", "condensenet", "densenet", "efficientnet_b0", "googlenet", "mnasnet"),
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3", "nasnet_a", "resnet18", "resnet50"),
    *("shufflenet_v1", "shufflenet_v2?width=0.5", "shufflenet_v2?width=2.0", "squeezenet", "vgg16"),
)
graphs = {spec.replace("?width=", " "): cm.network(spec) for spec in specs}
marked = ("alexnet", "densenet", "mobilenet_v2", "resnet50", "shufflenet_v2 0.5", "vgg16")
devices = {"gtx-1080-ti/torch-eager": "GTX 1080 Ti, PyTorch", "rk3399/tflite": "RK3399, TFLite"}

fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.2), sharex=True, layout="constrained")
for ax, (platform, title) in zip(axes, devices.items(), strict=True):
    found = cm.latencies(list(graphs.values()), platform)
    counts = [1e-9 * cm.multiply_adds(graph) for graph in graphs.values()]
    times = [1e3 * float(p.seconds) for p in found]
    ax.scatter(counts, times, s=36, color="#0072B2", edgecolor="black", linewidth=0.5, zorder=3)
    for name, x, y in zip(graphs, counts, times, strict=True):
        if name in marked:
            ax.annotate(name, (x, y), (5, 6), textcoords="offset points", fontsize=9)
    typical = sorted(y / x for x, y in zip(counts, times, strict=True))[len(times) // 2]
    for factor, style in ((0.5, ":"), (1.0, "-"), (2.0, ":")):
        ends = (min(counts), max(counts))
        ax.plot(ends, [factor * typical * x for x in ends], style, color="#888888", zorder=1)
    ax.margins(x=0.2)
    ax.set(xscale="log", yscale="log", xlabel="multiply-adds [10⁹]", title=title)
axes[0].set_ylabel("predicted latency [ms]")
fig.suptitle("FLOPs are not latency: networks of equal multiply-adds take unequal times")
