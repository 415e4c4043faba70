"""Tests for authors of operators and graphs; they need the extra ``testing`` (hypothesis).

:func:`assert_operator` checks all properties of an operator. :func:`cases`,
:func:`templates` and :func:`symbolic_cases` draw operators with inputs that fit, :func:`graphs` and
:func:`symbolic_graphs` whole networks. The strategy of a new operator is one function beside its
family, registered under the operator's name:

.. code-block:: python

    @STRATEGIES.register("Scale")
    @st.composite
    def _scale(draw: DrawFn) -> Template:
        return fill(draw, IMAGE, lambda s: Case(ops.Scale(), images(s)))
"""

try:
    import hypothesis as _hypothesis  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        'costmodel.testing needs hypothesis: pip install "nn-costmodel[testing]"',
        name="hypothesis",
    ) from None

from costmodel.testing.assertions import assert_operator as assert_operator
from costmodel.testing.case import IMAGE as IMAGE
from costmodel.testing.case import STRATEGIES as STRATEGIES
from costmodel.testing.case import Case as Case
from costmodel.testing.case import Template as Template
from costmodel.testing.case import fill as fill
from costmodel.testing.case import images as images
from costmodel.testing.counting import Count as Count
from costmodel.testing.operators import cases as cases
from costmodel.testing.operators import symbolic_cases as symbolic_cases
from costmodel.testing.operators import templates as templates
from costmodel.testing.random_graphs import graphs as graphs
from costmodel.testing.random_graphs import symbolic_graphs as symbolic_graphs
from costmodel.testing.table import OperatorTable as OperatorTable
