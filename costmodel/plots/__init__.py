"""Figures of networks and predictions: axes in, axes out; matplotlib is imported when one is drawn.

Every function takes the axes to draw on, by default those of a new figure, and returns them. All
figures are readable in grey: what differs in colour differs in marker, hatch or line style too.
"""

from __future__ import annotations

from costmodel.plots._breakdown import breakdown as breakdown
from costmodel.plots._comparison import mac_beside_bound as mac_beside_bound
from costmodel.plots._comparison import scatter as scatter
from costmodel.plots._drawing import draw as draw
from costmodel.plots._roofline import roofline as roofline

__all__ = ["breakdown", "draw", "mac_beside_bound", "roofline", "scatter"]
