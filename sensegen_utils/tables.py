"""The tables of the report, from the records of one profile: reported, reproduced, difference, verdict."""

from pathlib import Path

import numpy as np
import pandas as pd

from sensegen_utils import published
from sensegen_utils.figures import mark_kind
from sensegen_utils.profiles import (
    BEYOND_FLOOR,
    CURVE_RUN,
    EXPERIMENTS,
    PUBLISHED_START_RUN,
    get_profile,
    run_name,
)
from sensegen_utils.records import load_record

NLL_TOLERANCE = 0.1  # nats per step, ours: epochs that follow each other differ by as much
NEIGHBOURS = 10  # epochs, ours: the published log is one draw of a curve that moves from epoch to epoch
NO_VALUE = "–"

DEVIATIONS = (
    ("loss", "sum of probabilities, then log; no floor", "logsumexp; sigma = exp(l) + floor",
     "stays finite; NLL cannot fall below log(floor sqrt(2 pi))"),
    ("sigma", "exp(l) in the report, exp(l / 2) in the public code (model.py)", "exp(l), as the report",
     "other learning dynamics, same family of densities"),
    ("gradient", "not clipped", "global norm clipped, see Training parameters",
     "chunks with a change of activity weigh less"),
    ("idle Dense(24)", "in the layer table, in no formula", "counted, not trained", "none"),
    ("G's initialisation", "TensorFlow 1", "the same for the one-layer run, Keras defaults for three layers",
     "first epochs differ"),
    ("D", "listed; none in the public code", "built as listed, last step to the dense layers, tanh in DENSE1",
     "its losses are a discriminator's"),
    ("Algorithm 1, G's half", "a minibatch of real data", "all four series, as the public code does",
     "none known"),
    ("D's sequences", "length not stated", "128 steps, standardised", "longer ones are easier to tell apart"),
    ("first value of a sample", "uniform in the public code, noise in the paper", "standard normal",
     "the first steps of a sample"),
)  # fmt: skip


def load_results(folder, seed=0):
    """Load the records that the report needs from ``results/<profile>``. Raises as `load_record`.

    "beyond" and "published_start" are None in a profile that has no such run.
    """
    records = Path(folder) / "records"
    data = load_record(records / "01_data_preparation.json")
    profile = get_profile(data["provenance"]["profile"])

    def generator(seed, model=CURVE_RUN, **what):
        return load_record(records / f"02_mdn_generator-{run_name(**model, seed=seed, **what)}.json")

    return {
        "data": data,
        "curves": [generator(each) for each in range(seed, seed + profile["generator_seeds"])],
        "beyond": generator(seed, sigma_floor=BEYOND_FLOOR) if profile["beyond_epochs"] else None,
        "published_start": (
            generator(seed, PUBLISHED_START_RUN, published_start=True)
            if profile["published_start_epochs"]
            else None
        ),
        "failure": load_record(records / "02b_nan_in_training.json"),
        "judge": load_record(records / f"03_discriminator-{run_name(**CURVE_RUN, seed=seed)}.json"),
        "predictors": load_record(records / "03b_next_step_predictor.json"),
        "experiments": [
            load_record(records / f"04_alternating_training-{experiment_run(experiment, seed)}.json")
            for experiment in EXPERIMENTS
        ],
    }


def experiment_run(experiment, seed):
    """Name of the run of one of the experiments of the loss table."""
    return run_name(experiment["signal"], experiment["lstm_units"], experiment["lstm_layers"], seed)


def all_records(results):
    """The records of `load_results` in the order of the notebooks."""
    generators = [*results["curves"], results["published_start"], results["beyond"]]
    in_order = [results["data"], *generators, results["failure"], results["judge"], results["predictors"]]
    return [record for record in [*in_order, *results["experiments"]] if record]


