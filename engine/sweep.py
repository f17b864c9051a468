"""Sweeps: many runs of one notebook, the points of a grid (docs/sweeps.md).

`engine/sweep.py check NAME` refuses a config/NAME.yaml that is wrong. `engine/sweep.py tell NAME FOLDER`
writes FOLDER/sweep.csv and FOLDER/sweep.png from the records of the points, and says which failed, and why.
"""

import csv
import itertools
import json
import re
import sys
from pathlib import Path

import receipts
import yaml

from sensegen_utils import profiles
from sensegen_utils.data.layout import SIGNALS

# run: names a point as its notebook does; tells: what the table shows, and its place in the record.
NOTEBOOKS = {
    "02_mdn_generator": {
        "axes": ("SIGNAL", "LSTM_UNITS", "LSTM_LAYERS", "SEED"),
        "run": profiles.run_name,
        "tells": ("held-out NLL", "nll_at_rest.held out"),
    },
    "07_true_time_axis": {
        "axes": ("MODEL", "SEED", "STEPS", "COMPONENTS"),
        "run": profiles.window_run_name,
        "tells": ("test NLL", "nll.test"),
    },
}
NAMES = {"SIGNAL": SIGNALS, "MODEL": tuple(profiles.WINDOW_MODELS)}
LEAST = {"SEED": 0, "STEPS": 2}  # of all others: 1
SECONDS = "seconds of computing"


def read(name):
    """Return the notebook of config/<name>.yaml and its points, {name of the point: parameters}.

    Raises ValueError, which says what is allowed, for an unknown key, parameter, number or value.
    """
    try:
        return _read(yaml.safe_load((profiles.CONFIG / f"{name}.yaml").read_text("utf-8")))
    except (ValueError, TypeError, OSError, yaml.YAMLError) as error:
        raise ValueError(f"config/{name}.yaml: {error}") from error


def _read(told):
    keys = ("notebook", "profile", "numbers", "grid")
    if not isinstance(told, dict) or sorted(told) != sorted(keys):
        raise ValueError(f"it must have these keys and no others: {', '.join(keys)}")
    for key in ("numbers", "grid"):
        if not isinstance(told[key], dict):
            none = ", or {} for none" if key == "numbers" else ""
            raise ValueError(f"{key} is {told[key]!r}; give names and values{none}")
    _known("notebook", told["notebook"], NOTEBOOKS)
    _known("profile", told["profile"], profiles.PROFILES)
    base, notebook = profiles.PROFILES[told["profile"]], NOTEBOOKS[told["notebook"]]
    for number, value in told["numbers"].items():
        _known("number", number, numbers_of(told["notebook"]))
        if type(value) is not type(base[number]):
            raise ValueError(f"{number} is {value!r}; it must be of the kind of {base[number]!r}")
    if sorted(told["grid"]) != sorted(notebook["axes"]):
        raise ValueError(f"grid must have these parameters and no others: {', '.join(notebook['axes'])}")
    for axis, values in told["grid"].items():
        if not isinstance(values, list) or not values or len(set(map(repr, values))) < len(values):
            raise ValueError(f"{axis} is {values!r}; it must be a list of one or more different values")
        for value in values:
            if axis in NAMES:
                _known(axis, value, NAMES[axis])
            elif type(value) is not int or value < LEAST.get(axis, 1):
                raise ValueError(f"{axis} {value!r} is no whole number from {LEAST.get(axis, 1)} on")
    points = [
        dict(zip(told["grid"], values, strict=True)) for values in itertools.product(*told["grid"].values())
    ]
    return told["notebook"], {
        notebook["run"](**{axis.lower(): value for axis, value in point.items()}): point for point in points
    }


def _known(what, value, known):
    if value not in list(known):
        raise ValueError(f"unknown {what} {value!r}; choose one of: {', '.join(known)}")


def numbers_of(notebook):
    """Return the names of the profile's numbers that a notebook reads, without those that change nothing."""
    text = Path(__file__).parents[1].joinpath("notebooks", f"{notebook}.ipynb").read_text("utf-8")
    return sorted({*re.findall(r'profile\[\\"(\w+)\\"\]', text)} - {"minutes"})


def state(folder, run, asked):
    """Return "done" if the run's receipt is there and says what is asked now; else why it is not done."""
    log = folder / "logs" / f"{run}.log"
    receipt, end = folder / "runs" / f"{run}.json", log.with_suffix(".end.json")
    if receipt.exists():
        was = json.loads(receipt.read_text("utf-8"))
        if was == was | asked | {"numbers": was["numbers"] | asked["numbers"]}:  # it knows the data too
            return "done"
    told = json.loads(end.read_text("utf-8")) if end.exists() else {}
    if "error" in told:
        return f"failed: {told['error'].splitlines()[-1]}"
    return "stopped or killed" if log.exists() and not told else "not run"


