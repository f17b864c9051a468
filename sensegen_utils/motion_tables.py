"""The tables of REPORT.md on the true time axis, from the records of notebooks 7, 7b and 8."""

from pathlib import Path

import pandas as pd

from sensegen_utils.har import ACTIVITIES
from sensegen_utils.metrics import interval
from sensegen_utils.profiles import BROKEN, WINDOW_MODELS
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
    (
        "07_drift-{}-seed0",
        "Free running",
        "Series that G continues by itself, segment by segment. Level would be no drift; dotted is what real "
        "windows of other people get.",
    ),
)
# Metrics on which a generator can be nearer to people than another; all but TSTR are distances.
FIDELITY = (
    "judge", "TimeGAN", "MMD", "marginal", "tails", "autocorrelation", "spectrum", "jerk", "gait", "gravity",
    "norm", "cross-correlation", "TSTR",
)  # fmt: skip
WHY_AHEAD = {  # what a baseline is given, where G has to learn it, or what the metric cannot see
    "TimeGAN": "a GRU of three units misses what the strong judge sees",
    "VAR": "it is fitted to each activity's mean and spectra directly",
    "block bootstrap": "its values are people's own; only its seams are false",
}
ABLATION_FIGURE = (
    "07b_ablation",
    "What each change is worth",
    "Bars to the right: the change costs likelihood; to the left it gains, within so few epochs. Lines are "
    "standard deviations over seeds.",
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
    if motion["evaluations"]:
        tables["landing"] = (
            "Where the judges' scores were to land, set before they were measured: means over seeds",
            _landing(motion["evaluations"].values()),
        )
    for name, record in motion["evaluations"].items():
        channels = len(record["signals"])
        windows = record["windows"]
        tables[f"judges_{name}"] = (
            f"{channels} channel(s): {windows['train']} windows of each kind for the judges' training, "
            f"{windows['test']} for their test; mean over seeds (95 % t-interval, not cut at 0 or 1)",
            _judges(record),
        )
        if not (ahead := baselines_ahead(record["rows"])).empty:
            tables[f"ahead_{name}"] = (
                f"{channels} channel(s): where a baseline's mean is nearer to people than G's, and why; with "
                "what the strong judge makes of that baseline",
                ahead,
            )
        if record["provenance_of_packages"]:
            tables[f"packages_{name}"] = (
                f"{channels} channel(s): what the baselines of other packages were given, with their own "
                "defaults, and how far they came",
                _packages(record["provenance_of_packages"].values()),
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
            f"{channels} channel(s): membership inference from G's own likelihood, against the test's "
            "volunteers (0.5 is chance; the floor is those of validation, whom G does not know either)",
            _membership(record["membership"]),
        )
    return tables


def baselines_ahead(rows):
    """Name the metrics of fidelity and TSTR on which a baseline's mean is nearer to people than G's, and why.

    ``rows`` are the rows of notebook 8, a dict for each contender and seed. Returns a DataFrame of text.
    """
    means, texts = (_by_contender(rows).agg(function) for function in ("mean", _over_seeds))
    ahead = []
    for metric in means.columns[means.columns.str.startswith(FIDELITY)]:
        gain = _sign(metric) * (means[metric] - means.loc["G", metric])
        for baseline in gain.index[gain > 0].intersection(_baselines(means)):
            why = WHY_AHEAD.get("TimeGAN" if metric.startswith("TimeGAN") else baseline, "")
            ahead.append(
                [metric, *texts.loc[["real people", "G"], metric], baseline, texts.loc[baseline, metric]]
                + [f"{means.loc[baseline, 'judge cnn']:.3f}", why]
            )
    columns = ["metric", "real people", "G", "baseline", "its value", "its score, judge cnn", "why"]
    return pd.DataFrame(ahead, columns=columns)


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


def _landing(records):
    rows = [
        (len(record["signals"]), what, bar, found, met if met == "blind" else "yes" if met else "no")
        for record in records
        for what, bar, found, met in _bars(record)
    ]
    return pd.DataFrame(rows, columns=["channels", "what", "bar", "found", "met"])


def _bars(record):
    """What a record is held to: (what, bar, found, whether it is met), of all that it holds.

    A judge that lets every broken generator pass, too, says nothing of G: "blind".
    """
    means = _by_contender(record["rows"]).mean()
    ours, floor = means.loc["G"], means.loc["real people"]
    baselines = means.loc[_baselines(means)]
    limits = [("judge cnn", 0.15), ("judge report", 0.05)] if len(record["signals"]) == 1 else []
    limits += [("TimeGAN discriminative", 0.17)] if "TimeGAN discriminative" in means else []
    for metric, limit in limits:
        caught = means.loc[means.index.isin(BROKEN), metric].max()
        found = f"{ours[metric]:.3f}; broken generators up to {caught:.3f}"
        met = ours[metric] <= limit if caught > limit else "blind"
        yield f"score, {metric}", f"at most {limit}", found, met
    lost = 1 - ours["TSTR accuracy"] / floor["TSTR accuracy"]
    yield "TSTR accuracy lost against real data", "at most 8 %", f"{lost:.1%}", lost <= 0.08
    for metric in ("judge cnn", "judge features", "TimeGAN discriminative", "TSTR accuracy"):
        if metric not in means:  # TimeGAN's with one channel
            continue
        sign = _sign(metric)
        others = (sign * baselines[metric]).sort_values()
        if len(others):  # none in smoke
            found = f"{ours[metric]:.3f}; {others.index[-1]} {abs(others.iloc[-1]):.3f}"
            ahead = sign * ours[metric] > others.iloc[-1]
            yield f"ahead of every baseline, {metric}", "yes", found, ahead
    for metric in ("nearest-neighbour ratio", "the same, DTW"):
        name = metric.replace("the same", "nearest-neighbour ratio")
        least = _by_contender(record["rows"])[metric].min()["real people"]
        bar = f"at least {least:.3f}, the least of real people"
        yield f"{name}, lower is copying", bar, f"{ours[metric]:.3f}", ours[metric] >= least
    worst = pd.DataFrame(record["membership"]).sort_values("low").groupby("volunteers").last()
    known, unknown = (f"{worst.low[name]:.3f} to {worst.high[name]:.3f}" for name in ("train", "validation"))
    found = f"{known}, the highest of the seeds; of validation, whom G does not know either, {unknown}"
    yield "membership inference, AUC", "95 % interval holds 0.5", found, worst.low["train"] <= 0.5
    mixing = _by_mix(record["mixing"], "mean")
    gains = mixing.drop(columns=0).sub(mixing[0], axis=0)
    least, smallest = gains.min().min(), gains.iloc[0].min()
    what = "accuracy gained by synthetic beside real data"
    yield what, "never below 0", f"least {least:+.3f}", least >= 0
    what = f"the same, {gains.index[0]} real windows"
    yield what, "above 0", f"least {smallest:+.3f}", smallest > 0


def _by_contender(rows):
    return pd.DataFrame(rows).drop(columns=["seed", "TSTR F1"]).groupby("contender", sort=False)


def _baselines(means):
    return means.index.drop(["real people", "G", *BROKEN], errors="ignore")


def _sign(metric):
    """1 where more is better, -1 for a distance; of the metrics in FIDELITY."""
    return 1 if metric.startswith("TSTR") else -1


def _judges(record):
    table = _by_contender(record["rows"]).agg(_over_seeds).T
    return table[["real people", *record["contenders"][1:]]].rename_axis("metric").reset_index()


def _packages(provenances):
    rows = []
    for each in provenances:
        settings = each["settings"]
        done = pd.DataFrame([part["counts"] for part in each["parts"].values()]).sum()
        rows.append([
            f"tsgm {settings['model']}", settings["tsgm"], f"{settings['minutes']:g}", len(each["parts"]),
            ", ".join(f"{number:g} ({kind})" for kind, number in done.items()),
            f"{each['sampling_seconds'] / 60:.1f}",
        ])  # fmt: skip
    columns = ["baseline", "version", "minutes of training", "networks", "epochs or iterations, all networks",
               "minutes of drawing"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


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


def _by_mix(rows, over_seeds):
    return pd.DataFrame(rows).pivot_table(
        "accuracy", "real windows", "synthetic for each real", aggfunc=over_seeds
    )


def _mixing(rows):
    return _by_mix(rows, _over_seeds).reset_index().rename_axis(columns=None)


def _membership(records):
    table = pd.DataFrame(records).sort_values(["volunteers", "seed"]).round(3)
    names = {"auc": "AUC", "low": "95 % low", "high": "95 % high"}
    return table[["volunteers", "seed", *names]].rename(columns=names)
