"""What a run was asked for, and whether the results that are there still answer it.

A checkout gives every file a new age, so age cannot say which runs are finished. A receipt can: a small file
in results/<profile>/runs/, committed beside the results. It holds the parameters of the run, the numbers of
the profile that its notebook reads, the VERSION of the notebook's code, and a digest of each result that the
run started from.
"""

import fcntl
import hashlib
import json
import os
import re
import zipfile
from pathlib import Path

# Filled by the Snakefile and read by the logger, which run in one process.
# changed: why a run goes again; last: seconds that its record tells; by_rule: seconds to expect of its kind.
PLAN = {"profile": None, "changed": {}, "last": {}, "by_rule": {}}


def version(code):
    """Return the number VERSION that a notebook, or a module, declares: 1 if it declares none."""
    found = re.search(r'^\s*"?VERSION = (\d+)', Path(code).read_text("utf-8"), re.MULTILINE)
    return int(found[1]) if found else 1


def digest(path):
    """Return a digest of a result that stays the same when a run is repeated with the same numbers.

    It leaves out what a record says of its making, and the dates inside archives (npz, keras).
    """
    path = Path(path)
    if path.suffix == ".json":
        content = json.dumps(_numbers(json.loads(path.read_text("utf-8"))), sort_keys=True).encode()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = sorted((each.filename, each.CRC) for each in archive.infolist())
        content = json.dumps([each for each in members if each[0] != "metadata.json"]).encode()
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _numbers(value):
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    making = ("provenance", "trained_on", "seconds", "training_seconds")
    return {k: _numbers(v) for k, v in value.items() if k not in making} if isinstance(value, dict) else value


def digests(files):
    """Return {path from results/ on: digest}, None for a file that is not there."""
    return {
        str(path).rpartition("results/")[2]: digest(path) if path.exists() else None
        for path in map(Path, files)
    }


def what_changed(asked, files, receipt):
    """Return in words how what is asked differs from the receipt; "" if it does not, or there is none."""
    receipt = Path(receipt)
    if not receipt.exists():
        return ""
    try:
        before = json.loads(receipt.read_text("utf-8"))
        now = json.loads(json.dumps(asked)) | {"inputs": digests(files)}
        changes = []
        if before["version"] != now["version"]:
            changes.append(f"VERSION was {before['version']}, is {now['version']}")
        for part in ("parameters", "numbers"):
            for name in sorted(before[part].keys() | now[part].keys()):
                was, is_ = before[part].get(name, "not there"), now[part].get(name, "not there")
                if was != is_:
                    changes.append(f"{name} was {was}, is {is_}")
        for name in sorted(before["inputs"].keys() | now["inputs"].keys()):
            if name not in now["inputs"] or name not in before["inputs"]:
                changes.append(f"{name} {'is new' if name in now['inputs'] else 'is no longer read'}")
                continue
            was, is_ = before["inputs"][name], now["inputs"][name]
            # A missing file cannot be compared; if it is needed, Snakemake has it made.
            if was and is_ and was != is_:
                changes.append(f"{name} is another one")
        return "; ".join(changes)
    except (ValueError, KeyError, AttributeError, TypeError):
        return f"{receipt.name} is not a readable receipt"


def seconds(record):
    """Return how long a run took by its record, 0 if that is not known.

    A run that went on from a checkpoint has only its last part in "wall_seconds"; then its parts took longer.
    """
    try:
        record = json.loads(Path(record).read_text("utf-8"))
    except (OSError, ValueError):
        return 0
    parts = [record, *record.get("rows", []), *record.get("predictors", [])]
    logged = [part.get("training_seconds") or part.get("seconds") for part in parts if isinstance(part, dict)]
    return max(sum(filter(None, logged)), record["provenance"].get("wall_seconds") or 0)


def spoken(seconds):
    """Return a time in words: 40 s, 12 min, 2.1 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def held(path):
    """Return an open file that nobody else holds, or None. The system releases it even after a kill -9."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError:  # a file system without locks: better no lock than no run
        pass
    return handle


def write(path, content):
    """Write JSON in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    temporary.replace(path)
