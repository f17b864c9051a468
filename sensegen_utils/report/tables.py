"""The tables of the report's pages: their words and columns stand in templates/tables_*.j2, the sums here."""

import pandas as pd

from sensegen_utils.data.layout import ACTIVITIES
from sensegen_utils.judge.checks import KINDS
from sensegen_utils.judge.contenders import BROKEN
from sensegen_utils.report import audit, published
from sensegen_utils.report.records import computed_by, computing_seconds
from sensegen_utils.report.words import TEMPLATES, read_tables

# A control is broken on purpose. A package's model had a small budget, so it is nobody's best baseline.
ROLES = ("reference", "generator", "baseline", "package", "control")


def make_tables(results):
    """Return all tables that these results fill, as DataFrames of text: {name: table}.

    Tables of notebooks 7 to 8b have the model in their name, as "judges_six". What has not run has no table.
    """
    sums = (by_contender, means, closest, strongest, mixing_gains, computed_by, computing_seconds)
    what = {each.__name__: each for each in sums} | {"results": results, "audit": audit}
    what |= {"published": published, "activities": ACTIVITIES, "kinds": KINDS}
    pages = [TEMPLATES.get_template(f"tables_{axis}.j2").render(**what) for axis in ("report", "motion")]
    return read_tables("\n".join(pages))


def by_contender(record):
    """Return {contender, with its role: {metric: values of all seeds}} of a record of notebooks 8 to 8e."""
    groups = signed(pd.json_normalize(record["rows"])).groupby("contender", sort=False)
    ordered = sorted(groups, key=lambda group: ROLES.index(role_of(group[0])))
    named = {f"{role_of(name)}: {name}": rows.dropna(axis=1, how="all") for name, rows in ordered}
    lists = {name: {each: rows[each].dropna().tolist() for each in rows} for name, rows in named.items()}
    return {name.removesuffix(": G"): values for name, values in lists.items()}


def signed(rows):
    """Give a panel's scores their sign, accuracy - 0.5: the size alone would make luck look like skill."""
    accuracies = rows.filter(regex="^accuracy (judge|across) ") - 0.5
    return rows.assign(**accuracies.rename(columns=lambda name: name.removeprefix("accuracy ")))


def means(results, model):
    """Return the means over seeds of all that judged a model: contenders, with their "role", by metrics."""
    judged = (results["stronger"], results["fidelity"], results["use"], results["common"])
    frames = [signed(pd.DataFrame(part[model]["rows"])) for part in judged if model in part]
    groups = [rows.drop(columns="seed").groupby("contender", sort=False) for rows in frames]
    found = pd.concat([group.mean(numeric_only=True) for group in groups], axis=1)
    return found.assign(role=found.index.map(role_of))


def closest(found, metric, role, farthest=False):
    """Return who of a role has the mean closest to (or farthest from) the reference's; None without one."""
    away = (found[metric] - found.loc["real people", metric]).abs()[found["role"] == role].dropna()
    return None if away.empty else away.idxmax() if farthest else away.idxmin()


def strongest(found):
    """Return the judge with the highest score for the generator, a column of `means`: "judge trees"."""
    return found.loc["G", [f"judge {kind}" for kind in KINDS if f"judge {kind}" in found]].idxmax()


def mixing_gains(rows):
    """Return the accuracy gained by synthetic windows: numbers of real ones by shares of synthetic ones."""
    accuracy = pd.DataFrame(rows).pivot_table("accuracy", "real windows", "synthetic for each real")
    return accuracy.drop(columns=0).sub(accuracy[0], axis=0)


def role_of(name):
    """Return which of ROLES a contender has."""
    known = {"real people": "reference", "G": "generator"} | dict.fromkeys(BROKEN, "control")
    return known.get(name, "package" if name.startswith("tsgm ") else "baseline")
