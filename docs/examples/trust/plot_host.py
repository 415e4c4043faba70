"""
Measured against predicted on a host
====================================

Fifty networks, measured on two cores of a server under eager PyTorch, one thread
(``docs/data/host_networks.csv``; ``docs/data/README.md`` has the procedure). Half of them are
predicted, from a calibration with single operators only (each timed repeatedly alone, and among
others) and from one that also uses the other half.
"""

import contextlib

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm
from costmodel import plots

with contextlib.chdir("../../data"):
    operators, _ = cm.read_measurements("host_operators.csv")
    networks, _ = cm.read_measurements("host_networks.csv")
    priors = cm.load_platform("zen4-vm.toml/torch-eager")

networks = sorted(networks, key=lambda m: m.network)
seen, held_out = networks[::2], networks[1::2]
measured = np.array([m.seconds for m in held_out])
calibrated = {
    "single operators": cm.calibrate(operators, priors),
    f"single operators and {len(seen)} networks": cm.calibrate([*operators, *seen], priors),
}

# %%
fig, axes = plt.subplots(1, 2, figsize=(10.0, 5.4), layout="constrained")
errors = {}
for ax, (basis, calibration) in zip(axes, calibrated.items(), strict=True):
    predictions = [cm.latency(cm.network(m.network), calibration.platform) for m in held_out]
    predicted = np.array([p.seconds for p in predictions])
    intervals = [p.interval for p in predictions]
    covered = np.mean(
        [low <= s <= high for s, (low, high) in zip(measured, intervals, strict=True)]
    )
    plots.scatter(measured, predicted, intervals, ax=ax)
    ax.set_title(f"fitted: {basis}\n{100 * covered:.0f} % in the 90 % interval", fontsize="medium")
    errors[basis] = predicted / measured - 1

# %%
# The networks with the largest errors after the second calibration, as predicted / measured - 1.
(*_, error) = errors.values()
for i in np.argsort(-np.abs(error))[:8]:
    print(f"{error[i]:+6.0%}  {1e3 * measured[i]:8.2f} ms measured  {held_out[i].network}")
