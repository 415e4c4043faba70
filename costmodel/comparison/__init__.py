"""Comparison of networks and platforms: differences, probabilities and crossover points.

Differences are those of predictions; probabilities account for the parameters that networks on one
platform share (:mod:`costmodel.prediction.joint`).
"""

from __future__ import annotations

from costmodel.comparison.axis import Axis as Axis
from costmodel.comparison.axis import crossovers as crossovers
from costmodel.comparison.axis import meet as meet
from costmodel.comparison.axis import parse_axis as parse_axis
from costmodel.comparison.compare import Comparison as Comparison
from costmodel.comparison.compare import Difference as Difference
from costmodel.comparison.compare import Entry as Entry
from costmodel.comparison.compare import compare as compare
from costmodel.comparison.curves import Curve as Curve
from costmodel.comparison.curves import curves as curves
from costmodel.comparison.sensitivity import sensitivities as sensitivities
from costmodel.comparison.sensitivity import sensitivity as sensitivity
