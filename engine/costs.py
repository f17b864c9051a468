"""Say what a profile took: `engine/costs.py PROFILE SECONDS FOLDER` prints the last line of ./run_all.sh.

FOLDER is that of the profile's results. Snakemake measured the memory of each run and wrote it to
FOLDER/logs/benchmarks/.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

from receipts import spoken


def peak_memory(folder):
    """Return (MB of the largest run, its name, MB of all runs at a time at most); None if none is measured.

    ``folder`` holds Snakemake's benchmark files. The peaks of runs that overlapped in time are added up, as
    if they had come at the same moment: so the last number is an upper bound. Snakemake itself is not in it.
    """
    runs = []  # (MB, name, start and end in seconds since 1970)
    for path in Path(folder).glob("*.tsv"):
        for run in csv.DictReader(path.read_text("utf-8").splitlines(), delimiter="\t"):
            if run["max_rss"].replace(".", "").isdigit():  # a run of a moment has NA or a dash
                end = path.stat().st_mtime
                runs.append((float(run["max_rss"]) * 2**20 / 1e6, path.stem, end - float(run["s"]), end))
    if not runs:
        return None
    at_a_time = [sum(run[0] for run in runs if run[2] <= start < run[3]) for _, _, start, _ in runs]
    return *max(runs)[:2], max(at_a_time)


def disk(*folders):
    """Return how many MB the folders take on disk. A missing folder counts as nothing, a hard link once."""
    there = [path.resolve() for path in map(Path, folders) if path.exists()]
    lines = subprocess.run(["du", "-sk", *there], capture_output=True, text=True).stdout.splitlines()
    return sum(int(line.split()[0]) for line in lines) * 1024 / 1e6 if there else 0


def size(megabytes):
    """Return a size in words: 40 MB, 1.9 GB."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def told(profile, seconds, folder):
    """Return the line. `benchmarks.whole` reads its beginning, up to the seconds."""
    in_words = f" ({spoken(seconds)})" if seconds >= 100 else ""
    memory = "no run's memory was measured"
    # A kernel that was forked elsewhere (tests/warm) is not in what Snakemake measured.
    if "SENSEGEN_WARM" not in os.environ and (peak := peak_memory(f"{folder}/logs/benchmarks")):
        run, largest, together = peak[1], size(peak[0]), size(peak[2])
        memory = f"the largest run, {run}, took {largest} of memory, all at a time at most {together}"
    on_disk = f"on disk results {size(disk(folder))}, environments {size(disk(sys.prefix, '.venv-engine'))}"
    return f"== {profile} done in {seconds} s{in_words}; {memory}; {on_disk}; the report: {folder}/REPORT.md"


if __name__ == "__main__":
    print(told(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
