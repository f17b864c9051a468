"""The audit: what the report states, what we found, and the verdict. No verdict is made anywhere else."""

import numpy as np

from sensegen_utils.judge.checks import prediction_interval
from sensegen_utils.report import published
from sensegen_utils.report.records import PICTURES
from sensegen_utils.report.words import TEMPLATES, read_tables

VERDICTS = ("reproduced", "reproduced under other conditions", "deviates", "not reproducible")
REPRODUCED, ELSEWHERE, DEVIATES, NOT_REPRODUCIBLE = VERDICTS
NLL_TOLERANCE = 0.1  # nats per step, ours: epochs that follow each other differ by as much
NEIGHBOURS = 10  # epochs, of the predictors only: one seed each, and an error that swings from epoch to epoch
SIGMAS = {
    "sigma = exp(l / 2), as in the public code": "published_sigma",
    "sigma = exp(l) + floor": "curves",  # ours
}
FEWEST = 5  # numbers that a prediction interval needs here: of fewer it is so wide that it refutes nothing


def claims(results):
    """Judge what the report claims, from what `records.load_results` returns.

    Returns twenty dicts: "key", "claim" (as reported), "found" (ours), "verdict" (one of VERDICTS), "why" (or
    ""), "chapter" (the page with the evidence, and its anchor).
    """
    losses = {"generative": generative_losses(results), "discriminative": discriminative_losses(results)}
    verdicts = _verdicts(results)
    for kind, rows in losses.items():
        key = kind + " {epoch} {signal} {lstm_units}"
        verdicts |= {key.format(**row): row["verdict"] for row in rows}
    what = {"results": results, "losses": losses, "verdicts": verdicts, "published": published}
    what |= {"seeds": of_true_run(results, published.NAN_EPOCHS - 1), "broken": broken(results)}
    what |= {"last": results["beyond"] or results["curves"][0], "pictures": len(PICTURES)}
    what |= {each.__name__: each for each in (in_range, stopped, expected_range)}
    told = TEMPLATES.get_template("audit.j2").render(**what, accuracies=d_accuracies(results))
    return [row | {"verdict": verdicts[row["key"]]} for row in read_tables(told)["audit"].to_dict("records")]


def generative_losses(results):
    """Judge the report's generative losses; what there is not, or not at that epoch, is None or empty.

    Returns its rows with "ours" (as stated), "difference", "seeds" (of its true run), "standardised" (ours as
    stated, but on a series less its mean and in its deviations), "verdict" and "why".
    """
    rows = []
    for row in published.LOSS_TABLE:
        reported, nll = row["generative"], _of_row(results["experiments"], row)[0]["training_nll"]
        seeds = of_true_run(results, row["generative_epoch"])
        ours = nll[row["epoch"] - 1] if comparable(results) and row["epoch"] <= len(nll) else None
        standardised = _standardised(results, row)
        difference = None if None in (ours, reported) else ours - reported
        if reported is None and broken(results):
            verdict, why = ELSEWHERE, "with the report's own loss and one layer"
        elif reported is None:
            verdict, why = NOT_REPRODUCIBLE, f"no NaN in {results['failure']['epochs_at_most']} epochs"
        elif difference is not None and abs(difference) <= NLL_TOLERANCE:
            verdict, why = REPRODUCED, f"within {NLL_TOLERANCE} nats"
        elif seeds:
            verdict, why = in_range(reported, seeds)
        elif standardised and abs(_outside(reported, expected_range(standardised))) <= NLL_TOLERANCE:
            verdict, why = ELSEWHERE, f"within {NLL_TOLERANCE} nats of ours, standardised"
        elif standardised:
            verdict, why = in_range(reported, standardised, "ours, standardised")
        elif difference is not None:
            verdict, why = in_range(reported, [ours], "ours")
        else:
            verdict, why = NOT_REPRODUCIBLE, stopped(results, len(nll))
        found = {"ours": ours, "difference": difference, "seeds": seeds, "standardised": standardised}
        rows.append(row | found | {"verdict": verdict, "why": why})
    return rows