def table(name, folder):
    """Return {point: row}: its parameters, the measure, the seconds of computing, its state."""
    notebook, points = read(name)
    measure, place = NOTEBOOKS[notebook]["tells"]
    profile = json.loads(json.dumps(profiles.get_profile(name)))  # lists, as in a receipt
    same = {"version": receipts.version(f"notebooks/{notebook}.ipynb")}
    same |= {"numbers": {number: profile[number] for number in numbers_of(notebook)}}
    rows = {}
    for point, parameters in points.items():
        run = f"{notebook}-{point}"
        asked = same | {"parameters": {"PROFILE": name} | parameters}
        row = parameters | {measure: None, SECONDS: None, "state": state(folder, run, asked)}
        if row["state"] == "done":
            record = folder / "records" / f"{run}.json"
            value = json.loads(record.read_text("utf-8"))
            for key in place.split("."):
                value = value[key]
            row |= {measure: round(value, 4), SECONDS: round(receipts.seconds(record), 1)}
        rows[point] = row
    return rows


def draw(rows, measure, path, kind):
    """Draw the measure over the first parameter that varies; colours and panels are the next three."""
    import matplotlib.pyplot as plt
    import pandas as pd
    import seaborn as sns

    from sensegen_utils.report.figures import save_figure, use_style

    use_style()
    plt.rcParams["figure.constrained_layout.use"] = False  # seaborn lays its grids out itself
    done = pd.DataFrame([row for row in rows if row["state"] == "done"])
    axes = list(done)[: list(done).index(measure)]
    varied = [axis for axis in axes if axis != "SEED" and done[axis].nunique() > 1] or ["SEED"]
    done[varied[1:]] = done[varied[1:]].astype(str)  # colours that can be told apart
    where = dict(zip(("x", "hue", "col", "row"), varied, strict=False))
    of_seeds = {
        "err_style": "bars",
        "errorbar": ("pi", 100),
        "estimator": "median",
    }  # from the least to the largest
    grid = sns.relplot(
        done, **where, y=measure, kind="line", marker="o", height=3.2, facet_kws={"sharey": False}, **of_seeds
    )
    grid.set_ylabels(f"{measure} (nats per step)").set(xticks=sorted(done[varied[0]].unique()))
    grid.figure.set_layout_engine("constrained")
    if varied[1:]:
        sns.move_legend(grid, "outside right upper")
    save_figure(grid.figure, path, kind)


def spent(rows, notebook, folder):
    """Return in words what the runs took that Snakemake measured here, and how much of it was computing."""
    took = {path.stem: path.read_text("utf-8") for path in (folder / "logs" / "benchmarks").glob("*.tsv")}
    took = {run: next(csv.DictReader(text.splitlines(), delimiter="\t")) for run, text in took.items()}
    pairs = [
        (row[SECONDS], took[f"{notebook}-{point}"])
        for point, row in rows.items()
        if row["state"] == "done" and f"{notebook}-{point}" in took
    ]
    if not pairs:
        return ""
    wall, processor = (sum(float(each[key]) for _, each in pairs) for key in ("s", "cpu_time"))
    return (
        f"== {len(pairs)} runs took {receipts.spoken(wall)} in all, one after the other, and "
        f"{receipts.spoken(processor)} of a processor; {sum(seconds for seconds, _ in pairs) / wall:.0%} of "
        "the time was computing, the rest start and pictures"
    )


def tell(name, folder):
    """Write table and picture; print what is done, what failed and why."""
    notebook, by_point = read(name)[0], table(name, folder)
    rows = list(by_point.values())
    with (folder / "sweep.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    states = [row["state"] for row in rows]
    for row in rows:
        if row["state"] != "done":
            print("-- " + ", ".join(f"{key} {row[key]}" for key in list(row)[:-3]) + f": {row['state']}")
    said = f"== {name}: {states.count('done')} of {len(rows)} points done; {folder}/sweep.csv"
    if "done" in states:
        run = f"{notebook}-{next(point for point, row in by_point.items() if row['state'] == 'done')}"
        record = json.loads((folder / "records" / f"{run}.json").read_text("utf-8"))
        draw(rows, list(rows[0])[-3], folder / "sweep.png", record["provenance"]["data"]["kind"])
        said += f", {folder}/sweep.png"
    print(*filter(None, (said, spent(by_point, notebook, folder))), sep="\n")


if __name__ == "__main__":
    try:
        read(sys.argv[2])
    except ValueError as error:
        sys.exit(str(error))
    if sys.argv[1] == "tell":
        tell(sys.argv[2], Path(sys.argv[3]))
