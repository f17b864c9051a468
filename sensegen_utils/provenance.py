"""What made a number: the versions, the machine and the commit that stand in every record."""

import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from sensegen_utils.profiles import CONFIG

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "pandas", "aeon")


def provenance(notebook, profile, seed, data):
    """Return what a record says of its making; ``data`` has "kind" and "sha256", as from `load_har`.

    "wall_seconds" is a clock that runs: who stores the record adds ``time.monotonic()`` to it.
    """
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    made = {"notebook": notebook, "profile": profile, "seed": seed}
    made |= {"data": {key: data[key] for key in ("kind", "sha256")}, "versions": versions}
    return made | this_machine() | {"wall_seconds": -time.monotonic()}


def this_machine():
    """Return what computes here, and which commit: the keys "machine" and "git_commit" of a provenance."""
    machine = {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "intra_op_threads": os.environ.get("TF_NUM_INTRAOP_THREADS", "all"),
    }
    return {"machine": machine, "git_commit": _git_commit()}


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search("model name.*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1].strip() if found else platform.processor() or "unknown"


def _git_commit():
    def git(*arguments):
        # The code's own repository, wherever results go, and not one that it was unpacked in.
        command = ["git", "-C", CONFIG.parent, "--git-dir=.git", *arguments]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)

    try:
        # Results are what a run changes. Anything else that differs from the commit is marked.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!REPORT.md")
        return git("rev-parse", "--short=12", "HEAD").strip() + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
