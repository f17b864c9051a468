"""The engine on a scratch copy: what runs again, what a kill leaves, and what the terminal shows."""

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

HERE = Path(__file__).resolve().parents[1]
PYTHON = HERE / ".venv-engine" / "bin" / "python"
OPTIONS = re.search(r"\n    (--cores all.*?)\n  \)", (HERE / "engine/run.sh").read_text(), re.S)[1]
OPTIONS = re.sub(" #.*", "", OPTIONS).split()  # those of run_all.sh, without their comments
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="./run_all.sh makes the engine's environment")

# In the place of engine/run_notebook.py, where no notebook has to run: it writes what is asked for.
STAND_IN = """
import argparse, json
from pathlib import Path
from receipts import digests
parser = argparse.ArgumentParser()
parser.add_argument("asked", type=json.loads)
parser.add_argument("receipt", type=Path)
for option in ("--files", "--writes", "--tells"):
    parser.add_argument(option, nargs="*", default=[])
a = parser.parse_args()
inputs = digests(a.files)
for path in map(Path, a.writes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"provenance": {"wall_seconds": 1}, "numbers": [a.asked, inputs]}))
a.receipt.write_text(json.dumps(a.asked | {"inputs": inputs}))
"""

# A training of a hundred steps that goes on from its checkpoint, as the notebooks do.
TRAINING = """
import json, os, pathlib, random, time
folder, run = pathlib.Path("../results/smoke"), f"{SIGNAL}-1x8-seed0"
checkpoint, record = folder / "checkpoints/walk.json", folder / f"records/02_mdn_generator-{run}.json"
checkpoint.parent.mkdir(parents=True, exist_ok=True)
done = json.loads(checkpoint.read_text()) if checkpoint.exists() else []
for step in range(len(done), 100):
    time.sleep(0.1)
    done.append(random.Random(repr(done[-1:])).random())
    checkpoint.with_suffix(".part").write_text(json.dumps(done))
    checkpoint.with_suffix(".part").replace(checkpoint)
"""
FINISH = """
for part, name in (("samples", "02_{}.npz"), ("figures", "02_loss-{}.png"), ("figures", "02_samples-{}.png")):
    (folder / part).mkdir(exist_ok=True)
    (folder / part / name.format(run)).write_text("written")
record.parent.mkdir(exist_ok=True)
record.write_text(json.dumps({"provenance": {"wall_seconds": 1.5}, "training_nll": done}))
"""
RECORD = "results/smoke/records/02_mdn_generator-body_gyro_x-1x8-seed0.json"


