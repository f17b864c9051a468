"""Kernels of ./run_all.sh test that start at once: one process imports TensorFlow and its like, and forks.

To import them takes longer than most runs of the smoke profile compute, and the test command starts fifty
kernels. With $JUPYTER_PATH on this folder, Jupyter's kernel "python3" is this file: it asks the process at
the socket $SENSEGEN_WARM for a fork that becomes the kernel. Without that process an ordinary kernel starts.
For Linux only: elsewhere a library may not survive a fork.

    python kernel.py serve SOCKET      the process that forks; it ends with its parent
    python kernel.py CONNECTION_FILE   what Jupyter starts; it ends with its parent and with the kernel
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

MODULES = [  # of others only: what the project's own do when they are imported is for each run to find
    "aeon.classification.interval_based",
    "aeon.transformations.collection.convolution_based",
    "aeon.transformations.collection.feature_based",
    "ipykernel.kernelapp",
    "keras",
    "matplotlib.pyplot",
    "seaborn",
    "sklearn.ensemble",
    "sklearn.manifold",
    "tensorflow",
]


def serve(address):
    """Fork once for each caller, as long as the parent of this process lives."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who stops the command from the keyboard stops the parent
    # Read when the modules are imported. A kernel sets the first itself, each notebook the second.
    os.environ |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(64)  # who calls meanwhile waits
        for module in MODULES:
            importlib.import_module(module)
        pandas = importlib.import_module("pandas")
        pandas.set_option("display.max_columns", 20)  # what it chooses when a kernel imports it
        gc.freeze()  # the forks share these pages
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        door.settimeout(1)
        while os.getppid() == parent:
            try:
                caller, _ = door.accept()
            except TimeoutError:
                continue
            if not os.fork():
                door.close()
                become_kernel(caller)
            caller.close()
    Path(address).unlink()
    with contextlib.suppress(OSError):
        Path(address).parent.rmdir()  # made for it, if nothing else is there


def become_kernel(caller):
    """Be the kernel that the caller asked for: its streams, folder and environment. End with the caller."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    caller.setblocking(True)
    _, streams, _, _ = socket.recv_fds(caller, 1, 3)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    asked = json.loads(caller.makefile().readline())
    kernelapp, numpy = map(importlib.import_module, ("ipykernel.kernelapp", "numpy"))
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = filter(None, folders)  # the first was the folder of this file
    sys.argv = ["ipykernel_launcher", "-f", asked["connection"]]
    numpy.random.seed()  # else all forks draw the same
    threading.Thread(target=end_with, args=(caller,), daemon=True).start()
    kernelapp.launch_new_instance()
    os._exit(0)


def end_with(other):
    """End this process when the one at the other end of a connection has ended."""
    with contextlib.suppress(OSError):
        other.recv(1)
    os._exit(1)


def call(connection):
    """Have the kernel made, and stand for it: Jupyter knows this process, and kills it."""
    parent = os.getppid()
    try:
        server = socket.socket(socket.AF_UNIX)
        server.connect(os.environ["SENSEGEN_WARM"])
    except (KeyError, OSError):
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", "-f", connection])
    asked = {"connection": connection, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(asked).encode() + b"\n")
    threading.Thread(target=end_with, args=(server,), daemon=True).start()
    while os.getppid() == parent:
        time.sleep(0.2)


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else call(sys.argv[1])
