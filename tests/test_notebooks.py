"""What a notebook must be to be read on the web, run by papermill and compared by nbval."""

import json
import os
import re
import shutil
import time

import matplotlib
import nbformat
import numpy as np
import pytest

from sensegen_utils import files
from sensegen_utils.data.uci_har import ArchiveError
from sensegen_utils.files import ROOT
from tests import forks, public_model
from tests.conftest import run_cells

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PARAMETERS = {
    *("PROFILE", "SEED", "SIGNAL", "LSTM_UNITS", "LSTM_LAYERS", "FLOOR", "EPOCHS", "VARIANT"),
    *("MODEL", "STEPS", "COMPONENTS", "SENSOR", "CLONE", "ANEW", "VERSION"),
}
IGNORED_AT_MOST = 12


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_numbered_without_gap():
    prefixes = [path.name.split("_")[0] for path in NOTEBOOKS]
    assert prefixes == [
        "00",
        "01",
        "02",
        "02b",
        "02c",
        "02d",
        "03",
        "03b",
        "04",
        "05",
        "06",
        "07",
        "07b",
        "08",
        "08b",
        "08c",
        "08d",
        "08e",
        "08f",
        "09",
        "10",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_parameters_cell_with_known_names_and_full_as_default(path):
    (parameters,) = [cell for cell in code_cells(path) if "parameters" in tags(cell)]
    values = {}
    exec(parameters.source, values)
    names = {name for name in values if name.isupper()}
    assert {"PROFILE", "SEED"} <= names <= PARAMETERS
    assert values["PROFILE"] == "full" and not values.get("ANEW")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_as_executed_from_top_to_bottom(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert not {"papermill", "execution"} & set(cell.metadata)
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
            assert ". Computing." not in output.get("text", ""), "the run is to be found, not made"
    assert path.stat().st_size < 1_000_000
    assert nbformat.read(path, as_version=4).metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_reads_well(path):
    notebook = nbformat.read(path, as_version=4)
    head = notebook.cells[0].source
    for word in ("**Question.**", "**Input**", "**Output**", "**Time**", "**You should see**"):
        assert word in head
    assert "## What we found" in "".join(cell.source for cell in notebook.cells) or path.name.startswith("05")
    for cell in code_cells(path):
        assert not re.search(r"""PROFILE\s*[!=]=""", cell.source), "cells do not ask which profile runs"
    for number, cell in enumerate(notebook.cells):
        if "plt.show()" in cell.source and not cell.source.startswith("def "):
            assert notebook.cells[number + 1].cell_type == "markdown", "a figure without a sentence on it"


def test_few_outputs_are_left_out_of_the_comparison():
    ignored = [cell for path in NOTEBOOKS for cell in code_cells(path) if "nbval-ignore-output" in tags(cell)]
    assert len(ignored) <= IGNORED_AT_MOST
    assert all("#" in cell.source for cell in ignored), "each has a comment that gives its reason"


@pytest.mark.parametrize(
    ("number", "parameters", "message"),
    [
        ("02", {"SIGNAL": "heart_rate"}, "Unknown signal 'heart_rate'.*total_acc_x"),
        ("01", {"PROFILE": "fast"}, "unknown profile 'fast'; choose one of: smoke, quick, full"),
        ("07", {"MODEL": "seven"}, "unknown model 'seven'; choose one of: one, six"),
        ("02c", {}, "no clone is named.*git clone https.*SENSEGEN_PUBLISHED_CODE"),
        ("02c", {"CLONE": "/nowhere"}, "there is none in /nowhere/models"),
        ("03", {}, "run notebook 02"),
        ("08", {}, "run notebook 07"),
        ("05", {}, "01_data_preparation.json: run notebook 01"),
        ("06", {}, "01_data_preparation.json: run notebook 01"),
    ],
)
def test_wrong_input_gets_a_clear_error(run_here, number, parameters, message):
    with pytest.raises((ValueError, OSError), match=message):
        run_here(number, **parameters)


@pytest.mark.parametrize("archive", ["missing", "damaged"])
def test_a_missing_or_damaged_archive_gets_a_clear_error(run_here, tmp_path, monkeypatch, archive):
    path = tmp_path / "UCI HAR Dataset.zip"
    if archive == "damaged":
        path.write_bytes(b"PK but no zip")
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(path))
    with pytest.raises(ArchiveError, match="SENSEGEN_HAR_ARCHIVE"):
        run_here("01")


def test_another_signal_of_the_nine_runs_through(run_here, tmp_path):
    run_here("02", SIGNAL="body_acc_z", LSTM_UNITS=8, LSTM_LAYERS=2)
    (record,) = (tmp_path / "results" / "simulated-smoke" / "records").glob("02_*.json")
    assert "body_acc_z-2x8" in record.name


def test_published_weights_are_measured_from_a_clone(run_here, tmp_path):
    models = tmp_path / "clone" / "models"
    models.mkdir(parents=True)
    public_model.train_and_save(models / "mdngyromodel.ckpt-1099")
    public_model.train_and_save(models / "mdnmodel.ckpt-1199", spoil=["mdn_model/w1"])
    run_here("02c", CLONE=str(tmp_path / "clone"))
    folder = tmp_path / "results" / "simulated-smoke"
    record = json.loads((folder / "records" / "02c_published_weights.json").read_text())
    whole, broken = record["rows"]
    assert (whole["checkpoint"], whole["epoch"]) == ("mdngyromodel.ckpt-1099", 1099)
    assert whole["nll"] == whole["nll_by_signal"][whole["signal"]]
    training = {signal: nll["training"]["log space"] for signal, nll in whole["nll_by_signal"].items()}
    assert whole["signal"] == min(training, key=training.get) and len(set(training.values())) == 2
    for nll in whole["nll"].values():
        either = nll["probability space"]
        assert (either is None) == (nll["infinite steps"] > 0)
        assert either is None or abs(either - nll["log space"]) < 1e-4
    assert len(whole["more_epochs_nll"]) == 5 and whole["more_epochs_nll"][0] != whole["more_epochs_nll"][4]
    assert (broken["signal"], broken["nll"]) == (None, None)
    with np.load(folder / "samples" / "02c_published_weights.npz") as stored:
        assert str(stored["checkpoint"]) == "mdngyromodel.ckpt-1099" and stored["generated"].shape == (
            4,
            2000,
        )
    shutil.rmtree(tmp_path / "clone")
    run_here("02c")  # the record is there: no clone is needed


def run_notebook_4(root, archive):
    """In a process of its own, with the results in ``root``."""
    files.ROOT, files.DATA = root, archive.parent / "data"
    os.environ["SENSEGEN_HAR_ARCHIVE"] = str(archive)
    os.chdir(ROOT / "notebooks")
    matplotlib.use("agg")
    run_cells("04", LSTM_UNITS=8, LSTM_LAYERS=1)


def alternate(root, archive, until=None):
    """Run notebook 4, small; kill it once the file ``until`` is there. Return its record."""
    process = forks.start(run_notebook_4, root, archive)
    results = root / "results" / "simulated-smoke"
    if until is None:
        process.join(300)
        assert process.exitcode == 0
        (path,) = (results / "records").glob("04_*.json")
        record = json.loads(path.read_text())
        return {key: record[key] for key in record.keys() - {"provenance", "training_seconds"}}
    deadline = time.monotonic() + 300
    while not (results / "checkpoints" / until).exists():
        assert process.is_alive() and time.monotonic() < deadline, "the run does not get that far"
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -9, "the run ended before it could be killed"


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, simulated_archive):
    root = tmp_path_factory.mktemp("whole")
    return root, alternate(root, simulated_archive)


@pytest.mark.xdist_group("forks")
def test_algorithm_1_killed_in_both_halves_ends_with_the_same_record(tmp_path, simulated_archive, whole_run):
    run = "04_total_acc_x-1x8-seed0"
    alternate(tmp_path, simulated_archive, until=f"{run}-D.csv")
    alternate(tmp_path, simulated_archive, until=f"{run}-G.csv")
    assert alternate(tmp_path, simulated_archive) == whole_run[1]


@pytest.mark.xdist_group("forks")
def test_a_lost_checkpoint_is_not_taken_for_a_finished_run(run_here, tmp_path, whole_run):
    shutil.copytree(whole_run[0] / "results", tmp_path / "results")
    (generator,) = (tmp_path / "results" / "simulated-smoke" / "checkpoints").glob("04_*-G.keras")
    generator.unlink()
    with pytest.raises(ValueError, match="knows rounds that the checkpoints beside it lack"):
        run_here("04", LSTM_UNITS=8, LSTM_LAYERS=1)