def make_notebook(path, *cells):
    parameters = new_code_cell("PROFILE = 'full'\nVERSION = 1  # raise it", metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[parameters, *map(new_code_cell, cells)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def make_house(house, stand_in):
    for name in ("engine", "config"):
        shutil.copytree(HERE / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "Snakefile", house)
    for name in ("__init__.py", "profiles.py", "report/__init__.py"):
        (house / "sensegen_utils" / name).parent.mkdir(exist_ok=True)
        shutil.copy(HERE / "sensegen_utils" / name, house / "sensegen_utils" / name)
    (house / "sensegen_utils" / "report" / "render.py").write_text("")
    (house / "notebooks").mkdir()
    for name in re.findall(r'^kind\("\w+", f?"(\d\w+)', (HERE / "Snakefile").read_text(), re.M):
        make_notebook(house / "notebooks" / f"{name}.ipynb")
    model = house / "results" / "full" / "models" / "six-seed0.keras"  # which comes with the repository
    model.parent.mkdir(parents=True)
    model.write_text("weights")
    if stand_in:
        (house / "engine" / "run_notebook.py").write_text(STAND_IN)
    return house


def command(house, *arguments, profile="smoke", config=(), **environment):
    folders = ["--config", f"profile={profile}", f"folder={profile}", *config]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"SENSEGEN_ROOT", "SENSEGEN_WARM"}  # a user's engine starts ordinary kernels
    inherited = {key: value for key, value in os.environ.items() if key not in ours}
    return {
        "args": [PYTHON, "-m", "snakemake", *folders, *OPTIONS, "--cores", "2", *arguments],
        "cwd": house,
        "env": inherited | {"PYTHONPATH": str(house / "engine"), "PATH": path} | environment,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }


def engine(house, *arguments, **more):
    return subprocess.run(**command(house, *arguments, **more))


def wanted(house, *arguments, **more):
    """What a dry run would run, {run: why}."""
    told = engine(house, "-n", *arguments, **more)
    assert told.returncode == 0, told.stdout
    lines = re.findall(r"^-- (\S+): (?:took|takes) [^(]*[(](.*)[)]$", told.stdout, re.M)
    assert lines or "== nothing to run" in told.stdout, told.stdout
    return dict(lines)


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A scratch copy in which everything has run, by the stand-in for the notebooks."""
    house = make_house(tmp_path_factory.mktemp("engine") / "house", stand_in=True)
    done = engine(house)
    assert done.returncode == 0, done.stdout
    return house, done.stdout


@pytest.fixture
def house(finished, tmp_path):
    """A fresh clone of it: no notes of Snakemake, no logs, and files of any age."""
    local = shutil.ignore_patterns(".snakemake", "logs")
    clone = shutil.copytree(finished[0], tmp_path / "clone", ignore=local)
    for path in clone.rglob("*"):
        age = random.Random(path.name).uniform(0, 1000)
        os.utime(path, (time.time() - age,) * 2)
    return clone


@pytest.mark.xdist_group("engine")
def test_one_line_when_a_run_starts_and_one_when_it_ends(finished):
    house, told = finished
    runs = sorted(path.stem for path in (house / "results/smoke/runs").glob("*.json"))
    assert len(runs) == 24
    for run in runs:
        assert len(re.findall(rf"^-- {re.escape(run)} \(smoke\)$", told, re.M)) == 1
        assert len(re.findall(rf"^== {re.escape(run)} done in \d+ s", told, re.M)) == 1
    assert "(24 of 24)" in told and "min left)" in told
    assert len(told.splitlines()) == 2 * len(runs)
    started = re.findall(r"^-- (\S+)", told, re.M)
    assert "01_data_preparation" in started[:2] and started[-1] == "report"
    needs = {
        "03_d": "02_mdn_generator-body_gyro_x-1x256-seed0 ",
        "05_r": "04_a",
        "06_w": "05_r",
        "08b": "07_t",
    }
    for run, needed in needs.items():
        last = max(told.index(line) for line in re.findall(rf"^== {needed}.*done", told, re.M))
        assert last < re.search(rf"^-- {run}", told, re.M).start()


@pytest.mark.xdist_group("engine")
def test_receipts_hold_every_number_of_the_profile_that_a_notebook_reads(finished):
    numbers = {}
    only_full = ("02c_published_weights", "09_your_own_sensor-vibration-seed0")
    committed = [HERE / f"results/full/runs/{run}.json" for run in only_full]
    for path in [*committed, *(finished[0] / "results/smoke/runs").glob("*.json")]:
        receipt = json.loads(path.read_text())
        numbers.setdefault(receipt["code"], set()).update(receipt["numbers"])
    for path in (HERE / "notebooks").glob("*.ipynb"):
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        read = set(re.findall(r'profile\["(\w+)"\]', "\n".join(cells)))
        read -= {"minutes"}  # they change nothing
        assert read <= numbers[f"notebooks/{path.name}"], path.name


@pytest.mark.xdist_group("engine")
def test_a_fresh_clone_runs_nothing_again_not_even_after_an_edited_comment(house):
    edit(house / "notebooks/02_mdn_generator.ipynb", "# raise it", "# raise it, please")
    edit(house / "config/smoke.yaml", "# notebook 02\n", "# notebook 2\n")
    edit(house / "engine/run_notebook.py", "import argparse", "# a comment\nimport argparse")
    assert wanted(house) == {}


@pytest.mark.xdist_group("engine")
def test_a_raised_version_runs_what_depends_on_it_and_nothing_else(house):
    edit(house / "notebooks/03_discriminator.ipynb", "VERSION = 1", "VERSION = 2")
    again = wanted(house)
    judge = "03_discriminator-body_gyro_x-1x256-seed0"
    assert list(again) == [judge, "05_results_and_figures", "06_where_the_numbers_come_from", "report"]
    assert again[judge] == "VERSION was 1, is 2" and again["05_results_and_figures"] == f"after {judge}"
    done = engine(house)
    assert done.returncode == 0 and "(4 of 4)" in done.stdout
    assert wanted(house) == {}


@pytest.mark.xdist_group("engine")
def test_a_changed_number_runs_what_depends_on_it_for_one_target_too(house):
    edit(house / "config/smoke.yaml", "window_epochs: 2 ", "window_epochs: 5 ")
    trained = "07_true_time_axis-six-seed0"
    judged = {
        "08_fidelity-six",
        "08b_use_and_privacy-six",
        "08c_stronger_judges-six",
        "08d_choosing-six",
        "08e_common_measures-six",
        "08f_synthetic_volunteers-six",
    }
    again = wanted(house)
    assert set(again) == {trained, *judged, "report"}
    assert again[trained] == "window_epochs was 2, is 5"
    assert set(wanted(house, "results/smoke/figures/08_summary-six.png")) == {trained, "08_fidelity-six"}
    assert wanted(house, "results/smoke/figures/07b_ablation.png") == {}
    edit(house / "config/smoke.yaml", "window_epochs: 5 ", "window_epochs: 2 ")
    assert wanted(house) == {}


@pytest.mark.xdist_group("engine")
def test_another_archive_runs_all_that_reads_it(house):
    again = wanted(house, config=["data=sha256:other"])
    assert set(again.values()) == {"data was not there, is sha256:other"}
    assert len(again) == 21 and not [run for run in again if run.startswith(("00_", "09_", "10_"))]


@pytest.mark.xdist_group("engine")
def test_a_changed_or_lost_result_runs_what_reads_or_makes_it(house):
    results = house / "results/smoke"
    edit(results / "records/07b_ablation.json", '"ablation_epochs": 2', '"ablation_epochs": 3')
    (results / "records/03b_next_step_predictor.json").unlink()
    (results / "figures/00_quickstart.png").unlink()
    edit(results / "records/01_data_preparation.json", '"wall_seconds": 1', '"wall_seconds": 2')  # no number
    again = wanted(house)
    assert again["00_quickstart"] == "not there: 00_quickstart.png"
    assert again["03b_next_step_predictor"] == "not there: 03b_next_step_predictor.json"
    readers = {"05_results_and_figures", "06_where_the_numbers_come_from", "report"}
    assert set(again) == {"00_quickstart", "03b_next_step_predictor"} | readers, "provenance is no number"


@pytest.mark.xdist_group("engine")
def test_a_failing_run_leaves_the_results_that_were_there(house):
    edit(house / "notebooks/04_alternating_training.ipynb", "VERSION = 1", "VERSION = 2")
    (house / "engine/run_notebook.py").write_text("import sys\nsys.exit('no memory')\n")
    before = {path: path.read_text() for path in (house / "results").rglob("*") if path.is_file()}
    failed = engine(house)
    assert failed.returncode != 0
    assert before.items() <= {p: p.read_text() for p in (house / "results").rglob("*") if p.is_file()}.items()
    assert "results/smoke/logs/04_alternating_training-" in failed.stdout
    assert len(wanted(house)) == 6


def test_the_committed_full_results_are_finished():
    record = HERE / "results/full/records/01_data_preparation.json"
    data = json.loads(record.read_text())["provenance"]["data"]["sha256"]
    told = engine(HERE, "-n", profile="full", config=[f"data=sha256:{data}"])
    assert "== nothing to run" in told.stdout, told.stdout


@pytest.fixture
def training(tmp_path):
    house = make_house(tmp_path / "house", stand_in=False)
    make_notebook(house / "notebooks/02_mdn_generator.ipynb", "SIGNAL = SIGNAL", TRAINING, FINISH)
    return house


def find_kernel(process):
    with contextlib.suppress(psutil.NoSuchProcess):  # one that ended meanwhile
        for each in psutil.Process(process.pid).children(recursive=True):
            if "ipykernel_launcher" in each.cmdline():
                return each


def wait_for_training(house, process):
    """Wait until a new kernel has gone some steps further; return the kernel."""
    checkpoint, deadline, begun = house / "results/smoke/checkpoints/walk.json", time.monotonic() + 90, None
    while time.monotonic() < deadline and process.poll() is None:
        kernel = find_kernel(process)
        steps = len(json.loads(checkpoint.read_text())) if checkpoint.exists() else 0
        begun = steps if begun is None and kernel else begun
        if kernel and steps > begun + 2:
            return kernel
        time.sleep(0.05)
    raise AssertionError("the training does not go on")


@pytest.mark.xdist_group("kernels")
def test_a_training_whose_engine_and_then_kernel_is_killed_ends_as_an_unbroken_one(training):
    for victim in ("engine", "kernel"):
        process = subprocess.Popen(**command(training, RECORD))
        kernel = wait_for_training(training, process)
        family = psutil.Process(process.pid).children(recursive=True)
        (process if victim == "engine" else kernel).kill()
        told = process.communicate(timeout=60)[0]
        if victim == "kernel":
            assert process.returncode != 0
            assert "== FAILED: 02_mdn_generator-body_gyro_x-1x8-seed0" in told
            assert "./run_all.sh smoke --fresh" in told and "the kernel died" in told.lower()
        gone, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, "a killed engine leaves no training behind"
        assert not (training / RECORD).exists()
    last = engine(training, RECORD)
    assert last.returncode == 0 and "done in" in last.stdout and "training NLL 0." in last.stdout
    done = []
    for _ in range(100):
        done.append(random.Random(repr(done[-1:])).random())
    assert json.loads((training / RECORD).read_text())["training_nll"] == done
    again = engine(training, RECORD)
    assert "nothing to run" in again.stdout


@pytest.mark.xdist_group("kernels")
def test_a_failed_cell_shows_its_traceback_name_and_warnings_and_stops_the_run(training):
    warns = "import warnings; warnings.warn('the sensor is upside down'); print('all of this is logged')"
    make_notebook(training / "notebooks/02_mdn_generator.ipynb", warns, "1 / 0")
    target = "results/smoke/figures/03_loss-body_gyro_x-1x256-seed0.png"
    failed = engine(training, target)
    assert failed.returncode != 0
    assert "ZeroDivisionError: division by zero" in failed.stdout and "1 / 0" in failed.stdout
    assert "UserWarning: the sensor is upside down" in failed.stdout
    assert "== FAILED: 02_mdn_generator-body_gyro_x-1x256-seed0" in failed.stdout
    assert "03_discriminator-body_gyro_x-1x256-seed0 (smoke)" not in failed.stdout
    log = training / "results/smoke/logs/02_mdn_generator-body_gyro_x-1x256-seed0.log"
    assert "all of this is logged" in log.read_text() and "all of this" not in failed.stdout
    executed = nbformat.read(training / "results/smoke/notebooks" / f"{log.stem}.ipynb", as_version=4)
    assert any(output.output_type == "error" for cell in executed.cells for output in cell.get("outputs", []))


@pytest.mark.xdist_group("kernels")
@pytest.mark.parametrize(("deaths", "lives"), [(1, True), (2, False)])
def test_a_kernel_that_dies_at_birth_gets_one_more_try(training, deaths, lives):
    kernel = training / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    script = kernel / "dies.py"
    script.write_text(f"""
import os, pathlib, sys
births = pathlib.Path({str(kernel / "births")!r})
births.open("a").write("x")
if len(births.read_text()) <= {deaths}:
    sys.exit(1)
os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *sys.argv[1:]])
""")
    argv = [sys.executable, str(script), "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    make_notebook(training / "notebooks/02_mdn_generator.ipynb", TRAINING.replace("100", "1"), FINISH)
    told = engine(training, RECORD, JUPYTER_PATH=str(training / "jupyter"))
    assert (told.returncode == 0) == lives, told.stdout
    log = training / "results/smoke/logs" / f"{Path(RECORD).stem}.log"
    assert log.read_text().count("once more") == 1
    assert len((kernel / "births").read_text()) == 2


@pytest.mark.xdist_group("kernels")
def test_a_second_engine_on_the_same_results_is_refused(training):
    make_notebook(training / "notebooks/02_mdn_generator.ipynb", TRAINING.replace("100", "1000"), FINISH)
    first = subprocess.Popen(**command(training, RECORD))
    wait_for_training(training, first)
    second = engine(training, RECORD)
    first.kill()
    first.communicate(timeout=60)
    assert second.returncode != 0 and "another ./run_all.sh works in results/smoke" in second.stdout
