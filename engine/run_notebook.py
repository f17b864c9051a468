"""Run one notebook, or one module, for the engine; keep what it says in the log, and leave a receipt.

The Snakefile calls it. It gives each run one thread, gives a kernel that dies before its first cell one more
try, and ends with the engine: whoever kills that, even with kill -9, leaves no training behind.
"""

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from receipts import digests, held, write

ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


def end_with(parent):
    """End this process soon after its parent's end; the kernel then ends itself within a second."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def died_at_birth(executed):
    """Say whether no cell has run: another program may have taken the ports that Jupyter chose."""
    return not executed.exists() or not re.search(r'"execution_count": \d', executed.read_text("utf-8"))


def run(code, parameters, executed):
    """Run a notebook, once more if its kernel dies at birth, or a module with the results' folder."""
    if code.endswith(".py"):
        module = code.removesuffix(".py").replace("/", ".")
        subprocess.run([sys.executable, "-m", module, parameters["FOLDER"]], check=True)
        return
    # Only a check of international addresses reads this grammar, and compiling it takes two seconds.
    sys.modules.setdefault("rfc3987_syntax", None)
    import papermill

    how = {"kernel_name": "python3", "cwd": Path(code).parent, "progress_bar": False, "log_output": True}
    for attempt in (1, 2):
        executed.unlink(missing_ok=True)
        try:
            return papermill.execute_notebook(code, executed, parameters, **how)
        except Exception:
            if attempt == 2 or not died_at_birth(executed):
                raise
            print("the kernel died before its first cell; once more", flush=True)


def in_words(error):
    """Return what a failed run says of itself: the traceback of its cell, without colours."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped from the keyboard"
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error) or repr(error)).strip()
    return "the kernel died: somebody killed it, or memory ran out" if text == "Kernel died" else text


def warnings_of(executed):
    """Return the warnings that the cells of an executed notebook printed, each once."""
    if not executed.exists():
        return []
    cells = json.loads(executed.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    texts = ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if re.search(r"\w*Warning: ", line)))


def found(record, place):
    """Return one number of a record: the last of a list of numbers, how many there are of anything else."""
    try:
        value = json.loads(record.read_text("utf-8"))
        for key in place.split("."):
            value = value[int(key) if isinstance(value, list) else key]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    if isinstance(value, list):
        value = value[-1] if value and isinstance(value[-1], float) else len(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main():
    """Run what the command line asks for; return 0, or 1 if it failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asked", type=json.loads, help="code, version, parameters and numbers, as JSON")
    parser.add_argument("receipt", type=Path, help="results/<profile>/runs/<run>.json")
    parser.add_argument("--files", nargs="*", default=[], help="results that this run starts from")
    parser.add_argument("--writes", nargs="*", default=[], help="what it must have written in the end")
    parser.add_argument("--tells", type=json.loads, help="a number to say at the end: its name, its place")
    arguments = parser.parse_args()
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    os.environ.update(ONE_THREAD | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"})
    receipt, asked = arguments.receipt, arguments.asked
    name, folder = receipt.stem, receipt.absolute().parents[1]
    executed, end = folder / "notebooks" / f"{name}.ipynb", folder / "logs" / f"{name}.end.json"
    for path in (receipt, executed, end):
        path.parent.mkdir(parents=True, exist_ok=True)
    end.unlink(missing_ok=True)
    while not (lock := held(folder / "logs" / f".{name}.lock")):
        print("another process still runs this; waiting for it", flush=True)
        time.sleep(5)
    inputs = digests(arguments.files)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        run(asked["code"], asked["parameters"], executed)
        missing = [path for path in arguments.writes if not Path(path).exists() and Path(path) != receipt]
        if missing:
            raise FileNotFoundError(
                f"{name} ended, but did not write {', '.join(missing)}, as the Snakefile says"
            )
    except (Exception, KeyboardInterrupt) as error:
        print(in_words(error), flush=True)
        write(end, {"error": in_words(error), "warnings": warnings_of(executed)})
        return 1
    label, place = arguments.tells or ("", "")
    number = next((found(Path(path), place) for path in arguments.writes if "/records/" in path), None)
    write(end, {"tells": f"{label} {number}" if label and number else "", "warnings": warnings_of(executed)})
    write(receipt, asked | {"inputs": inputs})
    lock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
