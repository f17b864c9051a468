"""Seconds per training update of G in several implementations: `python -m benchmarks.training`.

One update is forward, backward, clipping and Adam on one batch, the LSTM state carried to the next. Two
configurations: the report's (4 chunks of 20 steps), bound by overhead, and 128 windows of 127 steps, bound
by arithmetic. The contenders start from the same weights, and have to reach the same loss in their first
updates. They take a few turns under every setting of threads (within TensorFlow's operations x between
them), then each takes many under its fastest. Every setting has processes of its own, which all wait for
their turn: up to 10 GB of memory. Writes results/benchmarks/training.json. A quarter of an hour on a quiet
machine.
"""

import argparse
import contextlib
import functools
import importlib.metadata
import itertools
import os
import tempfile
from pathlib import Path

import keras
import numpy as np

from benchmarks import updates, worker
from benchmarks.records import FOLDER, begin_record
from benchmarks.timing import summarise, take_turns
from sensegen_utils.model.mixture import HALF_LOG_2PI
from sensegen_utils.profiles import SIGMA_FLOOR
from sensegen_utils.report.records import save_record

RECORD = FOLDER / "training.json"
# With fewer updates a call, the start of fit (0.1 s), which a real epoch spreads over 367, would show.
REPORT = {"name": "report, 4 x 20", "batch": 4, "steps": 20, "units": 256, "layers": 3, "updates": 80}
WINDOWS = {"name": "windows, 128 x 127", "batch": 128, "steps": 127, "units": 256, "layers": 3, "updates": 2}
SETTINGS = tuple(itertools.product(sorted({1, os.cpu_count()}), repeat=2))
TOLERANCE = 1e-5  # relative, of the mean loss over the first updates: what is left is rounding
PYTORCH = "benchmarks.updates_pytorch"


def pytorch_job(config, folder):
    """What the process of PyTorch needs to train as the others do: a dict, and a file in ``folder``."""
    model, (inputs, targets) = updates.keras_model(config, keras.layers.LSTM), updates.data(config)
    weights = {str(n): weight for n, weight in enumerate(model.get_weights())}
    path = Path(folder) / "pytorch.npz"
    np.savez(path, inputs=inputs, targets=targets, **weights)
    constants = {
        "learning_rate": updates.LEARNING_RATE,
        "epsilon": updates.EPSILON,
        "clip": updates.CLIP,
        "sigma_floor": SIGMA_FLOOR,
        "half_log_2pi": HALF_LOG_2PI,
    }
    return config | {"arrays": str(path), "constants": constants}


def start_all(stack, config, settings, facts):
    """Start all contenders under all settings: ``{"contender 1x2": function that returns seconds}``.

    What PyTorch's process says of itself goes into ``facts``, as does why it is left out where it is absent
    or ends. Raises ChildProcessError if a process of TensorFlow ends, and as `check`.
    """
    jobs = [("benchmarks.updates", config, threads) for threads in settings]
    if torch_version() is None:
        leave_out(facts, "pytorch", "it is not installed (pip install -e .[bench])")
    else:
        job = pytorch_job(config, stack.enter_context(tempfile.TemporaryDirectory()))
        # Eager operations come one after the other, so threads between them make no difference.
        jobs += [(PYTORCH, job, (intra, inter)) for intra, inter in settings if intra == inter]
    calls, losses = {}, {}
    for module, job, (intra, inter) in jobs:
        try:
            process, ready = stack.enter_context(worker.start(module, job, (intra, inter)))
        except ChildProcessError as error:
            if module != PYTORCH:
                raise
            leave_out(facts, f"pytorch {intra}x{inter}", error)
            continue
        facts |= ready["facts"]
        for name, loss in ready["first"].items():
            column = f"{name} {intra}x{inter}"
            calls[column], losses[column] = functools.partial(ask, process, column, facts), loss
    check(losses)
    return calls


def ask(process, column, facts):
    """Seconds that a contender takes; NaN if it is PyTorch and its process has ended."""
    name = column.split()[0]
    try:
        return worker.ask(process, name)
    except ChildProcessError as error:
        if name != "pytorch":
            raise
        leave_out(facts, column, error)
        return float("nan")


def leave_out(facts, column, why):
    """Say once that a contender is left out."""
    if column not in facts["left_out"]:
        print(f"{column} is left out: {why}")
        facts["left_out"][column] = str(why)


def check(losses):
    """Whether all contenders train as this project does; AssertionError that names one which does not."""
    expected = next(loss for column, loss in losses.items() if column.startswith("project "))
    for column, loss in losses.items():
        if loss is not None:  # of bare products there is none
            np.testing.assert_allclose(loss, expected, rtol=TOLERANCE, err_msg=column)


def fastest(seconds):
    """The columns with the least median of their contender."""
    medians = seconds.median()
    return set(medians.groupby(medians.index.str.split().str[0]).idxmin())


def measure(config, settings, choosing, repeats, facts):
    """Two tables: each contender under its fastest setting, and all under all settings."""
    with contextlib.ExitStack() as stack:
        calls = start_all(stack, config, settings, facts)
        tried = take_turns(calls, choosing).dropna(axis="columns")
        chosen = {column: calls[column] for column in tried if column in fastest(tried)}
        seconds = take_turns(chosen, repeats).dropna(axis="columns")
    flop = updates.flop_per_update(config)
    grid = summarise(tried, config["updates"], flop).iloc[:, :5]
    table = summarise(seconds.rename(columns=lambda column: column.split()[0]), config["updates"], flop)
    table.insert(1, "threads", [column.split()[1] for column in seconds])
    grid.insert(1, "threads", [column.split()[1] for column in tried])
    grid["contender"] = [column.split()[0] for column in tried]
    print(f"\n{config['name']}: seconds per update\n{grid.to_string(index=False, float_format='%.4g')}")
    print(f"\neach at its fastest\n{table.to_string(index=False, float_format='%.4g')}")
    for each in (table, grid):
        each.insert(0, "configuration", config["name"])
    return table.to_dict("records"), grid.to_dict("records")


def torch_version():
    """PyTorch's version, None if it is absent: it is an extra that only the benchmarks use."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def main(arguments=None, configs=(REPORT, WINDOWS), settings=SETTINGS):
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choosing", type=int, default=3, help="turns under every setting of threads")
    parser.add_argument("--repeats", type=int, default=10, help="turns of each contender at its fastest")
    options = parser.parse_args(arguments)
    record = begin_record("training")
    facts = {"torch": torch_version() or "absent", "torch_build": None, "left_out": {}}
    measured = [measure(config, settings, options.choosing, options.repeats, facts) for config in configs]
    tables, grids = zip(*measured, strict=True)
    record |= facts | {
        "configurations": list(configs),
        "loss_tolerance": TOLERANCE,
        "rows": sum(tables, []),
        "grid": sum(grids, []),
    }
    save_record(record, RECORD)
    print(f"\n{RECORD}")


if __name__ == "__main__":
    main()
