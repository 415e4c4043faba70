"""Design spaces: networks with named choices; thousands are predicted, filtered and ranked.

Choices of sizes are arrays on one graph (:data:`~costmodel.algebra.symbols.Dim`); each choice that
changes the structure has its own graph.
"""

from __future__ import annotations

from costmodel.spaces.named import SPACES as SPACES
from costmodel.spaces.named import find_space as find_space
from costmodel.spaces.predictor import Predictor as Predictor
from costmodel.spaces.predictor import predictor as predictor
from costmodel.spaces.space import Space as Space
from costmodel.spaces.sweeping import Sweep as Sweep
from costmodel.spaces.sweeping import sweep as sweep
