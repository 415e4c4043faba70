"""Reports of networks and predictions: for terminals, programs (JSON, CSV) and browsers."""

from __future__ import annotations

from costmodel.report.collect import LABELS as LABELS
from costmodel.report.collect import OperatorCost as OperatorCost
from costmodel.report.collect import Report as Report
from costmodel.report.collect import Totals as Totals
from costmodel.report.collect import collect as collect
from costmodel.report.details import Details as Details
from costmodel.report.details import details as details
from costmodel.report.document import SCHEMA as SCHEMA
from costmodel.report.document import document as document
from costmodel.report.document import report_document as report_document
from costmodel.report.document import schema as schema
from costmodel.report.document import to_csv as to_csv
from costmodel.report.document import to_json as to_json
from costmodel.report.html import graph_fragment as graph_fragment
from costmodel.report.html import page as page
from costmodel.report.html import prediction_fragment as prediction_fragment
