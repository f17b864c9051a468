import os

import pytest

from sensegen_utils.data.simulated import simulate_har

# A worker of xdist has one core: TensorFlow, imported later, gets one thread, as in engine/run_notebook.py.
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session")
def simulated_archive(tmp_path_factory):
    return simulate_har(tmp_path_factory.mktemp("simulated") / "har.zip")
