"""Processes that hold work ready, and time it when told.

TensorFlow fixes its threads when it starts, and a process that holds it beside PyTorch's CUDA build aborts,
since both register the options of LLVM. So whatever needs threads or a library of its own gets a process: it
warms up, waits for a line that names a function, and answers with the seconds which that took. The clock
stands on its side, so that the pipe does not count.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import seconds_of


@contextlib.contextmanager
def start(module, job, threads):
    """Start a process that calls ``module.make(job)`` and wait until it is warm; it ends with the block.

    ``make`` returns ``{name: function}`` and a dict of facts. ``threads`` are those within and between
    TensorFlow's operations. Yields the process and ``{"first": {name: what the first call returned},
    "facts": ...}``. Raises ChildProcessError if the process ends before it is warm.
    """
    intra, inter = map(str, threads)
    environment = {"TF_NUM_INTRAOP_THREADS": intra, "TF_NUM_INTEROP_THREADS": inter}
    # Without a GPU, since all contenders are compared on the processor.
    environment |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker", module, json.dumps(job)],
        env=os.environ | environment,
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process, answer(process)
        finally:
            with contextlib.suppress(BrokenPipeError):  # a line that a dead process never read
                process.stdin.close()


def tell(process, name):
    """Make the process run the function ``name``; `answer` waits for it."""
    with contextlib.suppress(BrokenPipeError):  # `answer` says that the process is gone
        print(name, file=process.stdin, flush=True)


def answer(process):
    """Wait for what the process answers. Raises ChildProcessError if it has ended."""
    line = process.stdout.readline()
    if line:
        return json.loads(line)
    code = process.wait()
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    raise ChildProcessError(f"its process ended with {how}")


def ask(process, name):
    """Seconds that the process takes for the function ``name``."""
    tell(process, name)
    return answer(process)


def serve(make, job):
    """The other side: make, warm up, then time whatever a line of standard input names."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    functions, facts = make(job)
    first = {name: function() for name, function in functions.items()}
    print(json.dumps({"first": first, "facts": facts}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(seconds_of(functions[line.strip()])), file=answers, flush=True)


if __name__ == "__main__":
    serve(importlib.import_module(sys.argv[1]).make, json.loads(sys.argv[2]))
