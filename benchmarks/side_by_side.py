"""How much sooner two independent trainings end side by side than one after the other.

`python -m benchmarks.side_by_side [--updates N]` trains the report's configurations in processes of their
own: alone, with every thread setting, and two at a time with one thread each, as run_all.sh does, the
shorter of both with more updates, so that neither ends up alone. The speed-up is the time of both alone, at
the best setting, one after the other, over the time side by side. From these it reckons what the full
profile's trainings of G take in run_all.sh's order, two at a time and one by one.
"""

import argparse
import contextlib
import itertools
import statistics

import numpy as np

from benchmarks import worker
from benchmarks.records import FOLDER, begin_record
from benchmarks.scaling import UPDATES_PER_EPOCH
from sensegen_utils.profiles import CURVE_RUN, EXPERIMENTS, PUBLISHED_START_RUN, get_profile
from sensegen_utils.report.records import save_record

RECORD = FOLDER / "side_by_side.json"
CONFIGURATIONS = {"3x256": (256, 3), "1x256": (256, 1), "3x128": (128, 3)}
PAIRS = tuple(itertools.combinations_with_replacement(CONFIGURATIONS, 2))
THREADS = ((1, 1), (1, 2), (2, 1), (2, 2))  # in one operation, between operations


def make(job):
    """``{"train": function}`` that trains one configuration, for `benchmarks.worker`."""
    import keras

    from fast_keras import FastAdam
    from sensegen_utils.model.generator import build_generator
    from sensegen_utils.model.mixture import mixture_nll

    keras.utils.set_random_seed(0)
    units, layers = job["size"]
    model = build_generator(units, layers, batch_size=4)
    model.compile(FastAdam(3e-4, global_clipnorm=0.1), loss=mixture_nll, steps_per_execution=20)
    shape = (2, 4 * job["updates"], 20, 1)
    inputs, targets = np.random.default_rng(0).standard_normal(shape, np.float32)
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    return {"train": lambda: model.fit(inputs, targets, **options).history["loss"][0]}, {}


def seconds_per_update(jobs, threads, repeats):
    """Median seconds an update takes in each of the processes that train at the same time.

    ``jobs`` is one ``(configuration, updates a round)`` for each process.
    """
    rounds = []
    with contextlib.ExitStack() as stack:
        processes = []
        for name, updates in jobs:
            job = {"size": CONFIGURATIONS[name], "updates": updates}
            process, _ = stack.enter_context(worker.start("benchmarks.side_by_side", job, threads))
            processes.append(process)
        for _ in range(repeats):
            for process in processes:
                worker.tell(process, "train")
            rounds.append([worker.answer(p) / n for p, (_, n) in zip(processes, jobs, strict=True)])
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def full_profile():
    """(configuration, epochs) of the full profile's trainings of G, in the order of run_all.sh."""
    full = get_profile("full")
    curve = (CURVE_RUN, full["generator_epochs"])
    runs = [curve, *((experiment, experiment["epochs"]) for experiment in EXPERIMENTS)]
    runs += [(CURVE_RUN, full["beyond_epochs"]), (PUBLISHED_START_RUN, full["published_start_epochs"])]
    runs += [curve] * (full["generator_seeds"] - 1)
    return [("{lstm_layers}x{lstm_units}".format(**run), epochs) for run, epochs in runs]


def two_at_a_time(jobs, alone, together):
    """Total time of ``jobs``, (configuration, work) each, if two run at any time and none is left out.

    ``alone`` is {configuration: time of a unit of work}, ``together`` {(configuration, other): the times of a
    unit of each while both run}.
    """
    pace = {(name,): (each,) for name, each in alone.items()} | together
    pace |= {pair[::-1]: times[::-1] for pair, times in together.items()}
    waiting, running, total = list(jobs), [], 0.0
    while waiting or running:
        while waiting and len(running) < 2:
            running.append(waiting.pop(0))
        times = pace[tuple(name for name, _ in running)]
        step = min(left * time for (_, left), time in zip(running, times, strict=True))
        total += step
        running = [(name, left - step / time) for (name, left), time in zip(running, times, strict=True)]
        running = [(name, left) for name, left in running if left > 1e-9]
    return total


def main(arguments=None):
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    record = begin_record("side_by_side")
    alone = [
        {"configuration": name, "threads": threads,
         "seconds": seconds_per_update([(name, options.updates)], threads, options.repeats)[0]}
        for name, threads in itertools.product(CONFIGURATIONS, THREADS)
    ]  # fmt: skip
    best, single = {}, {}
    for row in alone:
        name = row["configuration"]
        best[name] = min(best.get(name, row["seconds"]), row["seconds"])
        single |= {name: row["seconds"]} if row["threads"] == (1, 1) else {}
    together = []
    for pair in PAIRS:
        longest = max(single[name] for name in pair)
        jobs = [(name, round(options.updates * longest / single[name])) for name in pair]
        seconds = seconds_per_update(jobs, (1, 1), options.repeats)
        # In one second side by side each process does the work of best / seconds alone.
        speed_up = sum(best[name] / each for name, each in zip(pair, seconds, strict=True))
        together.append({"pair": pair, "seconds": seconds, "speed_up": speed_up})
    for row in alone:
        print("{configuration} alone, threads {threads}: {seconds:.5f} s an update".format(**row))
    for row in together:
        print("{pair} side by side: {seconds} s an update, {speed_up:.2f} x sooner".format(**row))
    jobs = [(name, epochs * UPDATES_PER_EPOCH / 3600) for name, epochs in full_profile()]
    paces = {row["pair"]: row["seconds"] for row in together}
    hours = {
        "one by one": sum(best[name] * work for name, work in jobs),
        "two at a time": two_at_a_time(jobs, single, paces),
    }
    print("the full profile's trainings of G, hours:", hours)
    save_record(record | {"alone": alone, "together": together, "full_profile_hours": hours}, RECORD)


if __name__ == "__main__":
    main()