def make_tables(results):
    """All tables of the report as text: {name: (caption, DataFrame)}, each caption with the kind of data."""
    kind = mark_kind(results["data"]["provenance"]["data"]["kind"])
    profile = results["data"]["provenance"]["profile"]
    curves, experiments = results["curves"], results["experiments"]
    deviations = pd.DataFrame(DEVIATIONS, columns=["what", "report", "ours", "expected effect"])
    tables = {
        "data_shapes": ("Data shapes (report: Data Preparation)", _data_shapes(results["data"])),
        "generator_layers": (
            "Layers of G (report: Generative Model)",
            _layers(curves[0]["layers"], published.GENERATOR_LAYERS),
        ),
        "discriminator_layers": (
            "Layers of D (report: Discriminative RNN Model)",
            _layers(results["judge"]["layers"], published.DISCRIMINATOR_LAYERS),
        ),
        "training_parameters": ("Training parameters", _training_parameters(results)),
        "generative_losses": ("Generative losses (report: Sample Results)", _generative_losses(results)),
        "discriminative_losses": (
            "Discriminative losses (report: Sample Results)",
            _discriminative_losses(results),
        ),
        "published_curve": ("The published log, at equal epochs", _published_curve(curves)),
        "two_starts": ("Gyroscope, three layers: two starts", _two_starts(results)),
        "predictors": (
            "Next-step predictors beside their published logs",
            _predictors(results["predictors"]),
        ),
        "failures": ("Training with the report's loss", _failures(results["failure"])),
        "beyond": ("Beyond the report, and two floors of sigma", _beyond(results)),
        "checkpoints": ("Algorithm 1 at the epochs of the report's table", _checkpoints(experiments)),
        "rounds": ("Algorithm 1, last round of each experiment", _last_rounds(experiments)),
        "judge": ("D against five opponents", _judge(results["judge"])),
        "deviations": ("Deviations", deviations),
        "provenance": ("What made these numbers", _provenance(all_records(results))),
    }
    return {
        name: (f"{caption} · data: {kind} · profile: {profile}", table)
        for name, (caption, table) in tables.items()
    }


def comparable(record):
    """Whether a run may be set beside published numbers: real data, and the whole series."""
    made = record["provenance"]
    return made["profile"] != "smoke" and made["data"]["kind"] != "simulated"


def seed_range(curves, epoch, neighbours=0):
    """Lowest and highest training NLL of several seeds at an epoch, or within some epochs of it."""
    values = [curve["training_nll"][max(epoch - neighbours, 0) : epoch + neighbours + 1] for curve in curves]
    return min(map(min, values)), max(map(max, values))


def _data_shapes(data):
    def text(shapes):
        return " and ".join(f"({windows}, {samples})" for windows, samples in shapes)

    rows = []
    for signal, reported in published.DATA_SHAPES.items():
        ours = [tuple(shape) for shape in data["shapes"][signal]]
        difference = "none" if ours == list(reported) else "other size"
        verdict = _verdict(ours == list(reported), "simulated data have their own size")
        rows.append((signal, text(reported), text(ours), difference, verdict))
    return pd.DataFrame(rows, columns=["signal", "reported", "reproduced", "difference", "verdict"])


def _layers(ours, reported):
    rows = [(*pair, count) for pair, (_, count) in zip(reported, ours, strict=True)]
    rows.append(("total", sum(count for _, count in reported), sum(count for _, count in ours)))
    return pd.DataFrame(
        [(name, f"{r:,}", f"{o:,}", o - r, _verdict(o == r, "see notebook 2")) for name, r, o in rows],
        columns=["layer", "reported", "reproduced", "difference", "verdict"],
    )


def _training_parameters(results):
    settings = results["experiments"][0]["settings"]
    epochs = ", ".join(str(len(run["training_nll"])) for run in results["experiments"])
    rows = [
        ("G: optimizer, learning rate", "Adam, 0.0003",
         "Adam, {learning_rate}, global norm clipped at {g_clipnorm}".format(**settings)),
        ("G: batch", "4", "4 series, chunks of 20 steps, state carried"),
        ("G: epochs", "1500 (table: up to 2000)", f"{epochs} (one for each experiment)"),
        ("D: optimizer, learning rate", "Adam, 0.0003",
         "Adam, {learning_rate}, global norm clipped at {d_clipnorm}".format(**settings)),
        ("D: batch, loss", "128, MSE (its formula: cross-entropy)", "128, both"),
        ("a round of Algorithm 1", "D 200 epochs, G 100 epochs",
         "D {d_epochs_per_round} epochs, G {g_epochs_per_round} epochs".format(**settings)),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "reported", "reproduced"])


