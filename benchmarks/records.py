"""The records of the benchmarks: where they lie, and how they begin."""

import json
from pathlib import Path

from sensegen_utils.files import ROOT
from sensegen_utils.provenance import provenance

FOLDER = ROOT / "results" / "benchmarks"
NO_DATA = {"kind": "none", "sha256": None}


def begin_record(name, data=NO_DATA):
    """What each record begins with: its provenance, and in it a clock for the wall time.

    ``data`` is what `load_har` returned, where a benchmark reads data. `save_record` stops the clock.
    """
    return {"provenance": provenance(f"benchmarks.{name}", "benchmark", 0, data)}


def load_benchmarks(folder=FOLDER):
    """All records of the benchmarks in a folder: {name: record}, empty if there are none."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.json"))}
