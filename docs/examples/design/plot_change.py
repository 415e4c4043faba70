"""
Which change pays
=================

GoogLeNet under eager PyTorch: the changes that save time, applied one after the other.
"""

import matplotlib.pyplot as plt

import costmodel as cm

# %%
# Each finding is a network of its own, with a saving and its interval.
platform = "gtx-1080-ti/torch-eager"
advice = cm.advise(cm.network("googlenet"), platform)
numbers = [i for i, f in enumerate(advice.findings, 1) if f.rewrite.same_function]
numbers = [i for i in numbers if advice.findings[i - 1].rewrite.inputs == 1][:6]
for i in numbers:
    f = advice.findings[i - 1]
    print(f"{f.rewrite.guideline}: {f.share:.1%}, {f.rewrite.title}")

# %%
# Those that leave the function as it is may all be applied: the network computes what it did.
times = [float(advice.prediction.seconds)]
for n in range(1, len(numbers) + 1):
    times.append(float(cm.latency(advice.apply(numbers[:n]), platform).seconds))

fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(range(len(times)), [1e3 * t for t in times], marker="o")
ax.set_xticks(range(len(times)))
ax.set_ylim(0)
ax.set_xlabel("changes applied [1]")
ax.set_ylabel("predicted latency (ms)")
plt.show()
