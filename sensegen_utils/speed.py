"""What the benchmarks measured, beside what this project set out to reach: tables and captions for REPORT.md.

Everything comes from the records in results/benchmarks/, and what has no record has no table.
"""

import re
from pathlib import Path

import pandas as pd

from sensegen_utils.figures import mark_kind
from sensegen_utils.records import load_record
from sensegen_utils.tables import NO_VALUE

# Set in advance: this project's time over a contender's, at most.
TRAINING_BARS = {
    "report, 4 x 20": {"stock": 0.40, "pytorch": 0.85},
    "windows, 128 x 127": {"stock": 0.85, "pytorch": 1.0},
}
LOOP_BAR, PRODUCTS_BAR = 30, 0.60  # the sampler's speed over a loop's, and over the bare products', at least
SIDE_BY_SIDE_BAR = 1.3  # at least
READING_BARS = {"archive to arrays": 15, "cache to arrays": 1}  # seconds, at most
WHOLE_BARS = {"quick": 20, "test": 12}  # minutes, at most

CONTENDERS = {
    "project": "this project",
    "stock": "Keras LSTM",
    "stock_unrolled": "Keras LSTM, unrolled",
    "pytorch": "PyTorch",
    "tensorflow_1": "TensorFlow 1 graph, fed from Python",
    "products": "bare matrix products",
    "keras_loop": "Keras, value by value",
    "tf1_loop": "TensorFlow 1 graph, value by value",
}

GROUPS = (  # tables, figures
    (("training", "threads", "sampling", "to_disk"), ("speed",)),
    (("side_by_side", "full_profile", "reading", "whole"), ()),
    (("scaling", "costs"), ("scaling",)),
)

FIGURES = (
    (
        "speed",
        "Time per update and samples per second",
        "Equal distances are equal ratios, and lines span the quartiles. Bare products are the same matrix "
        "products and nothing else; what lies between them and the others is the price of all the rest.",
    ),
    (
        "scaling",
        "Time and memory against the work",
        "A power of 1 means that twice the work costs twice as much; where it is lower, what does not grow "
        "with the work still counts. Each line is the fit, drawn over the points that it was fitted to.",
    ),
)


def load_benchmarks(folder):
    """All records of the benchmarks: {name: record}, empty if there are none."""
    return {path.stem: load_record(path) for path in sorted(Path(folder).glob("*.json"))}


def make_speed_tables(benchmarks):
    """Tables of what was measured: {name: (caption, DataFrame of text, sentence below it)}."""
    tables = {}
    if record := benchmarks.get("training"):
        tables["training"] = (
            _caption("Training: one update of G", record, threads="as listed"),
            _training(record),
            _about_training(record),
        )
        tables["threads"] = (
            _caption("Training: ms per update under each setting of threads", record, threads="as listed"),
            _threads(record),
            "Threads are those within TensorFlow's operations x those between them; PyTorch has only the "
            "former. The table above is a second measurement, of each contender under its fastest setting.",
        )
    if record := benchmarks.get("sampling"):
        tables["sampling"] = (
            _caption("Sampling: values drawn per second", record),
            _sampling(record),
            "The bars are for each row. The fraction is that of the faster of TensorFlow's and NumPy's "
            "products for as many series.",
        )
        tables["to_disk"] = _caption("Sampling to disk", record), *_to_disk(record["to_disk"])
    if record := benchmarks.get("side_by_side"):
        caption = _caption("Two trainings side by side", record, threads="one each; alone the fastest")
        tables["side_by_side"] = caption, *_side_by_side(record)
        tables["full_profile"] = (
            _caption("The full profile's trainings of G, reckoned from these", record, threads="likewise"),
            _full_profile(record["full_profile_hours"]),
            "In run_all.sh's order, the next begun when one of two ends; one by one, with the best threads.",
        )
    if record := benchmarks.get("reading"):
        kind = mark_kind(record["provenance"]["data"]["kind"])
        tables["reading"] = _caption(f"Reading the data · data: {kind}", record), _reading(record), ""
    if records := [record for name, record in benchmarks.items() if name.startswith("whole-")]:
        tables["whole"] = (
            _caption("Whole commands", *records, threads="as run_all.sh sets them"),
            _whole(records),
            _about_whole(records),
        )
    if record := benchmarks.get("scaling"):
        caption = _caption("How time and memory grow", record)
        tables["scaling"] = caption, _scaling(record), _about_scaling(record)
        tables["costs"] = _caption("What long runs would cost", record), _costs(record), ""
    return tables


def _caption(title, *records, threads=None):
    made = [record["provenance"] for record in records]
    machines = {f"{each['machine']['processor']}, {each['machine']['cores']} cores" for each in made}
    threads = threads or made[0]["machine"]["intra_op_threads"]
    commits = dict.fromkeys(each["git_commit"] for each in made)
    return f"{title} · {'; '.join(sorted(machines))} · threads: {threads} · commit {', '.join(commits)}"