def _generative_losses(results):
    runs = {(run["signal"], run["lstm_units"]): run["training_nll"] for run in results["experiments"]}
    rows = []
    for row in published.LOSS_TABLE:
        nll, reported = runs[row["signal"], row["lstm_units"]], row["generative"]
        there = nll[row["epoch"] - 1] if len(nll) >= row["epoch"] else None
        difference = there - reported if there is not None and reported is not None else None
        rows.append((
            row["epoch"], row["signal"], row["lstm_units"], "NaN" if reported is None else reported,
            _number(there), _number(difference), f"{nll[-1]:.3f} at epoch {len(nll)}",
            _where_it_comes_from(row, results), _loss_verdict(row, there, len(nll), results),
        ))  # fmt: skip
    columns = ["epoch", "data", "units", "reported", "reproduced", "difference", "our last epoch"]
    return pd.DataFrame(rows, columns=[*columns, "where it really comes from: reproduced there", "verdict"])


def _where_it_comes_from(row, results):
    curves, epoch = results["curves"], row["generative_epoch"]
    if row["generative"] is None:
        broken = [each["failure"]["epoch"] for each in results["failure"]["rows"] if each["failure"]]
        found = f"NaN in epoch {', '.join(map(str, broken))}" if broken else "no NaN in this profile"
        return f"{row['generative_origin']}: {found}"
    if epoch is None or epoch >= len(curves[0]["training_nll"]) or not comparable(curves[0]):
        return row["generative_origin"]
    mean = np.mean([curve["training_nll"][epoch] for curve in curves])
    low, high = seed_range(curves, epoch)
    return f"{row['generative_origin']}: {mean:.3f} ({low:.3f} to {high:.3f})"


def _loss_verdict(row, there, epochs, results):
    curves, epoch, reported = results["curves"], row["generative_epoch"], row["generative"]
    if reported is None:
        broken = any(each["failure"] for each in results["failure"]["rows"])
        if broken:
            return f"reproduced under other conditions ({row['generative_origin']})"
        return "not reproducible (the stable loss stays finite; the report's did not break in this profile)"
    if there is not None and abs(there - reported) <= NLL_TOLERANCE:
        return "reproduced"
    if epoch is not None and epoch < len(curves[0]["training_nll"]) and comparable(curves[0]):
        low, high = seed_range(curves, epoch, NEIGHBOURS)
        if low <= reported <= high:
            return f"reproduced under other conditions ({row['generative_origin']})"
    if there is None:
        return f"not reproducible (this profile stops at epoch {epochs})"
    return f"deviates (reported value: {row['generative_origin']})"


