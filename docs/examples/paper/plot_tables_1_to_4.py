"""
Tables 1-4: predicted beside printed
====================================

Tables 1-4 of :cite:t:`ma2018shufflenet` isolate the four guidelines: stacks of ten blocks, on a
GPU (GTX 1080 Ti) and on one core of a phone (Snapdragon 810). Each table is predicted after
fitting *the other three*, never itself.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from costmodel import plots
from costmodel_validation.scores.reproduce import predict

tables = ("table1", "table2", "table3", "table4")
found = {(kind, table): predict(kind, table) for kind in ("gpu", "arm") for table in tables}

# %%
# All cells, each with its 90 % interval.
fig, axes = plt.subplots(1, 2, figsize=(9.6, 5.0), layout="constrained")
for ax, kind, title in zip(
    axes, ("gpu", "arm"), ("GTX 1080 Ti", "Snapdragon 810, one core"), strict=True
):
    measured, predicted, intervals, names = [], [], [], []
    for table in tables:
        t = found[kind, table]
        width = np.exp(1.645 * t.log_spread)
        measured += [cell.seconds for cell in t.cells]
        predicted += list(t.seconds)
        intervals += list(zip(t.seconds / width, t.seconds * width, strict=True))
        names += [f"Table {table[-1]}"] * len(t.cells)
    plots.scatter(measured, predicted, intervals, names, ax)
    ax.set(title=title, xlabel="printed: one over the speed in the paper [ms]")

# %%
# Cell by cell: printed values are black and filled, predictions open and dashed. Each line is a
# column of the paper: the same structures at one size (x1, x2, x4 times the channels, or c
# channels).
fig, axes = plt.subplots(4, 2, figsize=(11.0, 13.0), layout="constrained")
for (kind, table), ax in zip(
    ((k, t) for t in tables for k in ("gpu", "arm")), axes.flat, strict=True
):
    t = found[kind, table]
    rows = list(dict.fromkeys(cell.row for cell in t.cells))
    for column, marker in zip(dict.fromkeys(cell.column for cell in t.cells), "osD", strict=True):
        own = [
            (cell, s) for cell, s in zip(t.cells, t.seconds, strict=True) if cell.column == column
        ]
        x = [rows.index(cell.row) for cell, _ in own]
        ax.plot(
            x, [1e3 * cell.seconds for cell, _ in own], f"k{marker}-", label=column.split("_")[1]
        )
        ax.plot(
            x, [1e3 * s for _, s in own], f"{marker}--", color="#0072B2", markerfacecolor="white"
        )
    error = np.mean([abs(s / cell.seconds - 1) for cell, s in zip(t.cells, t.seconds, strict=True)])
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(range(len(rows)), rows, rotation=15, fontsize="small")
    ax.set_ylabel("latency [ms]")
    ax.set_title(
        f"Table {table[-1]}, {kind.upper()}: mean error {100 * error:.0f} %", fontsize="medium"
    )
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
