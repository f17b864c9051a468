"""REPORT.md and its chapters from a profile's records: `python -m sensegen_utils.report.render full`."""

import os
import posixpath
import re
import sys
from pathlib import Path

from sensegen_utils.files import ROOT, atomic_path
from sensegen_utils.report import audit, expected, published
from sensegen_utils.report.figures import mark_kind
from sensegen_utils.report.records import computed_by, computing_seconds, load_results
from sensegen_utils.report.tables import make_tables
from sensegen_utils.report.words import TEMPLATES, to_markdown

CHAPTERS = ("losses", "nan", "discriminator", "time_axis", "motion_one", "motion_six", "ablation")
CHAPTERS += ("own_sensor", "provenance")  # and speed, which benchmarks/ writes
README_TABLE = r"(?s)(?<=<!-- results, written by code -->)\n.*?(?=<!-- end -->)"


def write_report(folder, root=ROOT, seed=0):
    """Write REPORT.md, its chapters and the tables as CSV into a profile's folder; return the pages' paths.

    The repository's own REPORT.md is that of the full run, or else of the quick one, never of smoke or
    simulated data. The README has a table of the full run. Raises as `load_results`.
    """
    folder, root = Path(folder), Path(root)
    results = load_results(folder, seed)
    tables = make_tables(results)
    for stale in (folder / "tables").glob("*.csv"):
        stale.unlink()
    for name, table in tables.items():
        with atomic_path(folder / "tables" / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    pages = {folder / "REPORT.md": ("report", ".")}
    pages |= {folder / "report" / f"{name}.md": (name, "..") for name in CHAPTERS}
    if folder.name == "full" or (folder.name == "quick" and not (root / "results/full/REPORT.md").exists()):
        pages[root / "REPORT.md"] = ("report", f"results/{folder.name}")
    what = {"results": results, "tables": tables, "claims": audit.claims(results)}
    what |= {"audit": audit, "published": published}
    what["machines"] = sorted({computed_by(each)["machine"]["processor"] for each in results["all"]})
    compared = expected.compare(folder)
    what["agreement"] = None if compared is None else expected.in_words(compared)
    what["total"] = sum(computing_seconds(each) or 0 for each in results["all"])
    texts = {path: render_page(page, folder, way, **what) for path, (page, way) in pages.items()}
    readme = root / "README.md"
    if folder.name == "full" and readme.exists():
        results_table = render_page("readme", folder, "results/full", **what)
        texts[readme] = re.sub(README_TABLE, lambda _: f"\n{results_table}", readme.read_text("utf-8"))
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    return list(pages)


def render_page(page, folder, way, results, tables, **what):
    """Render a page as Markdown; ``way`` leads from it to the profile's folder, for its links."""
    kind = mark_kind(results["kind"])

    def table(name, caption, kind=kind):
        told = f"**{caption}".replace(".", f".** *Data: {kind}.*", 1)
        return f"{told}\n\n{to_markdown(tables[name])}\n" if name in tables else ""

    def figure(name, title, meaning, kind=kind):
        told = f"![{title}]({way}/figures/{name}.png)\n\n**{title}.** *Data: {kind}.* {meaning}\n"
        return told if (folder / "figures" / f"{name}.png").exists() else ""

    def chapter(name):
        name, _, anchor = name.partition("#")
        path = f"{way}/../full/report/speed.md" if name == "speed" else f"{way}/report/{name}.md"
        return posixpath.normpath(path) + f"#{anchor}" * bool(anchor)

    template, _, model = page.partition("_") if page.startswith("motion") else (page, "", "")
    what |= {"results": results, "tables": tables, "model": model, "kind": kind}
    what |= {"table": table, "figure": figure, "chapter": chapter}
    text = TEMPLATES.get_template(f"{template}.md.j2").render(**what)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    seed = int(os.environ.get("SENSEGEN_SEED", 0))  # as the Snakefile has it
    print(*write_report(ROOT / "results" / Path(sys.argv[1]).name, seed=seed), sep="\n")
