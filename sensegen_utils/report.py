"""REPORT.md and its tables, from the records of one profile alone."""

from pathlib import Path

import numpy as np
import pandas as pd

from sensegen_utils import published
from sensegen_utils.figures import mark_kind
from sensegen_utils.profiles import CURVE_RUN, EXPERIMENTS, get_profile, run_name
from sensegen_utils.records import atomic_path, load_record

NLL_TOLERANCE = 0.1  # nats per step, ours: epochs that follow each other differ by as much
NO_VALUE = "–"
WHY_CURVE = "outside the range of our seeds; loss, sigma and clipping differ, see Deviations"

FIGURES = (
    (
        "01_two_axes",
        "The two series that one can make of the windows",
        "The report's series takes every 64th sample of the walk; all of the gait is folded onto lower "
        "frequencies. All the report's results live on that axis.",
    ),
    (
        "05_loss_curves",
        "Training loss of all runs",
        "Diamonds are the published log, where our run of the same configuration has reached their epoch.",
    ),
    (
        "05_total_acc_x_1000",
        "Accelerometer, 1000 steps",
        "Real above, generated below, on the report's axis (one step is one window).",
    ),
    (
        "05_total_acc_x_2000",
        "Accelerometer, 2000 steps",
        "The levels are postures; a good G dwells on each of them about as long as people do.",
    ),
    (
        "05_total_acc_x_4000",
        "Accelerometer, 4000 steps",
        "Far beyond the 20 steps of a training chunk, free-running: does it drift or get stuck?",
    ),
    (
        "05_failed_case",
        "The failed case, 100 steps",
        "After one update on one outlier: the stable loss leaves a working G, the report's loss only NaN. "
        "The report does not say what its own picture of a failure shows.",
    ),
    (
        "05_body_gyro_x_2000",
        "Gyroscope, 2000 steps",
        "Quiet stretches of rest between bursts of movement; a good G shows both and changes between them.",
    ),
    (
        "05_pairs_800",
        "Four pairs of 800 steps, as in the paper",
        "Each row is one of the report's four series, real on the left, one generated series on the right.",
    ),
    (
        "05_rounds",
        "Algorithm 1, round by round",
        "Left of each pair G's loss in training and on held-out volunteers, right D's accuracy on volunteers "
        "and samples that it has not seen. Bars are 95 % intervals, dotted is chance.",
    ),
    (
        "05_judge",
        "What D tells apart",
        "Every opponent with its 95 % interval. Noise and shuffled time are broken generators, real against "
        "real is chance: the nearer G's rows are to the dotted line, the better G.",
    ),
)

PICTURES = (
    "05_total_acc_x_1000", "05_total_acc_x_2000", "05_total_acc_x_4000", "05_failed_case",
    "05_body_gyro_x_2000", "05_pairs_800",
)  # fmt: skip

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
    """Load the records that REPORT.md needs from ``results/<profile>``. Raises as `load_record`."""
    records = Path(folder) / "records"
    data = load_record(records / "01_data_preparation.json")
    seeds = range(seed, seed + get_profile(data["provenance"]["profile"])["generator_seeds"])
    runs = [run_name(**CURVE_RUN, seed=each) for each in seeds]
    curves = [load_record(records / f"02_mdn_generator-{run}.json") for run in runs]
    return {
        "data": data,
        "curve": curves[0],
        "curves": curves,
        "judge": load_record(records / f"03_discriminator-{run_name(**CURVE_RUN, seed=seed)}.json"),
        "experiments": [
            load_record(records / f"04_alternating_training-{experiment_run(experiment, seed)}.json")
            for experiment in EXPERIMENTS
        ],
    }


def experiment_run(experiment, seed):
    """Name of the run of one of the experiments of the loss table."""
    return run_name(experiment["signal"], experiment["lstm_units"], experiment["lstm_layers"], seed)


