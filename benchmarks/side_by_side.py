"""How much sooner two independent trainings end side by side than one after the other.

`python -m benchmarks.side_by_side [--updates N]` trains the report's configurations in processes of their
own: alone, with every thread setting, and two at a time with one thread each, as run_all.sh does. The
speed-up is the time of both alone, at the best setting, one after the other, over the time side by side.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys

from sensegen_utils.paths import ROOT
from sensegen_utils.records import save_record, start_record

RECORD = ROOT / "results" / "benchmarks" / "side_by_side.json"
CONFIGURATIONS = {"3x256": (256, 3), "1x256": (256, 1), "3x128": (128, 3)}
PAIRS = (("3x256", "3x256"), ("3x256", "1x256"), ("1x256", "1x256"), ("3x128", "1x256"))
THREADS = ((1, 1), (1, 2), (2, 1), (2, 2))  # in one operation, between operations

WORKER = """
import sys, time
import keras, numpy as np
from sensegen_utils.generator import build_generator, mixture_nll

units, layers, updates = map(int, sys.argv[1:])
keras.utils.set_random_seed(0)
model = build_generator(units, layers, batch_size=4)
model.compile(keras.optimizers.Adam(3e-4, global_clipnorm=0.1), loss=mixture_nll, steps_per_execution=20)
inputs, targets = np.random.default_rng(0).standard_normal((2, 4 * updates, 20, 1)).astype("float32")
model.fit(inputs, targets, batch_size=4, shuffle=False, verbose=0)
while True:
    print("ready", flush=True)
    if not sys.stdin.readline():
        break
    start = time.perf_counter()
    model.fit(inputs, targets, batch_size=4, shuffle=False, verbose=0)
    print((time.perf_counter() - start) / updates, flush=True)
"""


def start_worker(name, threads, updates):
    """Start a process that trains one configuration each time it reads a line, and wait until it is warm."""
    environment = {"TF_NUM_INTRAOP_THREADS": str(threads[0]), "TF_NUM_INTEROP_THREADS": str(threads[1])}
    units, layers = CONFIGURATIONS[name]
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(units), str(layers), str(updates)],
        env=os.environ | environment | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    worker.stdout.readline()
    return worker


def seconds_per_update(names, threads, updates, repeats):
    """Median seconds an update takes in each of the processes that train ``names`` at the same time."""
    workers = [start_worker(name, threads, updates) for name in names]
    rounds = []
    for _ in range(repeats):
        for worker in workers:
            print(file=worker.stdin, flush=True)
        rounds.append([float(worker.stdout.readline()) for worker in workers])
        for worker in workers:
            worker.stdout.readline()
    for worker in workers:
        worker.stdin.close()
        worker.wait()
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main(arguments=None):
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    record = start_record("benchmarks.side_by_side", "benchmark", 0, {"kind": "none", "sha256": None})
    alone = [
        {"configuration": name, "threads": threads,
         "seconds": seconds_per_update([name], threads, options.updates, options.repeats)[0]}
        for name, threads in itertools.product(CONFIGURATIONS, THREADS)
    ]  # fmt: skip
    best = {
        name: min(row["seconds"] for row in alone if row["configuration"] == name) for name in CONFIGURATIONS
    }
    together = []
    for pair in PAIRS:
        seconds = seconds_per_update(pair, (1, 1), options.updates, options.repeats)
        # In one second side by side each process does the work of best / seconds alone.
        speed_up = sum(best[name] / each for name, each in zip(pair, seconds, strict=True))
        together.append({"pair": pair, "seconds": seconds, "speed_up": speed_up})
    for row in alone:
        print("{configuration} alone, threads {threads}: {seconds:.5f} s an update".format(**row))
    for row in together:
        print("{pair} side by side: {seconds} s an update, {speed_up:.2f} x sooner".format(**row))
    save_record(record | {"alone": alone, "together": together}, RECORD)


if __name__ == "__main__":
    main()
