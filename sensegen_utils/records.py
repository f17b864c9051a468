"""Records: every number that a run produces, with what made it, written so that a kill never loses one."""

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from pathlib import Path

import numpy as np

from sensegen_utils.paths import ROOT

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "pandas")


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path beside ``path`` and move it there on success, so no reader sees half a file.

    Creates the folder. Raises OSError naming ``path`` and the next step if the disk is full or read-only;
    what was there before stays.
    """
    path = Path(path)
    # The process id keeps parallel notebooks apart; the suffix stays, because writers choose formats by it.
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path} ({error.strerror or error}). Free some space or make the folder "
            "writable, then run the same command again: it continues from the last checkpoint",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def results_dir(profile, data_kind):
    """Folder of a profile's results; simulated data never shares a folder with real data.

    Created here, so that an unwritable disk is found before any training. Raises OSError.
    """
    folder = ROOT / "results" / (f"simulated-{profile}" if data_kind == "simulated" else profile)
    with atomic_path(folder / "records" / ".writable") as probe:
        probe.write_text("")
    (folder / "records" / ".writable").unlink(missing_ok=True)  # a notebook beside this one may be first
    return folder


def start_record(notebook, profile, seed, har):
    """Begin a record: profile, seed, data, versions, machine, commit, and a clock for the wall time."""
    return {
        "provenance": {
            "notebook": notebook,
            "profile": profile,
            "seed": seed,
            "data": {"kind": har["kind"], "sha256": har["sha256"]},
            "versions": {"python": platform.python_version()}
            | {name: importlib.metadata.version(name) for name in PACKAGES},
            **this_machine(),
            "wall_seconds": -time.monotonic(),
        }
    }


def this_machine():
    """What computes here, and which commit: the keys "machine" and "git_commit" of a record's provenance."""
    return {
        "machine": {
            "processor": _processor(),
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "intra_op_threads": os.environ.get("TF_NUM_INTRAOP_THREADS", "all"),
        },
        "git_commit": _git_commit(),
    }


def save_record(record, path):
    """Write a record as JSON, its wall time filled in. NaN is refused: write null and say why."""
    provenance = record["provenance"]
    wall_seconds = round(provenance["wall_seconds"] + time.monotonic(), 1)
    finished = record | {"provenance": provenance | {"wall_seconds": wall_seconds}}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(finished, indent=1, allow_nan=False, default=float) + "\n")


def load_record(path):
    """Read a record. Raises FileNotFoundError or ValueError, naming the file and what makes it anew."""
    path = Path(path)
    profile = path.absolute().parts[-3].removeprefix("simulated-")
    remake = f"run notebook {path.stem[:2]} with the parameters in this name, or ./run_all.sh {profile}"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no record {path}: {remake}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a readable record ({error}): delete it and {remake}") from error


def save_rows(rows, path):
    """Write the rows, dicts of numbers, that a long run has so far: its rounds, or its seeds."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows, default=float))


def load_rows(path):
    """Read what `save_rows` wrote; an empty list if the run was stopped before its first row."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else []


def save_samples(path, **arrays):
    """Write generated arrays as a compressed npz, in one move."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _git_commit():
    def git(*arguments):
        command = ["git", "-C", ROOT, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    try:
        # Results are what a run changes; anything else that differs from the commit is worth a mark.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!REPORT.md")
        return git("rev-parse", "--short=12", "HEAD").strip() + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":  # for run_all.sh: the folder of a profile's results, with the data at hand
    import sys

    from sensegen_utils.har import load_har
    from sensegen_utils.profiles import get_profile

    get_profile(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        kind = load_har()["kind"]
    print(results_dir(sys.argv[1], kind).name)
