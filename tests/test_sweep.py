"""Sweeps: the grid that a file tells, what is refused, what is run again, and the table of what was found."""

import importlib
import json
import shutil
import subprocess

import nbformat
import pytest
import yaml

from sensegen_utils import profiles
from tests.test_engine import HERE, PYTHON, engine, make_house, wanted

FILE = {
    "notebook": "02_mdn_generator",
    "profile": "smoke",
    "numbers": {"generator_epochs": 2},
    "grid": {"LSTM_UNITS": [8, 16], "SIGNAL": ["body_gyro_x"], "LSTM_LAYERS": [1], "SEED": [0, 1]},
}
# In the place of engine/run_notebook.py: seed 1 fails, all others leave what a run leaves.
STAND_IN = """
import json, sys
from pathlib import Path
asked, receipt = json.loads(sys.argv[1]), Path(sys.argv[2])
if asked["parameters"]["SEED"] == 1:
    sys.exit("NaN")
record = receipt.parents[1] / "records" / receipt.name
record.write_text(json.dumps({"provenance": {"wall_seconds": 1}}))
receipt.write_text(json.dumps(asked | {"inputs": {}}))
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """engine/sweep.py, for files in a scratch folder."""
    monkeypatch.syspath_prepend(HERE / "engine")
    monkeypatch.setattr(profiles, "CONFIG", tmp_path)
    return importlib.import_module("sweep")


def write(folder, **changes):
    (folder / "sweep-a.yaml").write_text(yaml.safe_dump(FILE | changes, sort_keys=False))


def test_the_points_are_each_value_with_each(sweep, tmp_path):
    write(tmp_path)
    notebook, points = sweep.read("sweep-a")
    names = [f"body_gyro_x-1x{units}-seed{seed}" for units in (8, 16) for seed in (0, 1)]
    assert notebook == "02_mdn_generator" and list(points) == names
    assert points[names[3]] == {"LSTM_UNITS": 16, "SIGNAL": "body_gyro_x", "LSTM_LAYERS": 1, "SEED": 1}
    assert profiles.get_profile("sweep-a") == profiles.get_profile("smoke") | {"generator_epochs": 2}


@pytest.mark.parametrize("path", sorted(HERE.glob("config/sweep-*.yaml")), ids=lambda path: path.stem)
def test_the_examples_vary_parameters_of_their_notebook(sweep, tmp_path, path):
    shutil.copy(path, tmp_path)
    notebook, points = sweep.read(path.stem)
    cells = nbformat.read(HERE / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
    defaults = {}
    exec(next(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", ())), defaults)
    assert all(set(parameters) <= set(defaults) for parameters in points.values())
    assert len(points) >= 24 or path.stem != "sweep-example"
    assert set(yaml.safe_load(path.read_text())["numbers"]) <= set(sweep.numbers_of(notebook))


GRID = FILE["grid"]
REFUSED = {
    "another key": ({"gird": {}}, "it must have these keys and no others: notebook, profile, numbers, grid"),
    "notebook": (
        {"notebook": "03_discriminator"},
        "unknown notebook '03_discriminator'; choose one of: 02_m",
    ),
    "profile": ({"profile": "quik"}, "unknown profile 'quik'; choose one of: smoke, quick, full"),
    "no numbers": ({"numbers": None}, "numbers is None; give names and values, or {} for none"),
    "a list": ({"profile": ["smoke"]}, "unknown profile ['smoke']; choose one of: smoke, quick, full"),
    "number": ({"numbers": {"epochs": 3}}, "unknown number 'epochs'; choose one of: generator_epochs, held"),
    "kind": ({"numbers": {"generator_epochs": "3"}}, "generator_epochs is '3'; it must be of the kind of 3"),
    "parameter": ({"grid": GRID | {"UNITS": [8]}}, "grid must have these parameters and no others: SIGNAL, "),
    "no list": ({"grid": GRID | {"SEED": 0}}, "SEED is 0; it must be a list of one or more different values"),
    "twice": ({"grid": GRID | {"SEED": [0, 0]}}, "it must be a list of one or more different values"),
    "signal": ({"grid": GRID | {"SIGNAL": ["gyro"]}}, "unknown SIGNAL 'gyro'; choose one of: body_acc_x, "),
    "value": ({"grid": GRID | {"LSTM_UNITS": [0]}}, "LSTM_UNITS 0 is no whole number from 1 on"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_unknown_is_refused_in_words(sweep, tmp_path, case):
    changes, message = REFUSED[case]
    write(tmp_path, **changes)
    with pytest.raises(ValueError, match="^config/sweep-a.yaml: ") as refused:
        sweep.read("sweep-a")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep"], "a sweep without its file, config/sweep-<name>.yaml"),
        (["sweep", "config/sweep-nowhere.yaml"], "unknown argument: config/sweep-nowhere.yaml"),
    ],
)
def test_a_sweep_needs_its_file(arguments, message):
    told = subprocess.run(["bash", HERE / "run_all.sh", *arguments], capture_output=True, text=True)
    assert told.returncode == 2 and message in told.stderr


@pytest.mark.skipif(not PYTHON.exists(), reason="./run_all.sh makes the engine's environment")
def test_a_failed_point_stops_no_other_and_a_changed_file_adds_only_what_is_new(tmp_path):
    house = make_house(tmp_path / "house", stand_in=False)
    (house / "engine" / "run_notebook.py").write_text(STAND_IN)
    (house / "sensegen_utils" / "data").mkdir()
    for name in ("__init__.py", "layout.py", "uci_har_sha256.txt"):
        shutil.copy(HERE / "sensegen_utils" / "data" / name, house / "sensegen_utils" / "data")
    shutil.copy(HERE / "notebooks/02_mdn_generator.ipynb", house / "notebooks")
    write(house / "config")
    ran = engine(house, "--keep-going", profile="sweep-a")
    point = "02_mdn_generator-body_gyro_x-1x{}-seed{}"
    assert ran.returncode != 0 and ran.stdout.count("FAILED: ") == 2
    assert "To go on from the last checkpoint: ./run_all.sh sweep config/sweep-a.yaml " in ran.stdout
    done = {path.stem for path in (house / "results/sweep-a/runs").glob("*.json")}
    assert done == {point.format(8, 0), point.format(16, 0)}
    write(house / "config", grid=GRID | {"LSTM_UNITS": [8, 16, 32]})
    again = wanted(house, profile="sweep-a")
    assert set(again) == {point.format(8, 1), point.format(16, 1), point.format(32, 0), point.format(32, 1)}


def test_the_table_has_what_records_say_and_why_a_point_is_not_done(sweep, tmp_path):
    write(tmp_path, grid=GRID | {"SEED": [0, 1, 2]})
    folder = tmp_path / "results" / "sweep-a"
    for part in ("records", "runs", "logs"):
        (folder / part).mkdir(parents=True)
    for number, (point, parameters) in enumerate(sweep.read("sweep-a")[1].items()):
        run = f"02_mdn_generator-{point}"
        record = {"nll_at_rest": {"held out": -number / 3}, "provenance": {"wall_seconds": 7.26}}
        record["provenance"]["data"] = {"kind": "simulated"}
        asked = {"version": 1, "parameters": {"PROFILE": "sweep-a"} | parameters}
        (folder / "records" / f"{run}.json").write_text(json.dumps(record))
        if number < 4:  # with other epochs the last one is no answer any more
            numbers = {each: profiles.get_profile("sweep-a")[each] for each in sweep.numbers_of(run[:16])}
            asked["numbers"] = numbers | {"generator_epochs": 2 + (number == 3), "data": "sha256:ab"}
            (folder / "runs" / f"{run}.json").write_text(json.dumps(asked))
        if number > 3:
            (folder / "logs" / f"{run}.log").write_text("")
        if number == 4:
            (folder / "logs" / f"{run}.end.json").write_text(json.dumps({"error": "cell\nValueError: NaN"}))
    sweep.tell("sweep-a", folder)
    rows = (folder / "sweep.csv").read_text().splitlines()
    assert rows[0] == "LSTM_UNITS,SIGNAL,LSTM_LAYERS,SEED,held-out NLL,seconds of computing,state"
    assert rows[1:4] == [
        f"8,body_gyro_x,1,{n},{nll},7.3,done" for n, nll in enumerate((0.0, -0.3333, -0.6667))
    ]
    assert [row.split(",", 4)[4] for row in rows[4:]] == [
        ",,not run", ",,failed: ValueError: NaN", ",,stopped or killed"
    ]  # fmt: skip
    assert (folder / "sweep.png").stat().st_size > 5000