def _met(met):
    return "yes" if met else "no"


def _training(record):
    projects = {row["configuration"]: row for row in record["rows"] if row["contender"] == "project"}
    rows = []
    for row in record["rows"]:
        contender, configuration = row["contender"], row["configuration"]
        ratio = projects[configuration][f"ratio_to_{contender}"]
        bar = TRAINING_BARS.get(configuration, {}).get(contender)
        name = CONTENDERS[contender]
        if contender == "pytorch":
            name += f" {record['torch']} ({record['torch_build']} build)"
        rows.append((
            configuration, name, row["threads"], f"{1e3 * row['median_s']:,.2f}",
            f"{1e3 * row['quartile_low_s']:,.2f} to {1e3 * row['quartile_high_s']:,.2f}",
            f"{row['gflop_per_s']:.1f}", NO_VALUE if contender == "project" else f"{ratio:.3f}",
            *((NO_VALUE,) * 2 if bar is None else (f"at most {bar:.2f}", _met(ratio <= bar))),
        ))  # fmt: skip
    columns = ["configuration", "contender", "threads", "ms per update", "quartiles", "GFLOP/s"]
    return pd.DataFrame(rows, columns=[*columns, "this project's time over it", "bar", "met"])


def _about_training(record):
    told = (
        f"In their first updates all reach the same loss within {record['loss_tolerance']:g} of it. GFLOP/s "
        "count the matrix products alone."
    )
    for what, why in record["left_out"].items():
        told += f" {what.replace('pytorch', CONTENDERS['pytorch'])} is left out: {why}."
    return told


def _threads(record):
    grid = pd.DataFrame(record["grid"])
    grid["contender"] = grid["contender"].map(CONTENDERS)
    grid["ms"] = [f"{1e3 * seconds:,.2f}" for seconds in grid["median_s"]]
    keys = ["configuration", "contender"]
    table = grid.pivot(index=keys, columns="threads", values="ms").fillna(NO_VALUE)
    return table.reindex(pd.MultiIndex.from_frame(grid[keys].drop_duplicates())).reset_index()


def _sampling(record):
    rows = []
    for row in record["rows"]:
        name, series, compared = CONTENDERS.get(row["contender"]), "1", (NO_VALUE,) * 5
        if row["contender"].startswith("sampler"):
            loops = row["times_keras_loop"], row["times_tf1_loop"]
            fraction = row["fraction_of_products"]
            met = _met(min(loops) >= LOOP_BAR), _met(fraction >= PRODUCTS_BAR)
            compared = (*(f"{times:,.1f}" for times in loops), met[0], f"{fraction:.3f}", met[1])
            name, series = CONTENDERS["project"], f"{row['series']:,}"
        if name:
            quartiles = f"{row['values_per_s_low']:,.0f} to {row['values_per_s_high']:,.0f}"
            rows.append((row["layers"], name, series, f"{row['values_per_s']:,.0f}", quartiles, *compared))
    columns = ["layers", "contender", "series at once", "values/s", "quartiles", "times the Keras loop"]
    columns += ["times the TensorFlow 1 loop", f"at least {LOOP_BAR} times both"]
    columns += ["fraction of the bare products", f"at least {PRODUCTS_BAR:.2f}"]
    return pd.DataFrame(rows, columns=columns)


def _to_disk(run):
    row = {
        "values": f"{run['series'] * run['steps']:,}",
        "windows": f"{run['series']:,} of {run['steps']} values",
        "file (MB)": f"{run['file_mb']:.1f}",
        "seconds": f"{run['seconds']:.1f}",
        "values/s": f"{run['values_per_s']:,.0f}",
        "memory before (MB)": f"{run['memory_before_mb']:.0f}",
        "memory at the peak (MB)": f"{run['memory_peak_mb']:.0f}",
    }
    added = run["memory_peak_mb"] - run["memory_before_mb"]
    told = f"Writing added {added:.0f} MB to what the process held with everything compiled."
    return pd.DataFrame([row]), told


