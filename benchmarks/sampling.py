"""How fast series are drawn: this project's sampler, one value at a time, and the bare matrix products.

Run ``python -m benchmarks.sampling`` on an otherwise idle machine, about four minutes; ``--quick`` takes
two. It prints tables and writes results/benchmarks/sampling.json. The contenders, for a generator of one and
of three layers, take turns in one process with TensorFlow's default threads:

* ``sampler_N``: `sample_series` with N series side by side, compiled beforehand.
* ``keras_loop``: the stateful Keras model, called on one value of one series, drawn from in NumPy.
* ``tf1_loop``: the same in the way of the report's code: a TensorFlow 1 graph, one session run a value.
* ``tf_products_N``, ``numpy_products_N``: nothing but the matrix products of a step for N series.

What a user waits for who draws only once is measured apart: the first draw of each number and length in a
process of its own, and the same again. The first may cost one compilation more, and not one for each block of
steps. The weights are untrained, since no arithmetic here depends on them.
"""

import argparse
import functools
import multiprocessing
import statistics
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import psutil
import tensorflow as tf

from benchmarks.records import FOLDER, begin_record
from benchmarks.timing import seconds_of, summarise, take_turns
from sensegen_utils.data.layout import RATE, WINDOW
from sensegen_utils.model.generator import build_generator
from sensegen_utils.model.mixture import SIGMA_FLOOR
from sensegen_utils.model.sampling import STEPS_AT_ONCE, sample_series, sample_to_file, sample_windows
from sensegen_utils.model.whitening import fit_whitening
from sensegen_utils.report.records import save_record

SEED = 0
CHANNELS, LABELS, ORDER = 6, 6, 32  # of the windows' generator, as in notebook 7
DEFAULT = {
    "units": 256,
    "layers": (1, 3),
    "series": (4, 64, 512, 1024, 4096),
    "steps": STEPS_AT_ONCE,  # of the sampler at least
    "least_values": 16_384,  # in one call of the sampler, and about as many in one of the products
    "loop_values": 200,
    "turns": 5,
    "first_draws": (  # which, how many, of how many steps
        ("windows", 1, 160 * RATE),
        ("windows", 1, 600 * RATE),
        ("windows", 7, WINDOW),
        ("windows", 1000, WINDOW),
        ("series", 4, 2000),
    ),
    "draws_again": 3,
    "disk_values": 10_000_000,
}
QUICK = DEFAULT | {"series": (4, 512, 1024), "turns": 3, "draws_again": 1, "disk_values": 1_000_000}


def main(settings, path=FOLDER / "sampling.json"):
    """Run everything, print the tables, write the record to ``path`` and return it."""
    record, rows = begin_record("sampling"), []
    for layers in settings["layers"]:
        rows += measure(layers, settings)
    # A process for each: this one has compiled already, and its memory holds the contenders.
    new = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, new, max_tasks_per_child=1) as pool:
        draws = [(*draw, settings["units"], settings["draws_again"]) for draw in settings["first_draws"]]
        first = [pool.submit(first_draw, *draw) for draw in draws]
        to_disk = pool.submit(write_to_disk, settings["units"], settings["disk_values"])
        results = {"first_draw": [draw.result() for draw in first], "to_disk": to_disk.result()}
    record |= {"settings": settings, "rows": rows} | results
    save_record(record, path)
    _print_tables(rows, **results)
    return record