def make_tables(results):
    """All tables of the report as text: {name: (caption, DataFrame)}, each caption with the kind of data."""
    kind = mark_kind(results["data"]["provenance"]["data"]["kind"])
    profile = results["data"]["provenance"]["profile"]
    tables = {
        "claims": ("The report's claims at a glance", _claims(results)),
        "data_shapes": ("Data shapes (report: Data Preparation)", _data_shapes(results["data"])),
        "generator_layers": (
            "Layers of G (report: Generative Model)",
            _layers(results["curve"]["layers"], published.GENERATOR_LAYERS),
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
        "published_curve": ("The published log, at equal epochs", _published_curve(results["curves"])),
        "rounds": ("Algorithm 1, last round of each experiment", _last_rounds(results)),
        "judge": ("D against five opponents", _judge(results["judge"])),
        "deviations": (
            "Deviations",
            pd.DataFrame(DEVIATIONS, columns=["what", "report", "ours", "expected effect"]),
        ),
        "provenance": ("What made these numbers", _provenance(results)),
    }
    return {
        name: (f"{caption} · data: {kind} · profile: {profile}", table)
        for name, (caption, table) in tables.items()
    }


def render_report(folder, seed=0, link_prefix="."):
    """Render REPORT.md from the records in ``folder``; ``link_prefix`` leads from it to ``folder``."""
    results = load_results(folder, seed)
    tables = make_tables(results)
    provenance = results["data"]["provenance"]
    kind, profile = provenance["data"]["kind"], provenance["profile"]
    lines = ["# SenseGen on UCI HAR: what holds, what does not, and why", ""]
    if kind == "simulated":
        lines += [
            "> **SIMULATED DATA.** No archive was found; no number here says anything about people.",
            "",
        ]
    lines += [
        f"Profile **{profile}**, data **{kind}** (sha256 {provenance['data']['sha256'][:12]}), seed {seed}. "
        "Written by notebook 5 from the records in `results/`; no number of ours is typed by hand. "
        "Losses are negative log-likelihoods in nats per step, so lower is better and negative is normal.",
        "",
    ]
    sections = (
        ("At a glance", ("claims",), ()),
        ("Data", ("data_shapes",), ("01_two_axes",)),
        ("Models", ("generator_layers", "discriminator_layers", "training_parameters"), ()),
        (
            "Losses",
            ("generative_losses", "discriminative_losses", "published_curve"),
            ("05_loss_curves",),
        ),
        ("The alternating loop", ("rounds",), ("05_rounds",)),
        ("Can D tell?", ("judge",), ("05_judge",)),
        (
            "Real beside generated",
            (),
            PICTURES,
        ),
        ("Deviations", ("deviations",), ()),
        ("Provenance", ("provenance",), ()),
    )
    captions = {name: (title, meaning) for name, title, meaning in FIGURES}
    for title, table_names, figure_names in sections:
        lines += [f"## {title}", ""]
        for name in table_names:
            caption, table = tables[name]
            lines += [f"**{caption}**", "", table.to_markdown(index=False, disable_numparse=True), ""]
        for name in figure_names:
            figure_title, meaning = captions[name]
            lines += [f"![{figure_title}]({link_prefix}/figures/{name}.png)", ""]
            lines += [f"*{figure_title} · data: {mark_kind(kind)}.* {meaning}", ""]
    return "\n".join(lines)


def write_report(folder, root, seed=0):
    """Write tables as CSV and REPORT.md beside the records; REPORT.md of the repository too, unless the data
    are simulated or the profile is smoke. Return the paths of the reports.
    """
    folder, root = Path(folder), Path(root)
    results = load_results(folder, seed)
    for name, (_, table) in make_tables(results).items():
        with atomic_path(folder / "tables" / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    targets = [(folder / "REPORT.md", ".")]
    provenance = results["data"]["provenance"]
    if provenance["data"]["kind"] != "simulated" and provenance["profile"] != "smoke":
        targets.append((root / "REPORT.md", f"results/{folder.name}"))
    for path, prefix in targets:
        with atomic_path(path) as temporary:
            temporary.write_text(render_report(folder, seed, prefix))
    return [path for path, _ in targets]


def _claims(results):
    data, curve, judge = results["data"], results["curve"], results["judge"]
    shapes_match = _data_shapes(data)["verdict"].eq("reproduced").all()
    layers_match = curve["parameters"]["with_idle_dense"] == published.GENERATOR_TOTAL
    points = _published_curve(results["curves"])
    close = int(points["verdict"].eq("reproduced").sum())
    against_g = [row for row in judge["results"] if row["opponent"] == "generated"]
    unseen = [row["verdicts"][1] for row in against_g]
    losses = _generative_losses(results)["verdict"]
    last = min(run["training_nll"][-1] for run in [curve, *results["experiments"]])
    epochs = max(len(run["training_nll"]) for run in [curve, *results["experiments"]])
    rows = [
        ("data of 7352 and 2947 windows of 128", _data_shapes(data)["reproduced"].iloc[0],
         _verdict(shapes_match, "simulated data have their own size")),
        (f"G has {published.GENERATOR_TOTAL:,} parameters",
         "{with_idle_dense:,} with an idle layer, {without:,} without".format(**curve["parameters"]),
         _verdict(layers_match, "see the layer table")),
        (f"D has {published.DISCRIMINATOR_TOTAL:,} parameters", f"{judge['parameters']:,}",
         _verdict(judge["parameters"] == published.DISCRIMINATOR_TOTAL, "see the layer table")),
        ("the published log of the loss",
         f"{close} of {len(points)} points in the range of our seeds, widened by {NLL_TOLERANCE}",
         _verdict(close == len(points) > 0, WHY_CURVE if len(points) else "no common epoch in this profile",
                  reachable=len(points) > 0)),
        ("five generative losses", f"{int(losses.eq('reproduced').sum())} of {len(losses)} reproduced",
         _verdict(losses.eq("reproduced").all(), "see the table of losses", reachable=False)),
        ("five discriminative losses of 0.001 to 0.011",
         "D's MSE after training: "
         + ", ".join(f"{run['rounds'][-1]['d_loss_after']:.3f}" for run in results["experiments"]),
         "not reproducible (no discriminator in the public code)"),
        ("training ends in NaN",
         f"the report's loss breaks at {curve['float32_gives_up_at_sigmas']} sigmas; one outlier turns "
         "{nan_weights:,} of {weights:,} weights into NaN".format(**curve["failure"]["report_loss"]),
         "reproduced (staged; not met in training)"),
        (f"NLL of {published.PAPER_NLL} after {published.PAPER_EPOCHS:,} epochs (paper)",
         f"lowest {last:.2f} after at most {epochs} epochs",
         _verdict(last <= published.PAPER_NLL, "not reached in this profile", reachable=False)),
        ("D ends near 50 % accuracy (paper)",
         f"on unseen volunteers: {', '.join(map(_accuracy, unseen))}; controls hold: {_controls(judge)}",
         _verdict(all(v["interval"][0] <= published.PAPER_ACCURACY <= v["interval"][1] for v in unseen)
                  and all(judge["controls"].values()), "D tells G's sequences from real ones"
                  if all(judge["controls"].values()) else "the controls of D do not hold in this profile")),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["reported", "reproduced", "verdict"])


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
        if there is None:
            verdict = f"not reproducible (this profile stops at epoch {len(nll)})"
        else:
            same = difference is not None and abs(difference) <= NLL_TOLERANCE
            verdict = _verdict(same, f"reported value: {row['generative_origin']}")
        rows.append((
            row["epoch"], row["signal"], row["lstm_units"], "NaN" if reported is None else reported,
            _number(there), _number(difference), f"{nll[-1]:.3f} at epoch {len(nll)}", verdict,
            row["generative_origin"],
        ))  # fmt: skip
    columns = ["epoch", "data", "units", "reported", "reproduced", "difference", "our last epoch", "verdict"]
    return pd.DataFrame(rows, columns=[*columns, "where the reported value comes from"])


def _discriminative_losses(results):
    runs = {(run["signal"], run["lstm_units"]): run["rounds"] for run in results["experiments"]}
    rows = []
    for row in published.LOSS_TABLE:
        rounds = runs[row["signal"], row["lstm_units"]]
        # The round that ends at the row's epoch, or the last that this profile has.
        last = next((each for each in rounds if each["g_epochs"] == row["epoch"]), rounds[-1])
        reported = row["discriminative"]
        rows.append((
            row["epoch"], row["signal"], row["lstm_units"], "NaN" if reported is None else reported,
            "MSE {d_loss_after:.3f}, cross-entropy {d_cross_entropy_after:.3f}, round {round}".format(**last),
            NO_VALUE, f"not reproducible ({row['discriminative_origin']})",
        ))  # fmt: skip
    columns = ["epoch", "data", "units", "reported", "a real discriminator's loss", "difference", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _published_curve(curves):
    made = curves[0]["provenance"]
    # Smoke trains on a shorter series, and simulated data are another signal.
    comparable = made["profile"] != "smoke" and made["data"]["kind"] != "simulated"
    rows = []
    for epoch, reported in published.CURVE.items():
        if comparable and epoch < len(curves[0]["training_nll"]):
            ours = np.array([curve["training_nll"][epoch] for curve in curves])
            low, mean, high = ours.min(), ours.mean(), ours.max()
            inside = low - NLL_TOLERANCE <= reported <= high + NLL_TOLERANCE
            rows.append((
                epoch, f"{reported:.3f}", f"{mean:.3f} ({low:.3f} to {high:.3f})", f"{mean - reported:+.3f}",
                _verdict(inside, WHY_CURVE),
            ))  # fmt: skip
    columns = [
        "epoch",
        "reported",
        f"reproduced, mean (range) of {len(curves)} seed(s)",
        "difference",
        "verdict",
    ]
    return pd.DataFrame(rows, columns=columns)


def _last_rounds(results):
    rows = []
    for run in results["experiments"]:
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


def _provenance(results):
    records = [results["data"], *results["curves"], results["judge"], *results["experiments"]]
    rows = []
    for record in records:
        made = record["provenance"]
        machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
        versions = ", ".join(f"{name} {made['versions'][name]}" for name in ("python", "tensorflow", "keras"))
        rows.append((
            " ".join([made["notebook"], record.get("run", "")]).strip(), f"{made['wall_seconds']:.0f}",
            _number(record.get("training_seconds"), "{:.0f}"), machine, made["machine"]["intra_op_threads"],
            versions, made["git_commit"],
        ))  # fmt: skip
    columns = ["notebook, run", "wall (s)", "training G (s)", "machine", "threads", "versions", "commit"]
    return pd.DataFrame(rows, columns=columns)


def _verdict(reproduced, why, reachable=True):
    if reproduced:
        return "reproduced"
    return f"deviates ({why})" if reachable else f"not reproducible ({why})"


def _accuracy(verdict):
    low, high = verdict["interval"]
    return f"{verdict['accuracy']:.0%} ({low:.0%} to {high:.0%})"


def _controls(judge):
    return "yes" if all(judge["controls"].values()) else "no"


def _number(value, form="{:.3f}"):
    return NO_VALUE if value is None else form.format(value)
