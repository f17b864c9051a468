"""Expected beside obtained: does a reader's own run agree with ours? `./run_all.sh check`

results/expected/<profile>.json (tests/write_expected.py writes it) holds the values that several seeds gave,
and the range that is expected of another. One seed alone gives no range, and no verdict.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from sensegen_utils.files import ROOT
from sensegen_utils.profiles import CONFIG
from sensegen_utils.report.records import load_record

EXPECTED = CONFIG.parent / "results" / "expected"


def values_at(record, way):
    """Return a record's numbers at ``way``, names and places divided by "/"; "a=b" chooses rows of a list."""
    found = [record]
    for step in way.split("/"):
        key, chosen, value = step.partition("=")
        if chosen:
            rows = [row for each in found for row in (each if isinstance(each, list) else [each])]
            found = [row for row in rows if str(row[key]) == value]
        else:
            found = [each[int(step)] if isinstance(each, list) else each[step] for each in found]
    return found


def compare(folder):
    """Set a results folder beside what is expected of its profile; None if nothing is expected of it.

    Returns a DataFrame: "number", "expected from", "to", "seeds", "obtained" (NaN if it is not there) and
    "agrees" (True, False, or None without an interval or a number).
    """
    path = EXPECTED / f"{Path(folder).name}.json"
    if not path.exists():
        return None
    rows = []
    for each in json.loads(path.read_text("utf-8"))["numbers"]:
        records = records_of(folder, each["record"])
        obtained = values_at(records[0], each["way"])[0] if records else None
        known = None not in (obtained, each["low"])
        agrees = each["low"] <= obtained <= each["high"] if known else None
        rows.append((each["number"], each["low"], each["high"], len(each["values"]), obtained, agrees))
    return pd.DataFrame(rows, columns=["number", "expected from", "to", "seeds", "obtained", "agrees"])


def in_words(compared):
    """Return one sentence on what `compare` found."""
    verdicts, missing = compared["agrees"], compared["obtained"].isna()
    agree, outside = (compared.loc[verdicts.eq(verdict), "number"] for verdict in (True, False))
    told = f"{len(agree)} of {len(agree) + len(outside)} numbers agree with those of this repository"
    told += f"; outside: {', '.join(outside)}" if len(outside) else ""
    told += f"; not there: {', '.join(compared.loc[missing, 'number'])}" if missing.any() else ""
    alone = int((compared["expected from"].isna() & ~missing).sum())
    return told + (f"; {alone} have a single seed and no interval" if alone else "")


def records_of(folder, name):
    """Load a folder's records of a name; "{seed}" in it stands for any."""
    paths = Path(folder, "records").glob(f"{name.replace('{seed}', '[0-9]')}.json")
    return [load_record(path) for path in sorted(paths)]


def main(name, *more):
    """Check a results folder: print one sentence, and without "--brief" a table before it."""
    compared = compare(ROOT / "results" / name)
    if compared is None:
        print(f"== nothing is known of what to expect in results/{name}")
        return
    if "--brief" not in more:
        print(compared.to_string(index=False, float_format="%.4g", na_rep="–"))
    print(f"== {in_words(compared)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