def _discriminative_losses(results):
    runs = {(run["signal"], run["lstm_units"]): run["rounds"] for run in results["experiments"]}
    rows = []
    for row in published.LOSS_TABLE:
        rounds = runs[row["signal"], row["lstm_units"]]
        # The round that ends at the row's epoch, or the last that this profile has.
        last = next((each for each in rounds if each["g_epochs"] == row["epoch"]), rounds[-1])
        reported, origin = row["discriminative"], row["discriminative_origin"]
        rows.append((
            row["epoch"], row["signal"], row["lstm_units"], "NaN" if reported is None else reported,
            "MSE {d_loss_after:.3f}, cross-entropy {d_cross_entropy_after:.3f}, round {round}".format(**last),
            NO_VALUE if reported is None else f"{last['d_loss_after'] - reported:+.3f}",
            f"{'deviates' if row['discriminative_epoch'] else 'not reproducible'} ({origin})",
        ))  # fmt: skip
    columns = ["epoch", "data", "units", "reported", "a real discriminator's loss", "difference", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _published_curve(curves):
    rows = []
    for epoch, reported in published.CURVE.items():
        if comparable(curves[0]) and epoch < len(curves[0]["training_nll"]):
            mean = np.mean([curve["training_nll"][epoch] for curve in curves])
            (low, high), (lowest, highest) = (seed_range(curves, epoch, n) for n in (0, NEIGHBOURS))
            outside = max(lowest - reported, reported - highest)
            side = "below" if reported < lowest else "above"
            rows.append((
                epoch, f"{reported:.3f}", f"{mean:.3f} ({low:.3f} to {high:.3f})",
                f"{lowest:.3f} to {highest:.3f}", f"{mean - reported:+.3f}",
                _verdict(outside <= 0, f"{outside:.3f} {side} the range"),
            ))  # fmt: skip
    columns = [
        "epoch",
        "reported",
        f"reproduced, mean (range) of {len(curves)} seed(s)",
        f"their range within {NEIGHBOURS} epochs",
        "difference",
        "verdict",
    ]
    return pd.DataFrame(rows, columns=columns)


def _two_starts(results):
    model = PUBLISHED_START_RUN
    clipped = next(
        run for run in results["experiments"]
        if (run["signal"], run["lstm_units"]) == (model["signal"], model["lstm_units"])
    )  # fmt: skip
    published_start = results["published_start"]
    columns = [clipped["training_nll"], published_start["training_nll"] if published_start else []]
    rows = [
        (epochs, *(_number(nll[epochs - 1] if len(nll) >= epochs else None) for nll in columns))
        for epochs in (10, 30, 100, 250, *published.CHECKPOINTS)
        if epochs <= max(map(len, columns))
    ]
    starts = ["Keras's start, global norm clipped: training NLL", "the published code's start, not clipped"]
    return pd.DataFrame(rows, columns=["epoch", *starts])


def _predictors(record):
    rows, logs = [], {predictor["source"]: predictor["log"] for predictor in published.PREDICTORS}
    for ours in record["predictors"]:
        for epoch, reported in logs[ours["source"]].items():
            if comparable(record) and epoch < len(ours["training_mse"]):
                mse = ours["training_mse"][epoch]
                rows.append((
                    ours["signal"], f"{ours['lstm_layers']} x {ours['lstm_units']}", epoch,
                    f"{reported:.4f}", f"{mse:.4f}",
                    f"{mse - reported:+.4f}", f"{mse / reported:.2f}",
                ))  # fmt: skip
    columns = ["data", "layers x units", "epoch", "published MSE", "reproduced", "difference", "ratio"]
    return pd.DataFrame(rows, columns=columns)


def _failures(record):
    rows = []
    for row in record["rows"]:
        failure, nll = row["failure"] or {}, row["training_nll"]
        where = (failure["volunteer"], failure["activity"]) if "window" in failure else (NO_VALUE,) * 2
        rows.append((
            row["seed"], len(nll), f"{nll[-1]:.3f}", _number(failure.get("epoch"), "{}"),
            {True: "only its gradient", False: "the loss"}.get(failure.get("loss_is_finite"), NO_VALUE),
            _number(failure.get("update"), "{}"), _number(failure.get("window"), "{}"), *where,
            _number(failure.get("nearest_sigmas"), "{:.1f}"), _number(failure.get("nll"), "{:.0f}"),
            _number(failure.get("smallest_sigma"), "{:.1e}"),
        ))  # fmt: skip
    columns = ["seed", "epochs that ended", "last NLL", "broke in epoch", "what broke", "update", "window"]
    columns += ["volunteer", "activity", "sigmas to the nearest component", "its NLL (nats)"]
    columns += ["smallest sigma (rad/s)"]
    return pd.DataFrame(rows, columns=columns)


def _beyond(results):
    runs = [run for run in (results["curves"][0], results["beyond"]) if run]
    rows = []
    for run in runs:
        training, held_out, every = run["training_nll"], run["held_out_nll"], run["held_out_every"]
        best = int(np.argmin(held_out))
        for epochs in sorted({100, *range(500, len(training), 500), len(training)}):
            if epochs <= len(training):
                measured = held_out[epochs // every - 1] if epochs >= every else None
                rows.append((
                    run["settings"]["sigma_floor"], epochs, f"{training[epochs - 1]:.3f}",
                    _number(measured), f"{held_out[best]:.3f} after {(best + 1) * every} epochs",
                ))  # fmt: skip
    columns = ["floor of sigma (rad/s)", "epochs", "training NLL", "held-out NLL", "best held-out NLL"]
    return pd.DataFrame(rows, columns=columns)


def _checkpoints(experiments):
    rows = [
        (
            run["signal"], run["lstm_units"], row["g_epochs"], f"{row['g_training_nll']:.3f}",
            f"{row['g_nll_at_rest']:.3f}", f"{row['g_held_out_nll']:.3f}", f"{row['d_loss_after']:.3f}",
            _accuracy({"accuracy": row["d_accuracy_unseen"], "interval": row["d_interval"]}),
        )
        for run in experiments
        for row in run["rounds"]
        if row["g_epochs"] in published.CHECKPOINTS
    ]  # fmt: skip
    columns = ["data", "units", "epoch", "training NLL", "the same, weights at rest", "held-out NLL"]
    return pd.DataFrame(rows, columns=[*columns, "D's MSE", "D's accuracy, unseen volunteers"])


def _last_rounds(experiments):
    rows = []
    for run in experiments:
        last = run["rounds"][-1]
        rows.append((
            run["signal"], run["lstm_units"], last["round"], last["g_epochs"],
            f"{last['g_training_nll']:.3f}", f"{last['g_held_out_nll']:.3f}", last["judged_at_g_epoch"],
            f"{last['d_loss_before']:.3f}", f"{last['d_loss_after']:.3f}",
            _accuracy({"accuracy": last["d_accuracy_unseen"], "interval": last["d_interval"]}),
        ))  # fmt: skip
    columns = ["data", "units", "round", "G's epochs", "training NLL", "held-out NLL"]
    columns += ["D at G's epoch", "D's MSE before", "after", "D's accuracy, unseen volunteers"]
    return pd.DataFrame(rows, columns=columns)


def _judge(judge):
    rows = [
        (
            row["opponent"],
            row["loss"],
            v["part"],
            _accuracy(v),
            f"{v['auc']:.2f}",
            f"{row['accuracy_curve'][-1]:.0%}",
        )
        for row in judge["results"]
        for v in row["verdicts"]
    ]
    return pd.DataFrame(rows, columns=["opponent", "D's loss", "judged on", "accuracy", "AUC", "in training"])


def _provenance(records):
    rows = []
    for record in records:
        made = record["provenance"]
        # Whoever opens the notebook of a finished run only loads what others have trained.
        machines = record.get("trained_on") or [made]
        versions = ", ".join(f"{name} {made['versions'][name]}" for name in ("python", "tensorflow", "keras"))
        rows.append((
            " ".join([made["notebook"], record.get("run", "")]).strip(), f"{made['wall_seconds']:.0f}",
            _number(_training_seconds(record), "{:.0f}"),
            _each(f"{each['machine']['processor']}, {each['machine']['cores']} cores" for each in machines),
            _each(str(each["machine"]["intra_op_threads"]) for each in machines), versions,
            _each(each["git_commit"] for each in machines),
        ))  # fmt: skip
    columns = ["notebook, run", "wall (s)", "training (s)", "machine", "threads", "versions", "commit"]
    return pd.DataFrame(rows, columns=columns)


def _each(texts):
    return "; ".join(dict.fromkeys(texts))


def _training_seconds(record):
    parts = [record, *record.get("rows", []), *record.get("predictors", [])]
    seconds = [part["training_seconds"] for part in parts if "training_seconds" in part]
    return sum(seconds) if seconds else None


def _verdict(reproduced, why, reachable=True):
    if reproduced:
        return "reproduced"
    return f"deviates ({why})" if reachable else f"not reproducible ({why})"


def _accuracy(verdict):
    low, high = verdict["interval"]
    return f"{verdict['accuracy']:.0%} ({low:.0%} to {high:.0%})"


def _number(value, form="{:.3f}"):
    return NO_VALUE if value is None else form.format(value)
