"""What the benchmarks measured, as tables of text, beside the bars that were set in advance.

Everything comes from the records in results/benchmarks/. What has no record has no table. `benchmarks.report`
makes a page of the tables, and `benchmarks.pictures` draws the figures beside them.
"""

import pandas as pd

from sensegen_utils.report.figures import mark_kind

# This project's time over a contender's, at most.
TRAINING_BARS = {
    "report, 4 x 20": {"stock": 0.40, "pytorch": 0.50, "products": 1.7},
    "windows, 128 x 127": {"stock": 0.85, "pytorch": 0.70, "products": 1.2},
}
LOOP_BAR, PRODUCTS_BAR = 30, 0.60  # the sampler's speed over a loop's, and over the bare products', at least
FIRST_DRAW_BAR = 2  # seconds that the first draw takes longer than the next, at most: one compilation
SIDE_BY_SIDE_BAR = 1.3  # at least
READING_BARS = {"archive to arrays": 15, "cache to arrays": 1}  # seconds, under
WHOLE_BARS = {"quick": 16, "test": 12}  # minutes, at most

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
NO_VALUE = "–"


def make_sections(benchmarks):
    """Tables of what was measured: {section: (what it was measured on, [(title, DataFrame of text, note)])}.

    No table has more than seven columns. A cell that judges ends in "met" or "not met". A note is a sentence
    that needs the numbers, or "".
    """
    sections = {}
    if record := benchmarks.get("training"):
        sections["training"] = _measured_on(record, threads="as listed"), _training(record)
    if record := benchmarks.get("sampling"):
        sections["sampling"] = _measured_on(record), _sampling(record)
    if record := benchmarks.get("side_by_side"):
        threads = "as listed"
        sections["side_by_side"] = _measured_on(record, threads=threads), _side_by_side(record)
    if record := benchmarks.get("reading"):
        sections["reading"] = _measured_on(record), _reading(record)
    if records := [record for name, record in benchmarks.items() if name.startswith("whole-")]:
        sections["whole"] = _measured_on(*records, threads="as run_all.sh sets them"), _whole(records)
    if record := benchmarks.get("scaling"):
        sections["scaling"] = _measured_on(record), _scaling(record)
    return sections


def count_verdicts(sections):
    """How many bars there are, and a line for each that is not met: (int, list of text)."""
    bars, missed = 0, []
    for _, tables in sections.values():
        for title, table, _ in tables:
            for cells in table.to_dict("records"):
                row = next(iter(cells.values()))
                for column, cell in cells.items():
                    bars += cell.endswith("met")
                    if cell.endswith("not met"):
                        bar = column if cell == "not met" else cell.removesuffix(": not met")
                        missed.append(f"{title}: {row} ({bar})")
    return bars, missed


def _measured_on(*records, threads=None):
    made = [record["provenance"] for record in records]
    machines = {f"{each['machine']['processor']}, {each['machine']['cores']} cores" for each in made}
    threads = threads or made[0]["machine"]["intra_op_threads"]
    commits = dict.fromkeys(each["git_commit"] for each in made)
    data = {mark_kind(each["data"]["kind"]) for each in made} - {"none"}
    facts = [*sorted(machines), f"threads: {threads}", f"commit {', '.join(commits)}"]
    return " · ".join(facts + [f"data: {kind}" for kind in data])


def _met(met):
    return "met" if met else "not met"


def _with_range(middle, low, high, form):
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def of_contenders(rows):
    """The rows of whole updates; the others are of parts of an update."""
    return rows[rows["contender"].isin(CONTENDERS)]


def _training(record):
    rows, grid, tables = pd.DataFrame(record["rows"]), pd.DataFrame(record["grid"]), []
    for name in dict.fromkeys(rows["configuration"]):
        own = of_contenders(rows[rows["configuration"] == name]).to_dict("records")
        tables.append((f"One update of the generator: {name}", _updates(own, record), ""))
    left_out = record["left_out"].items()
    tables[-1] = (
        *tables[-1][:2],
        " ".join(
            f"{what.replace('pytorch', CONTENDERS['pytorch'])} is left out: {why}." for what, why in left_out
        ),
    )
    if len(parts := _parts(rows)):
        tables.append(("Where the time of this project's update goes", parts, ""))
    grid = of_contenders(grid).assign(contender=grid["contender"].map(CONTENDERS))
    grid["ms"] = [f"{1e3 * seconds:,.2f}" for seconds in grid["median_s"]]
    keys = ["configuration", "contender"]
    table = grid.pivot(index=keys, columns="threads", values="ms").fillna(NO_VALUE)
    table = table.reindex(pd.MultiIndex.from_frame(grid[keys].drop_duplicates())).reset_index()
    return [*tables, ("Milliseconds per update under each setting of threads", table, "")]


