"""Settings of the pages: everything is built from this tree, without network."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
# Pages must not depend on who builds them: no calibrations of the user, no colours, 80 columns.
os.environ |= {
    "COSTMODEL_HOME": str(HERE / "_build" / "no-calibrations"),
    "NO_COLOR": "1",
    "COLUMNS": "80",
}

project = "costmodel"
author = "The costmodel developers"
copyright = author
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "command",
    "gallery",
    "mathml",
    "reference",
    "tables",
]
exclude_patterns = ["_build", "data", "examples", "**/README.md"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "costmodel"
html_sidebars = {"index": [], "references": []}
html_static_path = ["_static"]
html_css_files = ["costmodel.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": False,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
pygments_style = "tango"

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say types, with units
autodoc_default_options = {"members": True, "member-order": "bysource"}
autosummary_generate = True
# A class and a package whose names differ by a capital have one file where disks ignore case.
autosummary_filename_map = {
    f"costmodel.{name}": f"costmodel.class-{name}" for name in ("Calibration", "Prediction")
}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
nitpick_ignore_regex = [("py:.*", ".*")]

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "backreferences_dir": None,
    "subsection_order": ExplicitOrder(
        [f"examples/{name}" for name in ("guidelines", "design", "platforms", "paper", "trust")]
    ),
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
    "capture_repr": (),
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", "gallery.sharp"),
    "thumbnail_size": (640, 440),
    "parallel": os.cpu_count() or 1,
    "plot_gallery": "True",
    "run_stale_examples": True,  # the package or the data may have changed, not the example
}


def _skip_foreign(app, what, name, obj, skip, options):  # type: ignore[no-untyped-def]
    """Leave out what a package only imports, and the fields of named tuples, which say nothing."""
    if type(obj).__name__ == "_tuplegetter":
        return True
    page = app.env.docname.rpartition("/")[2]
    home = getattr(obj, "__module__", None)
    if what == "module" and isinstance(home, str) and not home.startswith(page):
        return True
    return None


def setup(app):  # type: ignore[no-untyped-def]
    """Register what is done with members."""
    app.connect("autodoc-skip-member", _skip_foreign)
