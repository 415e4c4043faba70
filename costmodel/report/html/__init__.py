"""Reports for browsers and notebooks: one file that loads nothing, or a fragment of it."""

from __future__ import annotations

from costmodel.report.html.compared import comparison_page as comparison_page
from costmodel.report.html.fragments import graph_fragment as graph_fragment
from costmodel.report.html.fragments import prediction_fragment as prediction_fragment
from costmodel.report.html.whole import page as page