def measure(layers, settings):
    """Time all contenders for a generator of ``layers`` LSTMs: one dict a contender.

    Each holds the columns of `benchmarks.timing.summarise`, seconds being those per value, and the values
    per second at the median and the quartiles. Those of the sampler add ``times_keras_loop``,
    ``times_tf1_loop`` and ``fraction_of_products``, the speed relative to the loops and to the faster of the
    two products for as many series (medians over the turns).
    """
    keras.utils.set_random_seed(SEED)
    generator = build_generator(settings["units"], layers, batch_size=1)
    steps = {n: max(settings["steps"], settings["least_values"] // n) for n in settings["series"]}
    draw_loops = {"keras_loop": keras_loop(generator), "tf1_loop": tf1_loop(generator)}
    contenders = {
        name: functools.partial(draw, settings["loop_values"], SEED) for name, draw in draw_loops.items()
    }
    values = dict.fromkeys(draw_loops, settings["loop_values"])
    for n in settings["series"]:
        contenders[f"sampler_{n}"] = functools.partial(sample_series, generator, n, steps[n], SEED)
        for library, products in (("tf", tf_products), ("numpy", numpy_products)):
            multiply = products(_product_shapes(generator), n)
            product_steps = -(-settings["least_values"] // n)
            contenders[f"{library}_products_{n}"] = functools.partial(multiply, product_steps)
            values[f"{library}_products_{n}"] = n * product_steps
        values[f"sampler_{n}"] = n * steps[n]
    for call in contenders.values():  # compiles
        call()
    timed = {name: functools.partial(seconds_of, call) for name, call in contenders.items()}
    seconds = take_turns(timed, settings["turns"]) / pd.Series(values).reindex(list(contenders))
    flop = 2 * sum(a * b for a, b in _product_shapes(generator))
    rows = summarise(seconds, 1, flop).to_dict("records")
    for row in rows:
        row |= {
            "layers": layers,
            "values_per_s": 1 / row["median_s"],
            "values_per_s_low": 1 / row["quartile_high_s"],
            "values_per_s_high": 1 / row["quartile_low_s"],
        }
        kind, _, series = row["contender"].partition("_")
        if kind == "sampler":
            products = [row[f"ratio_to_{library}_products_{series}"] for library in ("tf", "numpy")]
            row |= {f"times_{name}": 1 / row[f"ratio_to_{name}"] for name in draw_loops}
            row |= {"series": int(series), "fraction_of_products": 1 / max(products)}
    return rows


def keras_loop(generator):
    """Return a function (values, seed) -> list that draws from a stateful G of batch size 1, call by call."""

    def draw(values, seed):
        for layer in generator.layers:
            if isinstance(layer, keras.layers.LSTM):
                layer.reset_state()
        return _draw_one_by_one(
            lambda value: generator.predict_on_batch(np.full((1, 1, 1), value))[0, 0], values, seed
        )

    return draw


def tf1_loop(generator):
    """Return a function (values, seed) -> list that draws in the way of the report's code.

    A TensorFlow 1 graph of one step; each value is one session run that is fed the last value and the LSTM
    states, and fetches the mixture parameters and the new states. Source: spec, public code.
    """
    weights = iter(generator.get_weights())
    graph = tf.Graph()
    with graph.as_default():
        hidden = fed_value = tf.compat.v1.placeholder(tf.float32, (1, 1))
        fed_states, new_states = [], []
        for layer in generator.layers:
            if isinstance(layer, keras.layers.LSTM):
                h, c = (tf.compat.v1.placeholder(tf.float32, (1, layer.units)) for _ in range(2))
                fed_states += [h, c]
                kernel = np.concatenate([next(weights), next(weights)])
                gates = tf.matmul(tf.concat([hidden, h], axis=1), kernel) + next(weights)
                i, f, g, o = tf.split(gates, 4, axis=1)
                c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
                hidden = tf.sigmoid(o) * tf.tanh(c)
                new_states += [hidden, c]
            elif isinstance(layer, keras.layers.Dense):
                hidden = layer.activation(tf.matmul(hidden, next(weights)) + next(weights))
    session = tf.compat.v1.Session(graph=graph)

    def draw(values, seed):
        states = [np.zeros(state.shape) for state in fed_states]

        def step(value):
            nonlocal states
            feed = dict(zip(fed_states, states, strict=True)) | {fed_value: [[value]]}
            params, states = session.run([hidden, new_states], feed)
            return params[0]

        return _draw_one_by_one(step, values, seed)

    return draw


def _draw_one_by_one(step, values, seed):
    rng = np.random.default_rng(seed)
    value, drawn = rng.standard_normal(), []
    for _ in range(values):
        logits, means, log_sigmas = np.split(step(value), 3)
        cumulative = np.cumsum(np.exp(logits - logits.max()))
        chosen = np.searchsorted(cumulative, rng.random() * cumulative[-1])
        value = means[chosen] + (np.exp(log_sigmas[chosen]) + SIGMA_FLOOR) * rng.standard_normal()
        drawn.append(value)
    return drawn


def tf_products(shapes, series):
    """Return a function (steps) that multiplies what so many steps of ``series`` series multiply."""
    pairs = [(tf.ones((series, size)), tf.ones((size, out))) for size, out in shapes]

    def multiply(steps):
        for _ in range(steps):
            for left, right in pairs:
                tf.matmul(left, right)

    return multiply


def numpy_products(shapes, series):
    """Return what `tf_products` does, for NumPy."""
    operands = [
        [np.ones(shape, np.float32) for shape in ((series, size), (size, out), (series, out))]
        for size, out in shapes
    ]

    def multiply(steps):
        for _ in range(steps):
            for left, right, product in operands:
                np.matmul(left, right, out=product)

    return multiply


def _product_shapes(generator):
    # The matrices; a first kernel of one row is no product but a scaling, and its share is 0.3 %.
    return [w.shape for w in generator.get_weights() if w.ndim == 2 and len(w) > 1]


def first_draw(kind, number, steps, units, again):
    """Draw in a process that has drawn nothing yet, then as much again, ``again`` times.

    ``kind`` is "windows", six channels at 50 Hz from a generator of one layer, or "series", on the report's
    axis from three layers. Returns a dict: what was drawn, the seconds of the first draw, and the median of
    those after it.
    """
    keras.utils.set_random_seed(SEED)
    if kind == "windows":
        label = np.repeat(np.arange(LABELS), 2 * ORDER)
        noise = np.random.default_rng(SEED).standard_normal((len(label), WINDOW, CHANNELS), np.float32)
        whitening = fit_whitening(noise, label, ORDER, SIGMA_FLOOR)
        generator = build_generator(units, 1, channels=CHANNELS, labels=LABELS)
        draw = functools.partial(sample_windows, generator, whitening, {0: number}, steps)
        what = f"{number:,} window(s) of {steps / RATE:g} s, {CHANNELS} channels"
    else:
        draw = functools.partial(sample_series, build_generator(units, 3), number, steps)
        what = f"{number:,} series of {steps:,} steps on the report's axis"
    first, *others = (seconds_of(functools.partial(draw, seed)) for seed in range(1 + again))
    return {"what": what, "first_s": first, "again_s": statistics.median(others)}


def write_to_disk(units, values, steps=128):
    """Draw ``values`` from a one-layer G into a temporary .npy file, as windows of ``steps`` values.

    Returns a dict: series, steps, file size and memory in MB (10^6 bytes), seconds, values per second. The
    memory is what the process holds at its peak, before (with everything compiled) and during the run.
    """
    keras.utils.set_random_seed(SEED)
    generator = build_generator(units, 1)
    series = -(-values // steps)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.npy"
        held = psutil.Process().memory_info
        sample_to_file(path, generator, min(series, 4096), steps, SEED)
        before, peaks, done = held().rss, [0], threading.Event()

        def watch():
            while not done.wait(0.01):
                peaks[0] = max(peaks[0], held().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        try:
            sample_to_file(path, generator, series, steps, SEED)
        finally:
            seconds = time.perf_counter() - start
            done.set()
            watcher.join()
        return {
            "series": series,
            "steps": steps,
            "file_mb": path.stat().st_size / 1e6,
            "memory_before_mb": before / 1e6,
            "memory_peak_mb": max(before, peaks[0]) / 1e6,
            "seconds": seconds,
            "values_per_s": series * steps / seconds,
        }


def _print_tables(rows, first_draw, to_disk):
    table = pd.DataFrame(rows)
    columns = ["values_per_s", "values_per_s_low", "values_per_s_high", "gflop_per_s"]
    compared = ["times_keras_loop", "times_tf1_loop", "fraction_of_products"]
    for layers, group in table.groupby("layers"):
        print(f"\n{layers} LSTM layer(s); low and high are quartiles")
        shown = group.set_index("contender")[columns + compared]
        print(shown.to_string(na_rep="", float_format=lambda x: f"{x:,.0f}" if x >= 100 else f"{x:.2f}"))
    print("\nSeconds of the first draw in a new process, and of the same again")
    print(pd.DataFrame(first_draw).to_string(index=False, float_format="%.2f"))
    print(
        "\nTo disk: {series:,} windows of {steps} values, {file_mb:.1f} MB, in {seconds:.1f} s "
        "({values_per_s:,.0f} values/s); memory {memory_before_mb:.0f} MB before, "
        "{memory_peak_mb:.0f} MB at the peak".format(**to_disk)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns, series and values to disk")
    main(QUICK if parser.parse_args().quick else DEFAULT)