def _side_by_side(record):
    best, single = {}, {}
    for row in record["alone"]:
        name, threads = row["configuration"], "x".join(map(str, row["threads"]))
        best[name] = min(best.get(name, (row["seconds"], threads)), (row["seconds"], threads))
        if threads == "1x1":
            single[name] = row["seconds"]
    gains, losses, rows = [], [], []
    for row in record["together"]:
        pair, together = row["pair"], row["seconds"]
        gain = [single[name] / best[name][0] for name in pair]
        loss = [seconds / single[name] for name, seconds in zip(pair, together, strict=True)]
        gains, losses = gains + gain, losses + loss
        rows.append((
            " and ".join(pair), " and ".join(f"{1e3 * seconds:.2f}" for seconds in together),
            " and ".join(f"{1e3 * best[name][0]:.2f} ({best[name][1]})" for name in pair),
            f"{row['speed_up']:.3f}", f"at least {SIDE_BY_SIDE_BAR}",
            _met(row["speed_up"] >= SIDE_BY_SIDE_BAR),
            " and ".join(f"{each:.2f}" for each in gain), " and ".join(f"{each:.2f}" for each in loss),
        ))  # fmt: skip
    columns = ["layers x units", "ms per update side by side", "alone (threads)", "speed-up", "bar", "met"]
    columns += ["alone: speed over one thread's", "side by side: time over that of one thread alone"]
    more = sum(gains) / len(gains) > sum(losses) / len(losses)
    told = (
        "If neither slowed the other down, and none could use both cores alone, the speed-up would be 2. Two "
        f"things limit it: alone, more threads make a training {min(gains):.2f} to {max(gains):.2f} times as "
        f"fast as one, and side by side an update takes {min(losses):.2f} to {max(losses):.2f} times as long "
        f"as on one thread alone. On average the {'former' if more else 'latter'} limits more."
    )
    return pd.DataFrame(rows, columns=columns), told


def _full_profile(hours):
    speed_up = hours["one by one"] / hours["two at a time"]
    row = {what: f"{each:.1f}" for what, each in hours.items()} | {"speed-up": f"{speed_up:.2f}"}
    row |= {"bar": f"at least {SIDE_BY_SIDE_BAR}", "met": _met(speed_up >= SIDE_BY_SIDE_BAR)}
    return pd.DataFrame([row]).rename(columns={what: f"{what} (h)" for what in hours})


def _reading(record):
    rows = []
    for row in record["rows"]:
        bar = READING_BARS[row["what"]]
        spread = f"{row['low_s']:.2f} to {row['high_s']:.2f}"
        rows.append((
            row["what"], f"{row['median_s']:.2f}", spread, f"under {bar}", _met(row["median_s"] < bar),
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "seconds, median", "range", "bar", "met"])


def _whole(records):
    rows = []
    for record in records:
        minutes, command = record["seconds"] / 60, record["command"]
        # The part that has the name of the command is the whole once more.
        parts = [part for part in record["parts"] if part["part"] not in command.split()]
        longest = sorted(parts, key=lambda part: -part["seconds"])[:5]
        where = ", ".join(f"{part['part']} {part['seconds']} s" for part in longest)
        bar = next((bar for name, bar in WHOLE_BARS.items() if name in command.split()), None)
        judged = (NO_VALUE,) * 2 if bar is None else (f"at most {bar}", _met(minutes <= bar))
        rows.append((command, f"{minutes:.1f}", *judged, where))
    return pd.DataFrame(rows, columns=["command", "minutes", "bar", "met", "its five longest parts"])


def _about_whole(records):
    told = "Notebooks run two at a time, so the parts of a command may add up to more than the whole."
    for record in records:
        if "quick" in record["command"].split():
            notebooks = [each for each in record["parts"] if re.match(r"\d\d", each["part"])]
            replication = [each for each in notebooks if "01" <= each["part"][:2] <= "06"]
            own, all_ = (sum(each["seconds"] for each in parts) / 60 for parts in (replication, notebooks))
            told += (
                f" In quick, notebooks 1 to 6 account for {own:.1f} of all notebooks' {all_:.1f} minutes, "
                "that is for about half as many on the clock; before there were others, its bar was 12."
            )
    return told


def _scaling(record):
    rows = []
    for factor, time in record["time"].items():
        points = [row for row in record["rows"] if row["factor"] == factor]
        memory, first, last = record["memory"][factor], points[0], points[-1]
        rows.append((
            factor, ", ".join(str(point["value"]) for point in points),
            f"{1e3 * first['seconds']:,.2f} to {1e3 * last['seconds']:,.2f}", f"{time['exponent']:.2f}",
            f"{first['peak_mib']:,.0f} to {last['peak_mib']:,.0f}", f"{memory['exponent']:.2f}",
            f"{time['from']} to {time['to']}",
        ))  # fmt: skip
    columns = ["factor", "measured at", "ms", "power of time", "peak memory (MiB)", "power of memory"]
    return pd.DataFrame(rows, columns=[*columns, "fitted from"])


def _about_scaling(record):
    base = ", ".join(f"{factor} {value}" for factor, value in record["base"].items())
    return (
        f"One factor changes at a time, the others stay at {base}. Times are those of one update, and for "
        f"series those of generating {record['generated_steps']} steps of each. The power of memory is that "
        "of what comes on top of the imports."
    )


def _costs(record):
    rows = [(what, f"{hours:,.1f}") for what, hours in record["hours"].items()]
    return pd.DataFrame(rows, columns=["what", "hours on this machine"])
