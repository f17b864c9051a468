import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from sensegen_utils import files
from sensegen_utils.data.simulated import simulate_har

# A worker of xdist has one core: TensorFlow, imported later, gets one thread, as in engine/run_notebook.py.
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# As in engine/run_notebook.py: nbformat, imported later, would compile this grammar for seconds.
sys.modules.setdefault("rfc3987_syntax", None)


@pytest.fixture(scope="session")
def simulated_archive(tmp_path_factory):
    return simulate_har(tmp_path_factory.mktemp("simulated") / "har.zip")


def cells_of(number):
    """The code cells of the notebook of this number."""
    import nbformat

    (path,) = Path(__file__).parents[1].glob(f"notebooks/{number}_*.ipynb")
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def run_cells(number, before=None, **parameters):
    """Run a notebook's code in this process and in the folder notebooks/: a kernel costs some ten seconds.

    It ends before the first cell that holds the text ``before``. Returns what the cells defined.
    """
    names = {}
    for cell in cells_of(number):
        if before and before in cell.source:
            break
        exec(cell.source, names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {"PROFILE": "smoke"} | parameters
    plt.close("all")
    return names


def defined_in(number, *names, **given):
    """The functions of these names that a notebook defines: only their cells are run, after ``given``."""
    for cell in cells_of(number):
        if any(f"def {name}(" in cell.source for name in names):
            exec(cell.source, given)
    return [given[name] for name in names]


@pytest.fixture
def run_here(tmp_path, monkeypatch, simulated_archive):
    """`run_cells`, with the results in a folder of the test."""
    monkeypatch.chdir(files.ROOT / "notebooks")
    data = simulated_archive.parent / "data"  # where the archive, once parsed, is kept for the next test
    for name, folder in (("ROOT", tmp_path), ("DATA", data)):
        monkeypatch.setattr(files, name, folder)
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(simulated_archive))
    monkeypatch.setenv("MPLBACKEND", "agg")
    return run_cells
