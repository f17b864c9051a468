"""The tables of REPORT.md on the true time axis, from the records of notebooks 7, 7b and 8."""

from pathlib import Path

import pandas as pd

from sensegen_utils.har import ACTIVITIES
from sensegen_utils.metrics import interval
from sensegen_utils.profiles import WINDOW_MODELS
from sensegen_utils.records import load_record

FIGURES = (  # of each model, {} in the name; title, meaning
    (
        "07_samples-{}-seed0",
        "Real and generated motion",
        "Left test volunteers, whom G has never met; right nobody.",
    ),
    (
        "08_summary-{}",
        "All judges at a glance",
        "White is as good as real people, dark the worst of the row. The broken generators show where a "
        "metric is blind: there they are white.",
    ),
    ("08_spectra-{}", "Spectra by activity", "Median and quartiles over windows."),
    ("08_tsne-{}", "One embedding of real and generated windows", "The same islands in the same places."),
    (
        "08_mixing-{}",
        "Real and synthetic data together",
        "Above the darkest line synthetic data help, below it they hurt.",
    ),
    (
        "07_pit-{}-seed0",
        "Calibration",
        "Where observations lie in G's own distributions; flat is perfect, horns are too narrow.",
    ),
    (
        "07_nll-{}-seed0",
        "Likelihood by activity and position",
        "On test volunteers; lower is better.",
    ),
    ("07_drift-{}-seed0", "Free running", "Level lines: G does not lose its way."),
)
ABLATION_FIGURE = (
    "07b_ablation",
    "What each change is worth",
    "Bars to the right: the change costs likelihood. Lines are standard deviations over seeds.",
)


def load_motion(folder):
    """Read the records of notebooks 7, 7b and 8 in a profile's folder; what has not run is left out.

    Returns {"models": {name: [records of 07 by seed]}, "ablation": record or None, "evaluations": {name:
    record}}.
    """
    records = Path(folder) / "records"
    ablation = records / "07b_ablation.json"
    return {
        "models": {
            name: [load_record(path) for path in sorted(records.glob(f"07_true_time_axis-{name}-seed*.json"))]
            for name in WINDOW_MODELS
        },
        "ablation": load_record(ablation) if ablation.exists() else None,
        "evaluations": {
            name: load_record(path)
            for name in WINDOW_MODELS
            if (path := records / f"08_evaluation-{name}.json").exists()
        },
    }


def make_motion_tables(motion):
    """Make the tables of what `load_motion` returns: {name: (caption, DataFrame of text)}, in order."""
    tables = {}
    if any(motion["models"].values()):
        tables["true_axis_likelihood"] = (
            "Held-out NLL at 50 Hz, nats per step, all channels jointly: mean over seeds (95 % interval)",
            _likelihood(motion["models"]),
        )
    if motion["ablation"]:
        epochs = motion["ablation"]["epochs"]
        caption = f"What each change is worth: one channel, {epochs} epochs, mean over seeds (95 % interval)"
        tables["ablation"] = (caption, _ablation(motion["ablation"]["rows"]))
    for name, record in motion["evaluations"].items():
        channels = len(record["signals"])
        windows = record["windows"]
        tables[f"judges_{name}"] = (
            f"{channels} channel(s): {windows['train']} windows of each kind for the judges' training, "
            f"{windows['test']} for their test; mean over seeds (95 % interval)",
            _judges(record),
        )
        tables[f"tstr_by_activity_{name}"] = (
            f"{channels} channel(s): F1 by activity, trained on the column's windows, tested on real ones",
            _by_activity(record["rows"]),
        )
        tables[f"mixing_{name}"] = (
            f"{channels} channel(s): accuracy with so many synthetic windows for each real one",
            _mixing(record["mixing"]),
        )
        tables[f"membership_{name}"] = (
            f"{channels} channel(s): membership inference from G's own likelihood (0.5 is chance)",
            _membership(record["membership"]),
        )
    return tables


def _over_seeds(values, digits=3):
    found = interval(list(values))
    text = f"{found['mean']:.{digits}f}"
    return (
        text if found["low"] is None else f"{text} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"
    )


def _likelihood(models):
    rows = []
    for records in models.values():
        if not records:
            continue
        rows.append(
            [len(records[0]["signals"]), len(records)]
            + [
                _over_seeds(record["nll"][part] for record in records)
                for part in ("train", "validation", "test")
            ]
            + [f"{records[0]['linear_nll']['test']:.3f}"]
            + [_over_seeds(record["bits_per_sample"]["test"] for record in records)]
            + [_over_seeds(record["coverage"]["test"]["central 90%"] for record in records)]
        )
    columns = [
        "channels", "seeds", "17 training volunteers", "4 of validation", "9 of the test",
        "test, linear with Gaussian innovations", "test, bits per sample", "test, share in the central 90 %",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _ablation(rows):
    rows = pd.DataFrame(rows)
    numbers = ["validation NLL", "test NLL", "features judge", "spectrum (dB)"]
    table = rows.groupby("variant", sort=False)[numbers].agg(_over_seeds).reset_index()
    return table.assign(seeds=rows.groupby("variant", sort=False).size().to_numpy())


def _judges(record):
    rows = pd.DataFrame(record["rows"]).drop(columns=["seed", "TSTR F1"])
    table = rows.groupby("contender", sort=False).agg(_over_seeds).T
    return table[["real people", *record["contenders"][1:]]].rename_axis("metric").reset_index()


def _by_activity(rows):
    scores = pd.DataFrame(
        [
            (row["contender"], ACTIVITIES[int(code)].lower(), f1)
            for row in rows
            for code, f1 in row["TSTR F1"].items()
        ],
        columns=["contender", "activity", "F1"],
    )
    table = scores.pivot_table("F1", "activity", "contender", aggfunc=_over_seeds, sort=False)
    return table.reset_index().rename_axis(columns=None)


def _mixing(rows):
    table = pd.DataFrame(rows).pivot_table(
        "accuracy", "real windows", "synthetic for each real", aggfunc=_over_seeds
    )
    return table.reset_index().rename_axis(columns=None)


def _membership(records):
    rows = [
        (number, *(f"{record[key]:.3f}" for key in ("auc", "low", "high")))
        for number, record in enumerate(records)
    ]
    return pd.DataFrame(rows, columns=["seed", "AUC", "95 % low", "95 % high"])
