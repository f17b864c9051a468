"""REPORT.md, from the records, tables and figures of one profile, and those of the benchmarks.

Notebook 6 writes it; `python -m sensegen_utils.report PROFILE` does so anew from the same records.
"""

import posixpath
from pathlib import Path

import pandas as pd

from sensegen_utils import motion_tables, speed
from sensegen_utils.figures import mark_kind
from sensegen_utils.paths import ROOT
from sensegen_utils.profiles import WINDOW_MODELS
from sensegen_utils.records import atomic_path, load_record
from sensegen_utils.tables import load_results, make_tables

FIGURES = (
    (
        "01_two_axes",
        "The two series that one can make of the windows",
        "The report's series takes every 64th sample of the walk; all of the gait is folded onto lower "
        "frequencies. All the report's results live on that axis.",
    ),
    (
        "06_aliasing",
        "Walking, along both axes",
        "The gait's line and its harmonics (left) have no place in the gray band that one sample a window "
        "can hold; they are folded into it (right).",
    ),
    (
        "06_published_curve",
        "Three numbers of the report, one run",
        "Diamonds are the published log; the band is the range of our seeds. The report gives three points "
        "of this gyroscope run to the accelerometer.",
    ),
    (
        "03b_predictors",
        "Next-step predictors",
        "The report's discriminative losses are points of logs like the left one: the error of the next "
        "value, nothing of real or generated.",
    ),
    (
        "06_nan",
        "The report's loss, until it breaks",
        "A cross is the epoch of the first NaN; thin lines are the same seeds with the stable loss. A value "
        "some 13 sigmas from every component breaks the loss; a sigma whose square is 0 in float32 breaks "
        "the gradient, although the loss is finite.",
    ),
    (
        "06_beyond",
        "Beyond the report",
        "Training NLL falls on and on; on held-out volunteers it turns early and rises. What lies between is "
        "memory of four series.",
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
        "Quiet stretches of rest between bursts of movement; a good G shows both and changes between them. "
        "The three layers of this experiment do not learn to: see the two starts above.",
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


SECTIONS = (  # title, tables, figures
    (
        "The losses",
        ("generative_losses", "published_curve", "two_starts", "discriminative_losses", "predictors"),
        ("06_published_curve", "03b_predictors", "05_loss_curves"),
    ),
    ("The NaN", ("failures",), ("06_nan",)),
    ("Beyond the report", ("beyond",), ("06_beyond",)),
    ("The time axis", ("data_shapes",), ("01_two_axes", "06_aliasing")),
    ("The models", ("generator_layers", "discriminator_layers", "training_parameters"), ()),
    ("The alternating loop", ("checkpoints", "rounds"), ("05_rounds",)),
    ("Can D tell?", ("judge",), ("05_judge",)),
    ("Real beside generated", (), PICTURES),
    ("Deviations", ("deviations",), ()),
    ("Provenance", ("provenance",), ()),
)


def render_report(folder, seed=0, link_prefix="."):
    """Render REPORT.md from the records in ``folder``; ``link_prefix`` leads from it to ``folder``."""
    results = load_results(folder, seed)
    audit = pd.DataFrame(load_record(Path(folder) / "records" / "06_audit.json")["audit"])
    provenance = results["data"]["provenance"]
    kind, profile = provenance["data"]["kind"], provenance["profile"]
    tables = {
        "audit": (f"The audit · data: {mark_kind(kind)} · profile: {profile}", audit),
        **make_tables(results),
    }
    lines = ["# SenseGen on UCI HAR: what holds, what does not, and why", ""]
    if kind == "simulated":
        lines += [
            "> **SIMULATED DATA.** No archive was found; no number here says anything about people.",
            "",
        ]
    lines += [
        f"Profile **{profile}**, data **{kind}** (sha256 {provenance['data']['sha256'][:12]}), seed {seed}. "
        "Written by notebook 6 from the records in `results/`; no number of ours is typed by hand. "
        "Losses are negative log-likelihoods in nats per step, so lower is better and negative is normal.",
        "",
    ]
    captions = {name: (title, meaning) for name, title, meaning in FIGURES}
    for title, table_names, figure_names in (("At a glance", ("audit",), ()), *SECTIONS):
        if title == "Provenance":
            lines += _motion(folder, link_prefix, mark_kind(kind))
            lines += _speed(Path(folder).parent / "benchmarks", link_prefix)
        lines += [f"## {title}", ""]
        for name in table_names:
            lines += _table(*tables[name])
        for name in figure_names:
            figure_title, meaning = captions[name]
            lines += _figure(f"{link_prefix}/figures/{name}.png", figure_title, mark_kind(kind), meaning)
    return "\n".join(lines)


def _table(caption, table):
    return [f"**{caption}**", "", table.to_markdown(index=False, disable_numparse=True), ""]


def _figure(link, title, kind, meaning):
    return [f"![{title}]({link})", "", f"*{title} · data: {kind}.* {meaning}", ""]


def _motion(folder, link_prefix, kind):
    tables = motion_tables.make_motion_tables(motion_tables.load_motion(folder))
    if not tables:
        return []
    lines = ["## On the true time axis", ""]
    lines += [
        "Beyond the report: 50 Hz, six channels, conditioned on the activity, judged on volunteers that "
        "neither G nor the judges have met. Notebooks 7, 7b and 8.",
        "",
    ]
    for table in tables.values():
        lines += _table(*table)
    figures = [
        (name.format(model), f"{title}, {len(choice['signals'])} channel(s)", meaning)
        for model, choice in WINDOW_MODELS.items()
        for name, title, meaning in motion_tables.FIGURES
    ]
    for name, title, meaning in (*figures, motion_tables.ABLATION_FIGURE):
        if (Path(folder) / "figures" / f"{name}.png").exists():
            lines += _figure(f"{link_prefix}/figures/{name}.png", title, kind, meaning)
    return lines


def _speed(folder, link_prefix):
    tables = speed.make_speed_tables(speed.load_benchmarks(folder))
    if not tables:
        return []
    lines = ["## Speed", ""]
    lines += [
        "Measured by `benchmarks/`; a bar is what this project set out to reach before it measured.",
        "",
    ]
    link = posixpath.normpath(f"{link_prefix}/../{folder.name}/figures")
    captions = {name: (title, meaning) for name, title, meaning in speed.FIGURES}
    for table_names, figure_names in speed.GROUPS:
        for name in table_names:
            if name in tables:
                *table, told = tables[name]
                lines += _table(*table)
                lines += [told, ""] if told else []
        for name in figure_names:
            if (folder / "figures" / f"{name}.png").exists():
                title, meaning = captions[name]
                lines += _figure(f"{link}/{name}.png", title, "none", meaning)
    return lines


def write_report(folder, root, seed=0):
    """Write tables as CSV and REPORT.md beside the records. Return the paths of the reports.

    The repository's own REPORT.md follows a full run; a quick one writes it only where there is none of a
    full run, smoke and simulated data never do.
    """
    folder, root = Path(folder), Path(root)
    results = load_results(folder, seed)
    motion = motion_tables.make_motion_tables(motion_tables.load_motion(folder))
    for name, (_, table) in {**make_tables(results), **motion}.items():
        with atomic_path(folder / "tables" / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    targets = [(folder / "REPORT.md", ".")]
    if folder.name == "full" or (folder.name == "quick" and not (root / "results/full/REPORT.md").exists()):
        targets.append((root / "REPORT.md", f"results/{folder.name}"))
    for path, prefix in targets:
        with atomic_path(path) as temporary:
            temporary.write_text(render_report(folder, seed, prefix))
    return [path for path, _ in targets]


if __name__ == "__main__":
    import sys

    print(*write_report(ROOT / "results" / sys.argv[1], ROOT), sep="\n")
