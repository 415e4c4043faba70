"""
Least traffic and fast memory
=============================

Memory access cost (MAC) counts every operand of every operator once. The least possible traffic
depends on the fast memory: with a small one, operands of products and convolutions move several
times; with a large one, results stay in it for the next operator.
"""

import numpy as np

import costmodel as cm
from costmodel import plots

networks = {name: cm.network(name) for name in ("mobilenet_v2", "resnet18")}
sizes = np.geomspace(16e3, 32e6, 23)

# %%
# Solid: lower bound for schedules that run operators one after the other. Dotted: lower bound for
# any schedule, fused or not. Dashed: MAC. Where the solid line is above MAC, the fast memory is too
# small to move each operand only once.
ax = plots.traffic_bounds(sizes, networks)
ax.set_title("Least traffic through a fast memory")

# %%
# The numbers for one layer, a 3x3 convolution, and for attention whose scores are not stored.
x = cm.Tensor((1, 128, 56, 56))
q = cm.Tensor((1, 8, 4096, 64))
for capacity in (2**13, 2**15, 2**17, 2**24):
    layer = cm.cache_lower_bound(cm.ops.Conv(128, (3, 3), padding=1), x, capacity=capacity)
    attention = cm.cache_lower_bound(cm.ops.Attention(), q, q, q, capacity=capacity)
    print(f"{capacity:12,} elements: convolution {layer:14,.0f}, attention {attention:14,.0f}")
