"""How long a whole command takes, and where: `python -m benchmarks.whole "./run_all.sh quick --fresh"`.

Runs the command, passes its output on, and records its wall time and that of each part it reports as done.
"""

import re
import shlex
import subprocess
import sys
import time

from benchmarks.records import FOLDER, begin_record
from sensegen_utils.files import ROOT
from sensegen_utils.report.records import save_record

PART = re.compile(r"^== (.+?) done in (\d+) s")


def main(command):
    """Run, print, and write results/benchmarks/whole-<command>.json."""
    record = begin_record("whole")
    start, parts = time.monotonic(), []
    process = subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        print(line, end="", flush=True)
        if found := PART.match(line):
            parts.append({"part": found[1], "seconds": int(found[2])})
    if process.wait():
        raise SystemExit(f"{command} failed; nothing is recorded")
    words = re.findall(r"[a-z]+", command.partition("run_all.sh")[2])
    name = "-".join(word for word in words if word != "yes")  # of --fresh --yes, which asks nothing
    record |= {"command": command, "parts": parts, "seconds": round(time.monotonic() - start, 1)}
    save_record(record, FOLDER / f"whole-{name}.json")
    print(f"{command}: {record['seconds']:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
