"""Sphinx's settings. The pages are the repository's own files, where they lie; no notebook is run."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

project = html_title = "SenseGen on UCI HAR"
html_show_copyright = html_show_sphinx = False
extensions = ["myst_nb", "sphinx.ext.mathjax"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "notebooks/*.ipynb", "results/full/report/*.md"]
exclude_patterns = [".*", "data", "site"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_url_schemes = ["http", "https"]
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # else pages with widgets load scripts from another host

# One file of MathJax with its glyphs, out of the package that carries them all: no page needs a network.
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
html_static_path = [str(MATHJAX / "tex-svg.js"), "site.css"]
html_css_files = ["site.css"]
mathjax_path = "tex-svg.js"

html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "use_fullscreen_button": False,
    "navbar_persistent": [],
    "footer_content_items": [],
}
html_context = {"default_mode": "auto"}
html_favicon = "icon.svg"

CHAPTERS = (ROOT / "REPORT.md").read_text("utf-8").split("\n## Chapters")[1]
CHAPTERS = list(dict.fromkeys(re.findall(r"\((results/full/report/\w+)\.md\)", CHAPTERS)))
FIRST = ["questions", "own_sensor", "reproduction"]  # what users look for; all other guides follow by name
GUIDES = sorted({path.stem for path in (ROOT / "docs").glob("*.md")} - set(FIRST))
CONTENTS = {
    "Report": ["All claims on one page <REPORT>", *CHAPTERS],
    "Notebooks": ["notebooks/*"],
    "Guides": [*(f"docs/{guide}" for guide in FIRST + GUIDES), "CHANGELOG", "REMARK for econ-ark <REMARK>"],
}


def add_contents(app, docname, source):
    """Give README the table of contents, which has no place on the code host."""
    if docname == root_doc:
        for caption, pages in CONTENTS.items():
            options = ":hidden:\n:glob:\n"
            source[0] += f"\n```{{toctree}}\n{options}:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"


def turn_links(app, docname, source):
    """Turn links that only a code host can follow: to folders, and from the chapters to their own report."""
    here = Path(app.env.doc2path(docname)).parent

    def turned(link):
        target = Path(os.path.normpath(here / link[2]))
        if target == ROOT / "results/full/REPORT.md":
            return f"[{link[1]}](/REPORT.md)"
        return link[1] if target.is_dir() else link[0]

    source[0] = re.sub(r"(?<!!)\[([^\[\]]+)\]\(([\w./-]+)\)", turned, source[0])


def add_entrance(app, failed):
    """Lead those who open the folder to the first page."""
    if not failed:
        entrance = f'<meta http-equiv="refresh" content="0; url={root_doc}.html"><title>{project}</title>\n'
        Path(app.outdir, "index.html").write_text(f"<!doctype html>\n{entrance}")


def setup(app):
    """Connect these to the build."""
    app.connect("source-read", turn_links)
    app.connect("source-read", add_contents)
    app.connect("build-finished", add_entrance)
