"""Reports of networks and predictions: for terminals, programs (JSON, CSV) and browsers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costmodel.report.collect import LABELS as LABELS
from costmodel.report.collect import OperatorCost as OperatorCost
from costmodel.report.collect import Report as Report
from costmodel.report.collect import Totals as Totals
from costmodel.report.collect import collect as collect
from costmodel.report.document import SCHEMA as SCHEMA
from costmodel.report.document import document as document
from costmodel.report.document import report_document as report_document
from costmodel.report.document import schema as schema
from costmodel.report.document import to_csv as to_csv
from costmodel.report.document import to_json as to_json

if TYPE_CHECKING:
    from costmodel.report.extras import Details as Details
    from costmodel.report.extras import details as details
    from costmodel.report.html.compared import comparison_page as comparison_page
    from costmodel.report.html.fragments import graph_fragment as graph_fragment
    from costmodel.report.html.fragments import prediction_fragment as prediction_fragment
    from costmodel.report.html.whole import page as page

_LATER = {
    "Details": "extras",
    "comparison_page": "html",
    "details": "extras",
    "graph_fragment": "html",
    "page": "html",
    "prediction_fragment": "html",
}
"""Names that only pages need, with their modules; text reports save the time of the import."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'costmodel.report' has no attribute {name!r}")
    module = import_module(f"costmodel.report.{_LATER[name]}")
    globals()[name] = getattr(module, name)
    return globals()[name]
