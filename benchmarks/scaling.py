"""How time and memory grow with the work: `python -m benchmarks.scaling`.

Around the report's configuration, one factor at a time changes: LSTM units, layers, chunk length and batch
of a training update, and the number of series generated at once. Each point runs in a process of its own,
since a peak of memory never goes down, and yields the median of a few calls. The exponents are those of
power laws through the upper half of the points, where overhead matters less; what long runs would cost
follows from them. Writes results/benchmarks/scaling.json. Under ten minutes on a quiet machine.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.records import FOLDER, begin_record
from benchmarks.timing import seconds_of
from fast_keras import FastAdam
from sensegen_utils.model.generator import build_generator
from sensegen_utils.model.mixture import mixture_nll
from sensegen_utils.model.sampling import sample_series
from sensegen_utils.report import published
from sensegen_utils.report.records import save_record

RECORD = FOLDER / "scaling.json"
BASE = {"units": 256, "layers": 3, "steps": published.CHUNK_STEPS, "batch": published.GENERATOR_BATCH}
FACTORS = {
    "units": (64, 128, 256, 512, 1024),
    "layers": (1, 2, 3, 4),
    "steps": (10, 20, 40, 80, 160),
    "batch": (4, 16, 64, 256),
    "series": (16, 64, 256, 1024, 4096),
}
GENERATED_STEPS, UPDATES, CALLS = 128, 10, 5
UPDATES_PER_EPOCH = published.DATA_SHAPES["total_acc_x"][0][0] // published.CHUNK_STEPS


def peak_mib():
    """Largest resident memory this process ever had."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage starts from the peak of the process that started this one
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(units, layers, steps, batch, series=0):
    """Seconds of one update, or of generating ``series`` series, and the peak of memory of this process."""
    imported = peak_mib()
    keras.utils.set_random_seed(0)
    model = build_generator(units, layers, batch_size=batch)
    if series:
        done, call = 1, lambda: sample_series(model, series, GENERATED_STEPS, seed=0)
    else:
        adam = FastAdam(published.LEARNING_RATE, global_clipnorm=0.1)
        model.compile(adam, loss=mixture_nll, steps_per_execution=UPDATES)
        shape = (2, UPDATES * batch, steps, 1)
        inputs, targets = np.random.default_rng(0).standard_normal(shape, np.float32)
        options = {"batch_size": batch, "shuffle": False, "verbose": 0}
        done, call = UPDATES, lambda: model.fit(inputs, targets, **options)
    call()
    seconds = [seconds_of(call) / done for _ in range(CALLS)]
    peak = peak_mib()
    return {"seconds": float(np.median(seconds)), "peak_mib": peak, "above_import_mib": peak - imported}


def measure_apart(point):
    """The same in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--point", json.dumps(point)]
    here = Path(__file__).parents[1]
    return json.loads(subprocess.run(command, cwd=here, stdout=subprocess.PIPE, check=True).stdout)


def power_law(x, y):
    """Fit y = factor x^exponent through the upper half of the points, x ascending."""
    x, y = x[len(x) // 2 :], y[len(y) // 2 :]
    exponent, offset = np.polyfit(np.log(x), np.log(y), 1)
    return {"exponent": float(exponent), "factor": float(np.exp(offset)), "from": x[0], "to": x[-1]}


def costs(update, fits):
    """Hours of long runs on this machine, from seconds of a base update and the fits."""

    def predicted(factor, value):
        return fits[factor]["factor"] * value ** fits[factor]["exponent"]

    many, series, epochs = 100 * BASE["batch"], fits["series"]["to"], published.EPOCHS
    epoch, epoch_of_many = UPDATES_PER_EPOCH * update, UPDATES_PER_EPOCH * predicted("batch", many)
    seconds = {
        f"{published.PAPER_EPOCHS} epochs": published.PAPER_EPOCHS * epoch,
        f"{epochs} epochs of 100 signals, one by one": 100 * epochs * epoch,
        f"{epochs} epochs of 100 signals, together in batches of {many}": epochs * epoch_of_many,
        f"1e9 values, {series} series at once": 1e9 * predicted("series", series) / series / GENERATED_STEPS,
    }
    return {name: total / 3600 for name, total in seconds.items()}


def main(arguments=None, base=BASE, factors=FACTORS):
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    point = parser.parse_args(arguments).point
    if point:
        print(json.dumps(measure(**point)))
        return
    record = begin_record("scaling")
    base_result, rows = measure_apart(base), []
    points = [(factor, value) for factor, values in factors.items() for value in values]
    for factor, value in tqdm(points, unit="point"):
        result = base_result if base.get(factor) == value else measure_apart(base | {factor: value})
        rows.append({"factor": factor, "value": value} | result)
    table, fits, memory = pd.DataFrame(rows), {}, {}
    for factor, part in table.groupby("factor", sort=False):
        fits[factor] = power_law(list(part["value"]), list(part["seconds"]))
        memory[factor] = power_law(list(part["value"]), list(part["above_import_mib"].clip(lower=1)))
    hours = costs(base_result["seconds"], fits)
    print(f"\nseconds per update, or per call that generates\n{table.to_string(index=False)}")
    for name, laws in (("time", fits), ("memory above that of the imports", memory)):
        print(f"\n{name} grows with the power\n{pd.DataFrame(laws).T.to_string()}")
    print("\nhours\n" + "\n".join(f"{total:10.1f}  {name}" for name, total in hours.items()))
    record |= {"base": base, "generated_steps": GENERATED_STEPS, "updates_per_epoch": UPDATES_PER_EPOCH}
    save_record(record | {"rows": rows, "time": fits, "memory": memory, "hours": hours}, RECORD)
    print(f"\n{RECORD}")


if __name__ == "__main__":
    main()
