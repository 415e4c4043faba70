"""Figures of networks and predictions: axes in, axes out; matplotlib is imported when one is drawn.

Every function takes the axes to draw on, by default those of a new figure, and returns them. All
figures are readable in grey: series with different colours also differ in marker, hatch or line
style.
"""

from __future__ import annotations

from costmodel.plots.agreements import agreement as agreement
from costmodel.plots.breakdowns import breakdown as breakdown
from costmodel.plots.choices import along as along
from costmodel.plots.choices import elasticities as elasticities
from costmodel.plots.choices import savings as savings
from costmodel.plots.choices import solved as solved
from costmodel.plots.compared import compared as compared
from costmodel.plots.comparisons import mac_beside_bound as mac_beside_bound
from costmodel.plots.comparisons import scatter as scatter
from costmodel.plots.drawings import draw as draw
from costmodel.plots.rooflines import roofline as roofline
from costmodel.plots.spaces import swept as swept
from costmodel.plots.traffic import traffic_bounds as traffic_bounds

__all__ = [
    "agreement",
    "along",
    "breakdown",
    "compared",
    "draw",
    "elasticities",
    "mac_beside_bound",
    "roofline",
    "savings",
    "scatter",
    "solved",
    "swept",
    "traffic_bounds",
]
