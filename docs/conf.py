"""How the documentation is built: ``make docs``, without a network."""

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

import jobplatform

# Drawing it would take a script from elsewhere; its text can be read.
lexers["mermaid"] = TextLexer()

project = "jobplatform"
author = "the authors of jobplatform"
release = version = jobplatform.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
html_theme = "furo"
html_title = f"jobplatform {release}"
html_static_path: list[str] = []
# Links that are written for readers of the files work in the pages, too.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
# Docstrings describe errors and parameters in the words of Sphinx; what they refer to is plain text.
nitpicky = False
