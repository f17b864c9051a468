"""How numbers become words: the templates of the report, and the forms of a number in them."""

from pathlib import Path
from statistics import median

import jinja2
import pandas as pd

from sensegen_utils.judge.checks import interval


def number(value, digits=3, sign=""):
    """Return a number as text, and a dash where there is none."""
    return "–" if value is None else f"{value:{sign}.{digits}f}"


def percent(share, digits=0):
    """Return a share as text in percent."""
    return f"{100 * share:.{digits}f} %"


def span(values, digits=3):
    """Return the range of several numbers as text, or the one number that they are."""
    told = [f"{value:.{digits}f}" for value in (min(values), max(values))] if values else ["–"]
    return " to ".join(dict.fromkeys(told))


def spread(values, digits=3, half=True):
    """Return the mean over seeds as text, and half of its 95 % t-interval; one seed has no interval."""
    found = interval(values)
    told = f" ± {found['high'] - found['mean']:.{digits}f}" if half and len(values) > 1 else ""
    return number(found["mean"], digits) + told


def duration(seconds):
    """Return a time as text: "45 s", "12 min" or "1.3 h"; a dash where it is not known."""
    if not seconds or seconds < 90:
        return f"{seconds:.0f} s" if seconds else "–"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def read_tables(text):
    """Read rendered tables: "[name]", then a line for each row, its cells divided by "|".

    Returns {name: DataFrame of text}, columns from the first line, without the tables that have no rows.
    """
    tables = {}
    for part in f"\n{text}".split("\n[")[1:]:
        name, *lines = [line for line in part.splitlines() if line.strip()]
        columns, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
        if rows:
            tables[name.rstrip("]")] = pd.DataFrame(rows, columns=columns)
    return tables


def to_markdown(table):
    """Return a DataFrame of text as a Markdown table, without padding: a page must stay short."""
    lines = [table.columns, ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
TEMPLATES.filters |= {each.__name__: each for each in (number, percent, span, spread, duration, median)}