def discriminative_losses(results):
    """Judge the report's discriminative losses; what there is not, or not at that epoch, is None or empty.

    Returns its rows with "near" ({layers: errors of our predictors within NEIGHBOURS epochs}), "layers" (of
    the nearest), "ours" (its error at the very epoch), "difference", "discriminator" (the round of Algorithm
    1 that ends at the row's epoch), "verdict" and "why".
    """
    predictors = [run for run in results["predictors"]["predictors"] if run["signal"] == "body_gyro_x"]
    runs, rows = {run["lstm_layers"]: run["training_mse"] for run in predictors}, []
    for row in published.LOSS_TABLE:
        reported, epoch = row["discriminative"], row["discriminative_epoch"]
        rounds = {each["g_epochs"]: each for each in _of_row(results["experiments"], row)[0]["rounds"]}
        found = {"discriminator": rounds.get(row["epoch"]), "near": {}}
        found |= {"layers": None, "ours": None, "difference": None}
        if epoch is None:
            verdict, why = NOT_REPRODUCIBLE, row["discriminative_origin"]
        elif not comparable(results) or any(epoch >= len(mse) for mse in runs.values()):
            verdict, why = NOT_REPRODUCIBLE, stopped(results, min(map(len, runs.values())))
        else:
            around = slice(max(epoch - NEIGHBOURS, 0), epoch + NEIGHBOURS + 1)
            near = {layers: mse[around] for layers, mse in runs.items()}
            best = min(near, key=lambda layers: abs(_outside(reported, expected_range(near[layers]))))
            whose = f"the {_range_of(near[best])} of our {best} layers' {len(near[best])} epochs there"
            verdict, why = in_range(reported, near[best], whose, digits=5)
            ours = runs[best][epoch]
            found |= {"near": near, "layers": best, "ours": ours, "difference": ours - reported}
        rows.append(row | found | {"verdict": verdict, "why": why})
    return rows


def published_curve(results, runs="curves"):
    """Set the published log beside our seeds, of ``runs``, at equal epochs only.

    Returns "rows": "epoch", "reported", "seeds", "range" (`expected_range` of them), "outside" (how far the
    log lies above that range, negative below). Where there are some, also how many are "inside", "below" and
    "above"; "what" the range is; and "rank", the place of the log's mean over these epochs among those of
    "seeds" curves and itself (1: lowest).
    """
    rows = []
    for epoch, reported in published.CURVE.items():
        if seeds := at_epoch(results, epoch, runs):
            row = {"epoch": epoch, "reported": reported, "seeds": seeds, "range": expected_range(seeds)}
            rows.append(row | {"outside": _outside(reported, row["range"])})
    if not rows:
        return {"rows": rows}
    sides = np.sign([row["outside"] for row in rows])
    counts = {name: int((sides == side).sum()) for name, side in (("inside", 0), ("below", -1), ("above", 1))}
    means, theirs = np.mean([row["seeds"] for row in rows], 0), np.mean([row["reported"] for row in rows])
    rank = {"rank": int((means < theirs).sum()) + 1, "seeds": len(means), "what": _range_of(means)}
    return {"rows": rows} | counts | rank


def continued(results):
    """Our NLL less the published log's, in the epochs after the published checkpoints of that log's run."""
    rows = [row for row in (results["published_weights"] or {"rows": []})["rows"] if row["nll"]]
    log = published.CHECKPOINTS_OF["mdngyromodel"]["log"]
    after = [(row, row["epoch"] + 1 + n, nll) for row in rows for n, nll in enumerate(row["more_epochs_nll"])]
    known = ((epoch, nll) for row, epoch, nll in after if row["run"] == "mdngyromodel" and nll is not None)
    return [nll - log[epoch] for epoch, nll in known if epoch in log]


def comparable(results):
    """Whether losses may be set beside published ones: real people, and the whole series."""
    return results["kind"] != "simulated" and results["profile"] != "smoke"


def at_epoch(results, epoch, runs="curves"):
    """Training NLL of all our seeds of the published run at ``epoch`` (from 0); empty if one stops before."""
    curves = [curve["training_nll"] for curve in results[runs]]
    reached = epoch is not None and comparable(results) and all(epoch < len(nll) for nll in curves)
    return [nll[epoch] for nll in curves] if reached else []


def of_true_run(results, epoch):
    """`at_epoch` of the runs that judge the published run: with its own sigma from FEWEST on, else ours."""
    theirs = at_epoch(results, epoch, "published_sigma")
    return theirs if len(theirs) >= FEWEST else at_epoch(results, epoch)


