"""Counting loops: every operator run as plain nested loops that touch index sets.

Nothing here shares code with the formulas of ``costmodel``: shapes, windows, groups and masks are
worked out again, by visiting every index. Where the convention of the library differs from what the
loops touch, the oracle says so (search for "convention").

Each family registers its loops under the operator's name; a test demands that none is missing.
"""

from oracles import arithmetic, movement, products, recurrent, selection, windows  # noqa: F401
from oracles.loops import ORACLES as ORACLES