def _parts(rows):
    cells = []
    for name, own in rows.groupby("configuration", sort=False):
        ms = (1e3 * own.set_index("contender")["median_s"]).to_dict()
        if "gradients" in ms:  # older records have no parts
            parts = ms["products"], ms["gradients"] - ms["products"], ms["optimizer"]
            rest = ms["project"] - ms["gradients"] - ms["optimizer"]
            cells.append([name, *(f"{part:.2f}" for part in (*parts, rest, ms["project"]))])
    parts = ["products", "gates, loss, copies", "clipping and Adam", "Keras's fit", "together (ms)"]
    return pd.DataFrame(cells, columns=["configuration", *parts])


def _updates(rows, record):
    project, cells = next(row for row in rows if row["contender"] == "project"), []
    for row in rows:
        contender = row["contender"]
        ratio = project[f"ratio_to_{contender}"]
        bar = TRAINING_BARS.get(row["configuration"], {}).get(contender)
        name = CONTENDERS[contender]
        if contender == "pytorch":
            name += f" {record['torch']} ({record['torch_build']} build)"
        milliseconds = (1e3 * row[key] for key in ("median_s", "quartile_low_s", "quartile_high_s"))
        cells.append((
            name, row["threads"], _with_range(*milliseconds, ",.2f"), f"{row['gflop_per_s']:.1f}",
            NO_VALUE if contender == "project" else f"{ratio:.3f}",
            NO_VALUE if bar is None else f"at most {bar:.2f}: {_met(ratio <= bar)}",
        ))  # fmt: skip
    columns = ["contender", "threads", "ms per update (quartiles)", "GFLOP/s", "this project's time over it"]
    return pd.DataFrame(cells, columns=[*columns, "bar"])


def _sampling(record):
    tables = [
        (f"Values drawn per second, {layers} LSTM layer(s)", _values_per_second(rows.to_dict("records")), "")
        for layers, rows in pd.DataFrame(record["rows"]).groupby("layers")
    ]
    if drawn := record.get("first_draw"):
        tables.append(("The first draw in a new process, and the same once more", _first_draw(drawn), ""))
    run = record["to_disk"]
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
    return [*tables, ("Sampling to disk", pd.DataFrame([row]), told)]


def _values_per_second(rows):
    cells = []
    for row in rows:
        name, compared = CONTENDERS.get(row["contender"]), (NO_VALUE,) * 5
        if row["contender"].startswith("sampler"):
            name = f"{CONTENDERS['project']}, {row['series']:,.0f} series"
            loops, fraction = (row["times_keras_loop"], row["times_tf1_loop"]), row["fraction_of_products"]
            met = _met(min(loops) >= LOOP_BAR), _met(fraction >= PRODUCTS_BAR)
            compared = (*(f"{times:,.1f}" for times in loops), met[0], f"{fraction:.3f}", met[1])
        if name:  # the products are a column
            speed = (row[key] for key in ("values_per_s", "values_per_s_low", "values_per_s_high"))
            cells.append((name, _with_range(*speed, ",.0f"), *compared))
    columns = ["contender", "values/s (quartiles)", "times the Keras loop", "times the TensorFlow 1 loop"]
    columns += [f"at least {LOOP_BAR} times both", "fraction of the bare products"]
    return pd.DataFrame(cells, columns=[*columns, f"at least {PRODUCTS_BAR:.2f}"])


def _first_draw(rows):
    cells = []
    for row in rows:
        more = row["first_s"] - row["again_s"]
        seconds = f"{row['first_s']:.1f}", f"{row['again_s']:.1f}", f"{more:.1f}"
        cells.append((row["what"], *seconds, _met(more <= FIRST_DRAW_BAR)))
    columns = ["what", "first (s)", "again (s)", "difference (s)", f"at most {FIRST_DRAW_BAR} s more"]
    return pd.DataFrame(cells, columns=columns)


