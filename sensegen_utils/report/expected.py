"""Expected beside obtained: does a reader's own run agree with ours? `./run_all.sh check`

config/expected.yaml names the numbers; results/expected/<profile>.json holds the values that several seeds
gave, and the range that is expected. A count must be equal. Other numbers differ from seed to seed, and from
processor to processor, for a long training is chaotic: they must lie in the 95 % prediction interval of a new
seed (t, mean and deviation over the seeds), or within ROUNDING of it. One seed alone gives no interval, and
no verdict.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import yaml

from sensegen_utils.files import ROOT, atomic_path
from sensegen_utils.judge.checks import prediction_interval
from sensegen_utils.profiles import CONFIG
from sensegen_utils.report.records import computed_by, load_record

EXPECTED = CONFIG.parent / "results" / "expected"
ROUNDING = 1e-3  # what two processors may differ by where no seed makes a difference, as README says


def values_at(record, way):
    """Return a record's numbers at ``way``, names and places divided by "/"; "a=b" chooses rows of a list."""
    found = [record]
    for step in way.split("/"):
        key, chosen, value = step.partition("=")
        if chosen:
            found = [row for rows in found for row in rows if str(row[key]) == value]
        else:
            found = [each[int(step)] if isinstance(each, list) else each[step] for each in found]
    return found


def write_expected(profile, folders):
    """Write what to expect of a profile, from results folders of it, of other seeds or machines each."""
    numbers, machines = [], set()
    for name, record, way in yaml.safe_load((CONFIG / "expected.yaml").read_text("utf-8")):
        records = [found for folder in folders for found in _records(folder, record)]
        values = [value for each in records for value in values_at(each, way)]
        machines |= {computed_by(each)["machine"]["processor"] for each in records}
        low, high = prediction_interval(values)
        if all(isinstance(value, int) for value in values):
            low, high = min(values), max(values)
            if low < high:
                raise ValueError(f"{name}: the folders count {low} and {high}")
        elif low is not None:
            low, high = low - ROUNDING, high + ROUNDING
        what = {"number": name, "record": record, "way": way}
        numbers.append(what | {"low": low, "high": high, "values": values})
    content = {"processors": sorted(machines), "numbers": numbers}
    with atomic_path(EXPECTED / f"{profile}.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return EXPECTED / f"{profile}.json"


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
        records = _records(folder, each["record"])
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


def _records(folder, name):
    paths = Path(folder, "records").glob(f"{name.replace('{seed}', '[0-9]')}.json")
    return [load_record(path) for path in sorted(paths)]


def main(task, name, *more):
    """Check a results folder, in one sentence or with a table; or, for maintainers, write what to expect."""
    if task == "write":
        print(write_expected(name, more))
        return
    compared = compare(ROOT / "results" / name)
    if compared is None:
        print(f"== nothing is known of what to expect in results/{name}")
        return
    if "--brief" not in more:
        print(compared.to_string(index=False, float_format="%.4g", na_rep="–"))
    print(f"== {in_words(compared)}")


if __name__ == "__main__":  # check FOLDER [--brief], or write PROFILE FOLDER...
    main(*sys.argv[1:])
