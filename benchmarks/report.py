"""The page on speed with its pictures, from the records alone: `python -m benchmarks.report`."""

import re
from pathlib import Path

import jinja2

from benchmarks.pictures import draw_all
from benchmarks.records import FOLDER, load_benchmarks
from benchmarks.tables import count_verdicts, make_sections
from sensegen_utils.files import ROOT, atomic_path

PAGE = ROOT / "results" / "full" / "report" / "speed.md"


def render_page(folder=FOLDER):
    """The page as Markdown, from the records and pictures in ``folder``."""
    benchmarks = load_benchmarks(folder)
    sections = make_sections(benchmarks)
    bars, missed = count_verdicts(sections)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("speed.md.j2").render(
        sections=sections,
        bars=bars,
        missed=missed,
        benchmarks=benchmarks,
        figures={path.stem for path in (Path(folder) / "figures").glob("*.png")},
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main(folder=FOLDER, page=PAGE):
    """Draw the pictures, write the page, and print where it is."""
    draw_all(folder)
    with atomic_path(page) as temporary:
        temporary.write_text(render_page(folder))
    print(page)


if __name__ == "__main__":
    main()