def expected_range(ours):
    """Where one more number like ours would lie: (low, high).

    From FEWEST on that is their 95 % prediction interval (t, mean and deviation), else their range.
    """
    return prediction_interval(ours) if len(ours) >= FEWEST else (min(ours), max(ours))


def broken(results):
    """Epochs in which the report's own loss became NaN."""
    return [row["failure"]["epoch"] for row in results["failure"]["rows"] if row["failure"]]


def d_accuracies(results):
    """Return D's accuracies on unseen volunteers: {where: [(accuracy, interval, whether it holds 50 %)]}."""

    def told(accuracy, interval):
        return accuracy, interval, interval[0] <= published.PAPER_ACCURACY <= interval[1]

    alone = [row["verdicts"][1] for row in results["judge"]["results"] if row["opponent"] == "generated"]
    last = [run["rounds"][-1] for run in results["experiments"] if run["rounds"]]
    return {
        "taught alone": [told(each["accuracy"], each["interval"]) for each in alone],
        "in Algorithm 1": [told(each["d_accuracy_unseen"], each["d_interval"]) for each in last],
    }


def in_range(reported, ours, whose=None, digits=3):
    """Judge a number by ours of the run that it comes from: inside `expected_range`, or how far outside."""
    outside = _outside(reported, expected_range(ours))
    whose = whose or f"the {_range_of(ours)} of our {len(ours)} seed{'s' * (len(ours) > 1)}"
    told = f"{abs(outside):.{digits}f} {'above' if outside > 0 else 'below'} {whose}"
    return (DEVIATES, told) if outside else (ELSEWHERE, f"inside {whose}")


def stopped(results, epochs):
    """Why there is nothing to compare with."""
    return f"this profile stops at epoch {epochs}" if comparable(results) else "other data, or a short series"


def _verdicts(results):
    """The verdicts on all claims that are no loss of the report's table, by key."""
    shapes, settings, nans = results["data"]["shapes"], results["experiments"][0]["settings"], broken(results)
    seeds, counts = of_true_run(results, published.NAN_EPOCHS - 1), results["curves"][0]["parameters"]
    lowest = min((results["beyond"] or results["curves"][0])["training_nll"])
    chance = all(holds for group in d_accuracies(results).values() for *_, holds in group)
    same = {name: list(map(list, pair)) for name, pair in published.DATA_SHAPES.items()} == shapes
    valid, drawn = all(results["judge"]["controls"].values()), len(results["pictures"]) == len(PICTURES)
    rounds = all(settings[name] == epochs for name, epochs in published.ROUND.items())
    scaled = any(run["signal"] == "body_gyro_x" for run in results["standardised"])  # it draws the gyroscope
    return {
        "windows": REPRODUCED if same else DEVIATES,
        "axis": ELSEWHERE,
        "G": REPRODUCED if counts["with_idle_dense"] == published.GENERATOR_TOTAL else DEVIATES,
        "D": REPRODUCED if results["judge"]["parameters"] == published.DISCRIMINATOR_TOTAL else DEVIATES,
        "NaN": ELSEWHERE if nans else NOT_REPRODUCIBLE,
        "NLL before NaN": in_range(published.NAN_NLL, seeds)[0] if seeds else NOT_REPRODUCIBLE,
        "NLL of the paper": ELSEWHERE if lowest <= published.PAPER_NLL else NOT_REPRODUCIBLE,
        "chance": NOT_REPRODUCIBLE if not valid else REPRODUCED if chance else DEVIATES,
        "Algorithm 1": REPRODUCED if rounds else ELSEWHERE,
        "figures": NOT_REPRODUCIBLE if not drawn else ELSEWHERE if scaled else REPRODUCED,
    }


def _outside(value, bounds):
    """How far a value lies above (low, high); negative below, 0 inside."""
    low, high = bounds
    return max(value - high, 0) or min(value - low, 0)


def _range_of(ours):
    return "95 % interval" if len(ours) >= FEWEST else "range"


def _standardised(results, row):
    """Training NLL at a row's epoch of all runs of its signal and units on the standardised series."""
    curves = [run["training_nll"] for run in _of_row(results["standardised"], row) if comparable(results)]
    return [nll[row["epoch"] - 1] for nll in curves if row["epoch"] <= len(nll)]


def _of_row(runs, row):
    """Those of the runs that have the signal and the units of a row of the loss table."""
    return [run for run in runs if all(run[key] == row[key] for key in ("signal", "lstm_units"))]
