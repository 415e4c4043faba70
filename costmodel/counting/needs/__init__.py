"""Which elements an operator touches for the results that are needed of it: lower bounds only.

Costs count operands whole, as the paper does. A lower bound may count only elements that no
schedule can do without: not the pixels that a stride skips, not the taps that meet only padding,
and nothing for results that nobody takes.
"""

from costmodel.counting.needs import layers, movement, pointwise, products, windows  # noqa: F401
from costmodel.counting.needs.base import Needs as Needs
from costmodel.counting.needs.base import Part as Part
from costmodel.counting.needs.base import largest as largest
from costmodel.counting.needs.base import needs as needs
from costmodel.counting.needs.base import whole as whole
