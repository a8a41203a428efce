"""Sphinx's settings. `python -m website` passes the folder of pages; the pages load nothing from another host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from website.staging import SERVED

WIDE = "docs/canary-page-corrected"  # uses the whole width, for long rows of kubectl
project = "kserve-nb"
author = "The kserve-nb maintainers"
copyright = author
html_title = "kserve-nb"
language = "en"
root_doc = "index"
smartquotes = False  # `--option` in a sentence stays as it is

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = [SERVED]
suppress_warnings = ["misc.highlighting_failure"]  # a cell with %%kubectl and YAML is not Python

nb_execution_mode = "off"  # `kserve-nb run` has executed the notebooks
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # the widget manager would come from another host
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_merge_streams = True

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
myst_heading_slug_func = "website.links.heading_slug"

default_role = "code"  # docstrings mark code with single backticks
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # values of arguments as written: some are long tables
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
html_extra_path = [str(Path(os.environ["SITE_PAGES"]) / SERVED)]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "logo": {"text": "kserve-nb"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], WIDE: []},
    "footer_start": [],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_with_keys": False,
}
html_context = {"default_mode": "auto"}  # the theme of the reader's system, until the reader chooses one
html_sidebars: dict[str, list[str]] = {"index": [], "guide": [], "reference": [], "project": [], WIDE: []}
