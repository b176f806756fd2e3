"""The site of these pages; `make docs` builds it, and a broken link or anchor ends the build."""

project = "Treadle"
html_title = "Treadle"
extensions = ["myst_parser"]
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
myst_heading_anchors = 4  # every heading that a link may name, by the name that GitHub gives it
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # `…` stands for whatever is printed there
