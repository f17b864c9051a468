"""Looks at the built site as readers do: follows every link, sees every page as wide as a phone and a desk.

python site/check.py FOLDER [PICTURES]: prints what is wrong and exits with 1; with PICTURES it also keeps
screenshots of every page there. Without Chromium or Chrome it says so, and follows the links only.
"""

import functools
import http.server
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from shutil import which
from urllib.parse import unquote, urlsplit

from playwright.sync_api import TimeoutError, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}
FORMULAS = "document.querySelectorAll('.math').length"
DRAWN = f"document.querySelectorAll('.math mjx-container').length == {FORMULAS}"
LOOK = """() => ({
    "pixels to scroll sideways": document.documentElement.scrollWidth - document.documentElement.clientWidth,
    "pictures that did not load": [...document.images].filter(it => !it.complete || !it.naturalWidth).length,
    "formulas with an error": document.querySelectorAll("[data-mml-node=merror]").length,
})"""


class Page(HTMLParser):
    """What a page links to, and the names in it that others may link to."""

    def __init__(self, path):
        """Read a page."""
        super().__init__()
        self.links, self.names = [], {""}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        """Collect links and names."""
        told = dict(attributes)
        self.links += [told[key] for key in ("href", "src") if told.get(key)]
        self.names |= {told[key] for key in ("id", "name") if told.get(key)}


def dead_links(folder):
    """Return how many links within the site there are, and a sentence on each that leads nowhere."""
    pages = {path: Page(path) for path in folder.rglob("*.html") if "_static" not in path.parts}
    count, dead = 0, []
    for path, page in pages.items():
        for link in page.links:
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            count += 1
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            names = pages[file].names if file in pages else {""}
            if not file.is_file() or unquote(target.fragment) not in names:
                dead.append(f"{path.relative_to(folder)}: {link} leads nowhere")
    return count, dead


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that does not tell each request."""

    def log_message(self, *_):
        """Say nothing."""


def look(folder, browser, pictures):
    """See all pages; return their number, that of their formulas, and sentences on what is wrong."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home, wrong, formulas = f"http://127.0.0.1:{server.server_port}/", [], 0
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.html"))]
    names = [name for name in names if not name.startswith("_") and name != "index.html"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=QUIET)
        page = chromium.new_page(viewport=PHONE)
        listen(page, home, wrong)
        for name in names:
            page.set_viewport_size(PHONE)
            page.goto(home + name)
            formulas += page.evaluate(FORMULAS)
            try:
                page.wait_for_function(DRAWN)
            except TimeoutError:
                wrong.append(f"{name}: formulas are not drawn")
            for size in (PHONE, DESK):
                page.set_viewport_size(size)
                found = page.evaluate(LOOK).items()
                wrong += [f"{name} at {size['width']} px: {much} {what}" for what, much in found if much > 0]
                if pictures:
                    keep(page, f"{pictures}/{name.replace('/', '-')}-{size['width']}")
        wrong += search(page, home) + darken(page, home) + ([] if formulas else ["no page has a formula"])
        chromium.close()
    return len(names), formulas, wrong


def listen(page, home, wrong):
    """Note errors of scripts, requests that fail, and requests to any other host."""

    def note(what):
        wrong.append(f"{page.url.removeprefix(home)}: {what}")

    page.on("console", lambda said: note(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", note)
    page.on("requestfailed", lambda request: note(f"no answer from {request.url}"))
    away = lambda url: not url.startswith((home, "data:", "blob:"))  # noqa: E731
    page.on("request", lambda request: note(f"asks for {request.url}") if away(request.url) else None)


def keep(page, name):
    """Keep a screenshot of the light and the dark page."""
    for mode in ("dark", "light"):
        page.evaluate(f"document.documentElement.dataset.theme = '{mode}'")
        page.screenshot(path=f"{name}-{mode}.png", full_page=True)


def search(page, home):
    """Search for a word of the report, one of a notebook, and one that stands nowhere."""
    wrong = []
    for word, where in (
        ("memorises", "REPORT"),
        ("softmax", "notebooks/02_mdn_generator"),
        ("semigroup", ""),
    ):
        page.goto(f"{home}search.html?q={word}")
        page.wait_for_selector(
            "p.search-summary:has-text('finished'), p.search-summary:has-text('not match')"
        )
        found = page.eval_on_selector_all("#search-results li a", "them => them.map(it => it.href)")
        if not any(link.startswith(home + where) for link in found) if where else found:
            wrong.append(f"search: {word!r} is found in {found or 'no page'}, not in {where or 'none'}")
    return wrong


def darken(page, home):
    """Choose dark and light pages, and see whether they are."""
    page.goto(f"{home}README.html")
    colours = []
    for mode in ("dark", "light"):
        page.click(".theme-switch-button >> visible=true")
        page.click(f".theme-change-button[data-mode={mode}] >> visible=true")
        colours.append(
            page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        )
    dark, light = map(sum, colours)
    return [] if dark < 200 and light > 600 else [f"dark and light pages have the colours {colours}"]


def main(folder, pictures=None):
    """Check the site in a folder."""
    folder = Path(folder).resolve()
    count, wrong = dead_links(folder)
    print(f"{count} links within the site, {len(wrong)} of them dead")
    if browser := next(filter(None, map(which, BROWSERS)), None):
        pages, formulas, seen = look(folder, browser, pictures)
        wrong += seen
        print(f"{pages} pages seen at 390 and 1400 px, {formulas} formulas drawn; {len(seen)} complaints")
    else:
        print(f"NOT seen in a browser, since none is there: install {BROWSERS[0]} or Chrome", file=sys.stderr)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
