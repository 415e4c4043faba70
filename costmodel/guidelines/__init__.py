"""Rewrites of a network by the guidelines of the ShuffleNet V2 paper and by further ones.

========  =======================================================================
G1        Equal channel width minimizes memory access cost (MAC).
G2        Excessive group convolution increases MAC.
G3        Network fragmentation reduces the degree of parallelism.
G4        Element-wise operations are non-negligible.
pack      Engines compute channels in packs; a partial pack costs as much as a full one.
kernel    A smaller kernel comes before a larger stride.
launch    Several inputs at once share launches and weights.
========  =======================================================================

Each finding is a change that makes a new valid graph. Its saving is predicted for this change
alone; savings do not add up. If the function of the network changes, its accuracy may change, which
is not predicted :cite:p:`ma2018shufflenet`.
"""

from __future__ import annotations

from costmodel.guidelines.advise import Advice as Advice
from costmodel.guidelines.advise import Finding as Finding
from costmodel.guidelines.advise import advise as advise
from costmodel.guidelines.case import Case as Case
from costmodel.guidelines.case import Rewrite as Rewrite
from costmodel.guidelines.free import free_widths as free_widths
from costmodel.guidelines.pack import pack_of as pack_of