def _side_by_side(record):
    best, single = {}, {}
    for row in record["alone"]:
        name, threads = row["configuration"], "x".join(map(str, row["threads"]))
        best[name] = min(best.get(name, (row["seconds"], threads)), (row["seconds"], threads))
        if threads == "1x1":
            single[name] = row["seconds"]
    gains = {name: single[name] / best[name][0] for name in best}
    alone = [
        (name, f"{1e3 * single[name]:.2f}", f"{1e3 * seconds:.2f} ({threads})", f"{gains[name]:.2f}")
        for name, (seconds, threads) in best.items()
    ]
    columns = ["layers x units", "ms on one thread", "ms at the fastest (threads)", "speed over one thread's"]
    alone = pd.DataFrame(alone, columns=columns)
    both_gains, losses, cells = [], [], []
    for row in record["together"]:
        pair, together = row["pair"], row["seconds"]
        loss = [seconds / single[name] for name, seconds in zip(pair, together, strict=True)]
        both_gains, losses = both_gains + [gains[name] for name in pair], losses + loss
        cells.append((
            " and ".join(pair), " and ".join(f"{1e3 * seconds:.2f}" for seconds in together),
            " and ".join(f"{each:.2f}" for each in loss), f"{row['speed_up']:.3f}",
            _met(row["speed_up"] >= SIDE_BY_SIDE_BAR),
        ))  # fmt: skip
    bar = f"at least {SIDE_BY_SIDE_BAR}"
    columns = ["layers x units", "ms per update", "time over that of one thread alone", "speed-up", bar]
    more = sum(both_gains) > sum(losses)
    told = (
        "The speed-up would be 2 if neither training slowed the other down and none could use two cores "
        f"alone. Two things limit it. Alone, more threads make a training {min(both_gains):.2f} to "
        f"{max(both_gains):.2f} times as fast as one thread. Side by side, an update takes {min(losses):.2f} "
        f"to {max(losses):.2f} times as long as on one thread alone. On average the "
        f"{'former' if more else 'latter'} limits more."
    )
    hours = record["full_profile_hours"]
    speed_up = hours["one by one"] / hours["two at a time"]
    reckoned = {f"{what} (h)": f"{each:.1f}" for what, each in hours.items()}
    reckoned |= {"speed-up": f"{speed_up:.2f}", bar: _met(speed_up >= SIDE_BY_SIDE_BAR)}
    return [
        ("Each training alone, one update", alone, ""),
        ("Two trainings at the same time, on one thread each", pd.DataFrame(cells, columns=columns), told),
        ("All trainings of the full profile's generators", pd.DataFrame([reckoned]), ""),
    ]


def _reading(record):
    cells = []
    for row in record["rows"]:
        bar, seconds = READING_BARS[row["what"]], (row[key] for key in ("median_s", "low_s", "high_s"))
        cells.append(
            (row["what"], _with_range(*seconds, ".2f"), f"under {bar}: {_met(row['median_s'] < bar)}")
        )
    columns = ["what", "seconds, median (range)", "bar"]
    return [
        ("From the archive, and from the file that is kept of it", pd.DataFrame(cells, columns=columns), "")
    ]


def _whole(records):
    cells = []
    for record in records:
        minutes, command = record["seconds"] / 60, record["command"]
        # The part that has the name of the command is the whole once more.
        parts = [part for part in record["parts"] if part["part"] not in command.split()]
        longest = sorted(parts, key=lambda part: -part["seconds"])[:5]
        where = ", ".join(f"{part['part']} {part['seconds']} s" for part in longest)
        bar = next((bar for name, bar in WHOLE_BARS.items() if name in command.split()), None)
        judged = NO_VALUE if bar is None else f"at most {bar}: {_met(minutes <= bar)}"
        cells.append((command, f"{minutes:.1f}", judged, where))
    columns = ["command", "minutes", "bar", "its five longest parts"]
    return [("Whole commands and their parts", pd.DataFrame(cells, columns=columns), "")]


def _scaling(record):
    cells = []
    for factor, time in record["time"].items():
        points = [row for row in record["rows"] if row["factor"] == factor]
        memory, first, last = record["memory"][factor], points[0], points[-1]
        cells.append((
            factor, ", ".join(str(point["value"]) for point in points),
            f"{1e3 * first['seconds']:,.2f} to {1e3 * last['seconds']:,.2f}", f"{time['exponent']:.2f}",
            f"{first['peak_mib']:,.0f} to {last['peak_mib']:,.0f}", f"{memory['exponent']:.2f}",
            f"{time['from']} to {time['to']}",
        ))  # fmt: skip
    columns = ["factor", "measured at", "ms", "power of time", "peak memory (MiB)", "power of memory"]
    growth = pd.DataFrame(cells, columns=[*columns, "fitted from"])
    base = ", ".join(f"{factor} {value}" for factor, value in record["base"].items())
    told = (
        f"One factor changes at a time, and the others stay at {base}. Times are those of one update, and "
        f"for series those of drawing {record['generated_steps']} steps of each."
    )
    hours = [(what, f"{each:,.1f}") for what, each in record["hours"].items()]
    costs = pd.DataFrame(hours, columns=["what", "hours on this machine"])
    return [("Growth with each factor", growth, told), ("What long runs would cost", costs, "")]
