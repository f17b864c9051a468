"""How long a whole command takes, and where: `python -m benchmarks.whole "./run_all.sh quick --fresh"`.

Runs the command, passes its output on, and records its wall time and that of each part it reports as done.
"""

import re
import shlex
import subprocess
import sys
import time

from sensegen_utils.paths import ROOT
from sensegen_utils.records import save_record, start_record

PART = re.compile(r"^== (.+?) done in (\d+) s")


def main(command):
    """Run, print, and write results/benchmarks/whole-<command>.json."""
    record = start_record("benchmarks.whole", "benchmark", 0, {"kind": "none", "sha256": None})
    start, parts = time.monotonic(), []
    process = subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        print(line, end="", flush=True)
        if found := PART.match(line):
            parts.append({"part": found[1], "seconds": int(found[2])})
    if process.wait():
        raise SystemExit(f"{command} failed; nothing is recorded")
    name = "-".join(re.findall(r"[a-z]+", command.partition("run_all.sh")[2]))
    record |= {"command": command, "parts": parts, "seconds": round(time.monotonic() - start, 1)}
    save_record(record, ROOT / f"results/benchmarks/whole-{name}.json")
    print(f"{command}: {record['seconds']:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
