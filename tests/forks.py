"""Processes for the tests that kill one, or look into one that is new: they begin with TensorFlow imported.

To import it takes longer than most of them compute, so one process does it, once for a worker of xdist, and
forks. The tests that use it are in the group "forks", so that there is one.
"""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

# Elsewhere a library may not survive a fork: there each process imports for itself.
FORKS = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
# Of others only, as in tests/warm/kernel.py.
FORKS.set_forkserver_preload(["keras", "seaborn", "sklearn.mixture"])


def start(function, *arguments):
    """Start a process that calls a function of a module; the caller waits for it, or kills it."""
    process = FORKS.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def result_of(function, *arguments):
    """What the function returns, or raises, in a new process."""
    with ProcessPoolExecutor(1, FORKS) as pool:
        return pool.submit(function, *arguments).result()
