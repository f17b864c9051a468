"""The pictures of the page on speed, from the records alone; `benchmarks.report` has them drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.records import load_benchmarks
from benchmarks.tables import CONTENDERS, of_contenders
from sensegen_utils.report.figures import COLORS, save_figure, use_style

OURS, OTHERS = COLORS["generated"], COLORS["published"]


def training_panels(record):
    """One panel a configuration: its title, its axis, and rows of name, median, quartiles, colour."""
    for name, rows in pd.DataFrame(record["rows"]).groupby("configuration", sort=False):
        points = [
            (
                CONTENDERS[row.contender],
                1e3 * row.median_s,
                1e3 * row.quartile_low_s,
                1e3 * row.quartile_high_s,
                OURS if row.contender == "project" else OTHERS,
            )
            for row in of_contenders(rows).itertuples()
        ]
        yield f"training: {name}", "ms per update (log scale)", points


def sampling_panels(record):
    """The same for values per second, one panel a number of layers."""
    for layers, rows in pd.DataFrame(record["rows"]).groupby("layers"):
        points = []
        for row in rows.itertuples():
            kind, _, series = row.contender.rpartition("_")
            names = {"sampler": "this project", "tf_products": "products, TensorFlow"}
            names |= {"numpy_products": "products, NumPy"}
            name = CONTENDERS.get(row.contender) or f"{names[kind]}, {series} series"
            colour = OURS if kind == "sampler" else OTHERS
            points.append((name, row.values_per_s, row.values_per_s_low, row.values_per_s_high, colour))
        yield f"sampling, {layers} LSTM layer(s)", "values per second (log scale)", points


def draw_speed(benchmarks):
    """Time per update of each contender in each configuration, and values per second; None without either."""
    panels = []
    for name, make in (("training", training_panels), ("sampling", sampling_panels)):
        if name in benchmarks:
            panels += make(benchmarks[name])
    if not panels:
        return None
    columns = min(2, len(panels))
    heights = [1 + 0.3 * max(len(panel[2]) for panel in panels[n : n + columns])
               for n in range(0, len(panels), columns)]  # fmt: skip
    figure, axes = plt.subplots(
        len(heights), columns, figsize=(6 * columns, sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, label, points) in zip(axes.flat, panels, strict=False):
        for height, (_, median, low, high, colour) in enumerate(points):
            axis.plot([low, high], [height, height], color=colour)
            axis.plot(median, height, "o", color=colour)
            axis.annotate(f"{median:,.3g}" if median < 1000 else f"{median:,.0f}", (median, height),
                          xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7)  # fmt: skip
        axis.set(xscale="log", xlabel=label, title=title, yticks=range(len(points)))
        axis.set_yticklabels([name for name, *_ in points])
        axis.set_ylim(len(points) - 0.5, -0.9)
        axis.margins(x=0.12)
        axis.grid(axis="x", which="major", alpha=0.3)
        if max(high for *_, high, _ in points) < 30 * min(low for _, _, low, _, _ in points):
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # else a decade or none has a label
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
    return figure


def draw_scaling(benchmarks):
    """Time and peak memory against each factor, with the fitted powers; None without a record."""
    if "scaling" not in benchmarks:
        return None
    record = benchmarks["scaling"]
    table = pd.DataFrame(record["rows"])
    figure, axes = plt.subplots(2, len(record["time"]), figsize=(2.6 * len(record["time"]), 5), squeeze=False)
    measures = (
        ("time", "seconds", 0, "seconds"),
        # As in the fit: below one MiB the peak of the imports hides what was used.
        ("memory", "above_import_mib", 1, "memory on top of the imports (MiB)"),
    )
    for row, (name, column, least, label) in zip(axes, measures, strict=True):
        for axis, (factor, fit) in zip(row, record[name].items(), strict=True):
            points = table[table["factor"] == factor]
            axis.loglog(points["value"], points[column].clip(lower=least), "o", color=OURS)
            ends = np.array([fit["from"], fit["to"]], float)
            axis.loglog(ends, fit["factor"] * ends ** fit["exponent"], color=OTHERS)
            axis.set(title=f"{name} ~ {factor}$^{{{fit['exponent']:.2f}}}$", xlabel=factor)
            axis.set_xticks(points["value"], points["value"], rotation=45)
            axis.xaxis.minorticks_off()
        row[0].set_ylabel(label)
    return figure


def draw_all(folder):
    """Draw what there are records of into ``folder``/figures."""
    use_style()
    benchmarks = load_benchmarks(folder)
    for name, draw in (("speed", draw_speed), ("scaling", draw_scaling)):
        if figure := draw(benchmarks):
            save_figure(figure, folder / "figures" / f"{name}.png", None)
            plt.close(figure)
