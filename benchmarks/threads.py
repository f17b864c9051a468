"""Which thread settings suit which contender: `python -m benchmarks.threads`.

The updates of `benchmarks.training` under TensorFlow's intra-op x inter-op threads 1x1, 1x2, 2x1 and 2x2
(PyTorch gets the first number). TensorFlow fixes both at its start, so each setting has a process of its
own; all wait for their turn. Writes results/benchmarks/threads.json: each contender under each setting, and
this project against each other contender, both at their best. Takes minutes and up to 10 GB of memory.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.timing import summarise, take_turns
from benchmarks.training import REPORT, WINDOWS, contenders, flop_per_update, torch_version
from sensegen_utils.paths import ROOT
from sensegen_utils.records import save_record, start_record

RECORD = ROOT / "results" / "benchmarks" / "threads.json"
SETTINGS = ((1, 1), (1, 2), (2, 1), (2, 2))
CONTENDERS = ("project", "stock", "pytorch")


@contextlib.contextmanager
def worker(config, intra, inter):
    """A process with these thread settings; yields ``{"contender intra x inter": function that waits}``."""
    environment = {"TF_NUM_INTRAOP_THREADS": str(intra), "TF_NUM_INTEROP_THREADS": str(inter)}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.threads", "--worker", json.dumps(config)],
        env=os.environ | environment,
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def call(name):
        print(name, file=process.stdin, flush=True)
        if not process.stdout.readline():
            raise RuntimeError(f"the process with {intra}x{inter} threads ended; its error stands above")

    with process:
        ready = process.stdout.readline()
        if not ready:
            raise RuntimeError(f"the process with {intra}x{inter} threads did not start; see above")
        yield {f"{name} {intra}x{inter}": (lambda name=name: call(name)) for name in json.loads(ready)}
        process.stdin.close()


def work(config):
    """The other side: make the contenders, then run whichever is named on standard input."""
    with contextlib.redirect_stdout(sys.stderr):
        made = contenders(config, CONTENDERS)
    print(json.dumps(list(made)), flush=True)
    for line in sys.stdin:
        made[line.strip()]()
        print("done", flush=True)


def measure(config, settings, repeats):
    """Rows of all contenders under all settings, and the ratios of the best ones."""
    with contextlib.ExitStack() as stack:
        calls = {}
        for intra, inter in settings:
            calls |= stack.enter_context(worker(config, intra, inter))
        seconds = take_turns(calls, repeats)
    table = summarise(seconds, config["updates"], flop_per_update(config)).iloc[:, :5]
    medians = seconds.median()
    names = dict.fromkeys(column.split()[0] for column in seconds)
    best = {name: min((c for c in seconds if c.startswith(name + " ")), key=medians.get) for name in names}
    ratios = {
        f"{best['project']} / {best[name]}": float(np.median(seconds[best["project"]] / seconds[best[name]]))
        for name in names
        if name != "project"
    }
    print(f"\n{config['name']}: seconds per update\n{table.to_string(index=False, float_format='%.4g')}")
    print("\n".join(f"best of each, {pair}: {ratio:.3f}" for pair, ratio in ratios.items()))
    return {"rows": table.to_dict("records"), "ratios_at_best": ratios} | config


def main(arguments=None, configs=(REPORT, WINDOWS), settings=SETTINGS):
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contender and setting")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        return work(options.worker)
    record = start_record("benchmarks.threads", "benchmark", 0, {"kind": "none", "sha256": None})
    record["torch"] = torch_version() or "absent"
    record["configurations"] = [measure(config, settings, options.repeats) for config in configs]
    save_record(record, RECORD)
    print(f"\n{RECORD}")


if __name__ == "__main__":
    main()
