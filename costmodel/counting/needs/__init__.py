"""Elements that an operator touches for its needed results; used by lower bounds only.

Costs count whole operands, as the paper does. A lower bound may count only elements that every
schedule needs: no pixels skipped by a stride, no taps that meet only padding, and nothing for
unused results.
"""

from costmodel.counting.needs import layers, movement, pointwise, products, windows  # noqa: F401
from costmodel.counting.needs.base import Needs as Needs
from costmodel.counting.needs.base import Part as Part
from costmodel.counting.needs.base import largest as largest
from costmodel.counting.needs.base import needs as needs
from costmodel.counting.needs.base import whole as whole
