"""
Measured against predicted on a host
====================================

Fifty networks, measured on two cores of a server under eager PyTorch, one thread
(``docs/data/host_networks.csv``; how is written in ``docs/data/README.md``). The platform is calibrated
with single operators only (``host_operators.csv``): no whole network was fitted.
"""

import contextlib

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm
from costmodel import plots

with contextlib.chdir("../../data"):
    operators, _ = cm.read_measurements("host_operators.csv")
    networks, _ = cm.read_measurements("host_networks.csv")
    calibrated = cm.calibrate(operators, "zen4-vm.toml/torch-eager")

print(f"{calibrated.platform.fitted.rows} operators fitted, median error {calibrated.median_error:.1%}")

# %%
predictions = [cm.latency(cm.network(m.network), calibrated.platform) for m in networks]
measured = np.array([m.seconds for m in networks])
predicted = np.array([p.seconds for p in predictions])
covered = np.mean([p.interval[0] <= s <= p.interval[1] for p, s in zip(predictions, measured)])

fig, ax = plt.subplots(figsize=(6.4, 6.2), layout="constrained")
plots.scatter(measured, predicted, [p.interval for p in predictions], ax=ax)
ax.set_title(f"{len(networks)} networks never fitted, {100 * covered:.0f} % in the 90 % interval")

# %%
# The largest errors, and what the model says these networks wait for.
error = predicted / measured - 1
for i in np.argsort(-np.abs(error))[:8]:
    print(f"{error[i]:+6.0%}  {networks[i].network:46.46}  {predictions[i].bottleneck}")
