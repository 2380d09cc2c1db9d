"""The site: `make docs` builds it from these documents, the sources and the shipped records, without network."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "figures")]

project = "s4nn_ref"
author = "The s4nn_ref authors"
project_copyright = author
version = release = version_of("s4nn_ref")

extensions = [
    "myst_parser",
    "press.mathml",
    "press.sources",
    "press.equation",
    "press.equation_systems",
    "press.records",
    "press.gallery",
    "press.decision",
    "press.cells_page",
    "press.map",
    "press.api",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery"]
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "drawn",
    "image_scrapers": ("press.gallery.scraper",),
    "within_subsection_order": "press.gallery.Order",
    "capture_repr": (),
    "reset_modules": (),  # the figures have a style of their own
    "run_stale_examples": True,  # a record may be newer than the script
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 3600,
    "write_computation_times": False,
    "inspect_global_variables": False,
    "notebook_extensions": set(),
    "log_level": {"backreference_missing": "info"},
}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4
myst_all_links_external = False
html_math_renderer = "mathml"

html_theme = "furo"
html_title = "s4nn_ref"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_use_index = False  # nothing is put into it; search and the map find things
html_show_search_summary = False  # it reads other pages, which a browser refuses at a file:// address
# no html_theme_options["navigation_with_keys"]: arrow keys scroll wide tables, and move the pen of the decision page
# code is told apart by more than its colour, and stays readable in print
pygments_style, pygments_dark_style = "a11y-light", "a11y-dark"
