"""
Calibration with 0, 5, 10 and 100 measurements
==============================================

A platform has priors, so it predicts before anything is measured; measurements narrow them.
``docs/data/host_operators.csv`` has 184 single operators, measured in repeated runs on two cores of
a server under eager PyTorch. 0, 5, 10 or 100 of them calibrate the platform, which then predicts
the same 84 others.
"""

import contextlib

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm
from costmodel import plots

with contextlib.chdir("../../data"):
    table, _ = cm.read_measurements("host_operators.csv")
    priors = cm.load_platform("zen4-vm.toml/torch-eager")

rows = [row for row in table if not row.between]
order = np.random.default_rng(1).permutation(len(rows))
held_out = [rows[i] for i in order[100:]]
measured = np.array([m.seconds for m in held_out])
graphs = [cm.network(m.network) for m in held_out]

# %%
# The titles give the error and the share of measurements within their 90 % interval. It should be
# nine out of ten; a smaller share means that the priors are too narrow for this machine.
fig, axes = plt.subplots(2, 2, figsize=(9.6, 9.6), layout="constrained")
for ax, count in zip(axes.flat, (0, 5, 10, 100), strict=True):
    chosen = [rows[i] for i in order[:count]]
    platform = cm.calibrate(chosen, priors).platform if chosen else priors
    predictions = [cm.latency(graph, platform) for graph in graphs]
    predicted = np.array([p.seconds for p in predictions])
    intervals = [p.interval for p in predictions]
    plots.scatter(measured, predicted, intervals, ax=ax)
    error = np.abs(predicted / measured - 1)
    covered = np.mean(
        [low <= s <= high for s, (low, high) in zip(measured, intervals, strict=True)]
    )
    ax.set_title(
        f"{count} measurements: median error {100 * np.median(error):.0f} %, "
        f"{100 * covered:.0f} % in the interval",
        fontsize="medium",
    )
