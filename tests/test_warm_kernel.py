"""Warm kernels: a fork is as any other kernel, and without the process that forks an ordinary one starts."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

WARM = Path(__file__).parent / "warm"
ASKED = """
import os, subprocess, sys
loaded = "tensorflow" in sys.modules
import matplotlib.pyplot, pandas, scipy.linalg, threadpoolctl
print(os.getcwd(), os.environ["MARK"], os.environ.get("TF_CPP_MIN_LOG_LEVEL"), sys.path)
print(matplotlib.get_backend(), pandas.get_option("display.max_columns"))
print(subprocess.call("exit 3", shell=True))
print({each["num_threads"] for each in threadpoolctl.threadpool_info()})
"""


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """A function that starts a kernel: how to run code there, and the process that Jupyter knows."""
    monkeypatch.setenv("JUPYTER_PATH", str(WARM))
    monkeypatch.setenv("MARK", "seen")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with contextlib.ExitStack() as ended:

        def start():
            manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
            ended.callback(manager.shutdown_kernel, now=True)
            ended.callback(client.stop_channels)

            def run(code):
                said = []
                client.execute_interactive(code, timeout=60, output_hook=said.append)
                return "".join(each["content"].get("text", "") for each in said if "name" in each["content"])

            return run, psutil.Process(manager.provisioner.process.pid)

        yield start


@pytest.mark.skipif(sys.platform != "linux", reason="warm kernels are for Linux only")
def test_a_fork_is_as_an_ordinary_kernel_and_ends_with_the_process_that_jupyter_knows(
    kernel, monkeypatch, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("socket")
    here = [sys.executable, WARM / "kernel.py", "serve", folder / "socket"]
    server = subprocess.Popen(["env", "-u", "PYTHONPATH", "OMP_NUM_THREADS=1", *here])  # as engine/run.sh
    try:
        while not (folder / "socket").exists():
            assert server.poll() is None
            time.sleep(0.05)
        monkeypatch.setenv("SENSEGEN_WARM", str(folder / "nobody"))
        cold, its_process = kernel()
        monkeypatch.setenv("SENSEGEN_WARM", str(folder / "socket"))
        warm, known = kernel()
        assert warm(ASKED) == cold(ASKED) != ""
        assert cold("print(loaded, os.getpid())") == f"False {its_process.pid}\n"
        loaded, fork = warm("print(loaded, os.getpid())").split()
        fork = psutil.Process(int(fork))
        assert loaded == "True" and fork.ppid() == server.pid and fork.pid != known.pid
        numbers = "import numpy; print(numpy.random.rand())"
        assert kernel()[0](numbers) != kernel()[0](numbers)
        known.kill()
        fork.wait(10)
    finally:
        server.kill()
        server.wait()
