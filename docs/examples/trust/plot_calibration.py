"""
Calibration with 0, 5, 10 and 100 measurements
==============================================

A platform has priors, so that it predicts before anything was measured. Measurements narrow them.
Here are 184 single operators that were measured again and again on two cores of a server under
eager PyTorch (``docs/data/host_operators.csv``); 0, 5, 10 or 100 of them calibrate, and 84 others,
always the same, are predicted.
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
# Above each picture: the error, and how many measurements lie in their 90 % interval. It should be
# nine out of ten; where it is less, the priors were more confident than this machine deserves.
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
