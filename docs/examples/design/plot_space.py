"""
Rank a space
============

Cells of NAS-Bench-201 :cite:p:`dong2020nasbench201`, drawn from all 15,625: latency against
multiply-adds, and the Pareto front of latency and parameters.
"""

import matplotlib.pyplot as plt

import costmodel as cm
from costmodel import plots

# %%
# At equal multiply-adds, latencies differ several times: multiply-adds alone rank badly.
space = cm.find_space("nasbench201")
found = cm.sweep(space, "gtx-1080-ti/paper", sample=200)
ax = plots.swept(found)

# %%
# The front, fastest first.
front = cm.sweep(space, "gtx-1080-ti/paper", sample=200, front=("latency", "multiply_adds"))
order = front.columns["latency"].argsort()
scale = 1e3 if "ms" in ax.get_ylabel() else 1e6
ax.step(
    front.columns["multiply_adds"][order] / 1e6,
    front.columns["latency"][order] * scale,
    where="post",
    color="#D55E00",
)
print(front.variant(0))
plt.show()
