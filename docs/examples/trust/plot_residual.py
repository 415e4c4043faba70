"""
A residual term over shapes
===========================

A fit adjusts the few parameters of the formula. Errors that depend on the shape of a kernel (tile
choice of the library, tail of the last wave) remain. If at least 50 single operators of a kind were
measured, calibration also fits this error as a smooth function of the shape: a Gaussian process on
the logarithm of measured over predicted time. It is a separate term in every breakdown and
vanishes far from all measured shapes.

``docs/data/h100_products.csv`` has 300 products in bf16 on an H100, measured by others. The first
two thirds calibrate; the rest is predicted. No weight matrix is in both parts.
"""

import contextlib
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm
from costmodel import plots
from costmodel.prediction.table import tabulate

with contextlib.chdir("../../data"):
    rows, _ = cm.read_measurements("h100_products.csv")


def sizes(row):
    """Return tokens, inputs and outputs of a product."""
    attributes = dict(part.split("=") for part in row.network.partition("?")[2].split("&"))
    return tuple(int(attributes[name]) for name in ("n", "cin", "cout"))


weights = sorted({sizes(row)[1:] for row in rows})
np.random.default_rng(1).shuffle(weights)
known = set(map(tuple, weights[: 2 * len(weights) // 3]))
fitted = [row for row in rows if sizes(row)[1:] in known]
held_out = [row for row in rows if sizes(row)[1:] not in known]
measured = np.array([row.seconds for row in held_out])

# %%
# Three predictions: from the priors, from the fitted formula alone, and with the residual term.
# Other weights were used between two runs of a product, so its own were not in the cache.
priors = cm.load_platform("h100-sxm/cuda-graphs", calibrated=False)
whole = cm.calibrate(fitted, priors).platform
formula = replace(whole, fitted=replace(whole.fitted, surfaces=()))
stages = {"priors": priors, "fitted formula": formula, "with the residual term": whole}
table = tabulate(
    [cm.network(row.network) for row in held_out], priors, [row.between for row in held_out]
)

fig, axes = plt.subplots(1, 3, figsize=(13.5, 4.6), layout="constrained")
errors = {}
for ax, (stage, platform) in zip(axes, stages.items(), strict=True):
    predicted = table.seconds(platform, platform.fitted.theta)
    apart = np.exp(1.645 * table.log_spread(platform))
    intervals = np.stack([predicted / apart, predicted * apart], axis=1)
    plots.scatter(measured, predicted, intervals, ax=ax)
    errors[stage] = predicted / measured - 1
    mape = np.abs(errors[stage]).mean()
    ax.set_title(f"{stage}: mean error {100 * mape:.1f} %", fontsize="medium")

# %%
# The errors of the last two over the shape: blue is predicted too fast, red too slow.
fig, axes = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained", sharey=True)
tokens = np.array([sizes(row)[0] for row in held_out])
elements = np.array([sizes(row)[1] * sizes(row)[2] for row in held_out])
for ax, stage in zip(axes, ("fitted formula", "with the residual term"), strict=True):
    points = ax.scatter(tokens, elements, c=100 * errors[stage], cmap="coolwarm", vmin=-25, vmax=25)
    ax.set(xscale="log", yscale="log", xlabel="tokens [rows]", title=stage)
axes[0].set_ylabel("weights [elements]")
fig.colorbar(points, ax=axes).ax.set_title("error [%]")
