import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sensegen_utils.files import ROOT
from sensegen_utils.profiles import PROFILES, get_profile
from sensegen_utils.provenance import provenance
from sensegen_utils.report import records
from sensegen_utils.report.records import computing_seconds, get_run, load_record, load_results, save_record

HAR = {"kind": "official", "sha256": "ab" * 32}
SETTINGS = {"version": 1, "signals": ("x", "y"), "epochs": 5, "clip": None}
MACHINE = {"processor": "AMD EPYC", "cores": 2, "system": "Linux x86_64", "intra_op_threads": "1"}
COMMITTED = [
    path
    for profile in ("full", "quick")
    for part in ("records", "checkpoints")
    for path in sorted((ROOT / "results" / profile / part).glob("*.json"))
]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def path(root):
    return root / "results" / "full" / "records" / "02_x.json"


def stored(path, settings=SETTINGS, wall=4680.0, **results):
    """A record that another machine has left."""
    made = provenance("02_mdn_generator", "full", 0, HAR)
    made |= {"machine": MACHINE, "git_commit": "abc123", "wall_seconds": wall}
    save_record({"provenance": made, "settings": settings, "nll": 0.5} | results, path)


def run(path, settings=SETTINGS, compute=lambda: {"nll": 1.5}, **options):
    return get_run(path, settings, compute, provenance("02_mdn_generator", "full", 0, HAR), **options)


def not_to_be_called():
    raise AssertionError("computed, although the record is there")


def test_a_finished_run_with_these_settings_is_found(path, capsys):
    stored(path, SETTINGS | {"run": "what an older version noted, too"})
    assert run(path, compute=not_to_be_called)["nll"] == 0.5
    expected = "found: records/02_x.json, made in 1.3 h on AMD EPYC (2 cores), commit abc123\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epochs": 6}, "epochs 5, now 6"),
        ({"version": 2}, "version 1, now 2"),
        ({"clip": 0.1}, "clip None, now 0.1"),
        ({"signals": ("x",)}, "signals ['x', 'y'], now ['x']"),
        ({"seed": 3}, "seed 'not stated', now 3"),
    ],
)
def test_other_settings_are_named_and_computed(path, capsys, change, told):
    stored(path)
    assert run(path, SETTINGS | change)["nll"] == 1.5
    assert capsys.readouterr().out == (
        f"records/02_x.json: made with other settings ({told}). Computing. "
        "The last time it was made in 1.3 h on AMD EPYC (2 cores).\n"
    )
    assert run(path, SETTINGS | change, not_to_be_called)["nll"] == 1.5


def test_a_record_of_before_there_were_settings_is_computed_anew(path, capsys):
    stored(path, settings={})
    assert run(path)["nll"] == 1.5
    assert "version 'not stated', now 1" in capsys.readouterr().out


def test_without_a_record_the_hint_is_told_before_anything_is_computed(path, capsys):
    def compute():
        told = "records/02_x.json: there is none yet. Computing. An hour or two on 2 cores.\n"
        assert capsys.readouterr().out == told
        return {"nll": 1.5}

    run(path, compute=compute, hint="An hour or two on 2 cores.")


def test_without_record_and_hint_nobody_knows(path, capsys):
    run(path)
    assert capsys.readouterr().out.endswith("Computing. How long is not known.\n")


def test_anew_computes_what_is_there_and_says_how_long_it_took(path, capsys):
    stored(path)
    assert run(path, anew=True)["nll"] == 1.5
    told = "asked for anew. Computing. The last time it was made in 1.3 h on AMD EPYC (2 cores)."
    assert told in capsys.readouterr().out


def test_a_run_without_its_weights_is_not_finished(path, capsys):
    stored(path)
    weights = path.with_name("02_x.keras")
    assert run(path, files=[weights])["nll"] == 1.5
    assert "records/02_x.json: 02_x.keras is missing. Computing." in capsys.readouterr().out
    weights.touch()
    assert run(path, compute=not_to_be_called, files=[weights])["nll"] == 1.5


def test_anew_begins_from_nothing_but_goes_on_where_it_was_stopped(path):
    stored(path)
    weights = path.with_name("02_x.keras")
    weights.write_text("of the last time")

    def stopped():
        assert not weights.exists()
        weights.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, compute=stopped, files=[weights], anew=True)
    assert load_record(path)["nll"] == 0.5  # the old record stays

    def goes_on():
        assert weights.read_text() == "half"
        return {"nll": 2.5}

    assert run(path, compute=goes_on, files=[weights], anew=True)["nll"] == 2.5
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "02_x.json",
        "02_x.keras",
        "02_x.keras.old",
    ]
    assert weights.with_name("02_x.keras.old").read_text() == "of the last time"
    run(path, compute=lambda: {"nll": float(weights.exists())}, files=[weights], anew=True)
    assert load_record(path)["nll"] == 0.0  # from nothing once more


@pytest.mark.parametrize("change", [{"version": 2}, {"epochs": 6}])
def test_a_raised_version_goes_on_from_no_checkpoint_of_the_old_one(path, change):
    stored(path)
    checkpoint = path.with_name("02_x.keras")
    checkpoint.write_text("of the old version")
    found = run(path, SETTINGS | change, lambda: {"there": checkpoint.exists()}, checkpoints=[checkpoint])
    assert found["there"] == ("version" not in change)  # of other settings `resume` says what is wrong


def test_anew_needs_no_folder(path):
    assert run(path, anew=True)["nll"] == 1.5


def test_an_unreadable_record_is_computed_anew(path, capsys):
    path.parent.mkdir(parents=True)
    path.write_text('{"half": ')
    assert run(path)["nll"] == 1.5
    assert "records/02_x.json: not readable. Computing." in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["quick", "simulated-full", "smoke"])
def test_in_another_profile_or_with_other_data_the_full_record_says_how_long(root, path, capsys, folder):
    stored(path)
    run(root / "results" / folder / "records" / "02_x.json", hint="not this")
    assert capsys.readouterr().out == (
        "records/02_x.json: there is none yet. Computing. "
        "In the full profile it was made in 1.3 h on AMD EPYC (2 cores).\n"
    )


def test_a_record_of_its_own_tells_the_time_before_the_full_one_does(root, path, capsys):
    stored(path)
    quick = root / "results" / "quick" / "records" / "02_x.json"
    stored(quick, wall=30.0)
    run(quick, anew=True)
    assert "The last time it was made in 30 s on" in capsys.readouterr().out


def test_what_fails_leaves_the_old_record(path):
    stored(path)
    before = path.read_text()

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, anew=True, compute=fail)
    with pytest.raises(ValueError, match=r"'nll' of .*02_x.json cannot be stored \(Out of range float"):
        run(path, anew=True, compute=lambda: {"nll": float("nan")})
    assert path.read_text() == before


def test_what_is_returned_is_what_is_stored_with_settings_provenance_and_true_time(path, monkeypatch):
    made = provenance("02_mdn_generator", "full", 0, HAR)
    clock = iter((1000.0, 1075.25))  # before and after computing
    monkeypatch.setattr(records.time, "monotonic", lambda: next(clock))
    results = {"nll": np.float32(0.5), "pair": (1, 2), "settings": "no", "provenance": "no"}
    found = get_run(path, SETTINGS, lambda: results, made)
    assert found == json.loads(path.read_text())
    assert found["settings"] == {"version": 1, "signals": ["x", "y"], "epochs": 5, "clip": None}
    assert found["provenance"] == made | {"wall_seconds": 75.2}
    assert (found["nll"], found["pair"]) == (0.5, [1, 2])


@pytest.mark.parametrize(
    ("wall", "results", "seconds"),
    [
        (60.0, {}, 60),
        (60.0, {"training_seconds": 300.0}, 300),  # went on from a checkpoint: the last part alone took 60
        (240.0, {"training_seconds": 64.0}, 240),  # 64 of training, the rest of judging
        (1.2, {"rows": [{"seconds": 100.0}, {"seconds": 50.0}]}, 150),  # a notebook that only loaded the rows
        (10.0, {"rows": [{"training_seconds": 100.0}, {"nll": 1.0}]}, 100),
        (10.0, {"predictors": [{"training_seconds": 100.0}, {"training_seconds": 20.0}]}, 120),
        (None, {"rows": [{"nll": 1.0}]}, None),
    ],
)
def test_how_long_a_run_took(path, wall, results, seconds):
    stored(path, wall=wall, **results)
    assert computing_seconds(load_record(path)) == seconds


def test_a_time_that_no_record_tells_is_left_out(path, capsys):
    stored(path, wall=None)
    run(path)
    assert capsys.readouterr().out == "found: records/02_x.json, made on AMD EPYC (2 cores), commit abc123\n"
    run(path, anew=True, hint="Two hours.")
    assert capsys.readouterr().out == "records/02_x.json: asked for anew. Computing. Two hours.\n"


def test_machine_and_commit_are_those_of_the_computing(path, capsys):
    stored(path, trained_on=[{"machine": MACHINE | {"processor": "Xeon"}, "git_commit": "def456"}])
    run(path)
    assert "on Xeon (2 cores), commit def456" in capsys.readouterr().out


def test_a_running_clock_is_stopped_once(path):
    save_record({"provenance": provenance("02", "quick", 3, HAR)}, path)
    record = load_record(path)
    assert 0 <= record["provenance"]["wall_seconds"] < 60
    save_record(record, path)
    assert load_record(path) == record


def test_missing_and_damaged_records_name_the_notebook(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"04_x\.json: run notebook 04"):
        load_record(tmp_path / "04_x.json")
    (tmp_path / "08b_x.json").write_text('{"half": ')
    with pytest.raises(
        ValueError, match=r"08b_x\.json is not a readable record.*delete it and run notebook 08b"
    ):
        load_record(tmp_path / "08b_x.json")


def test_results_need_notebooks_1_to_4_and_nothing_else(tmp_path):
    with pytest.raises(FileNotFoundError, match="run notebook 01"):
        load_results(tmp_path / "full")
    for source in (ROOT / "results" / "full" / "records").glob("0[1-4]*.json"):
        if not any(part in source.stem for part in ("floor", "start", "standardised", "sigma", "02c", "02d")):
            target = tmp_path / "full" / "records" / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    found = load_results(tmp_path / "full")
    optional = ("beyond", "published_start", "published_weights", "three_layers", "aliasing", "ablation")
    optional += ("sensor", "vibration")
    assert all(found[name] is None for name in optional)
    assert (found["models"], found["fidelity"], found["use"]) == ({"one": [], "six": []}, {}, {})
    assert found["standardised"] == found["published_sigma"] == []
    assert len(found["all"]) == len(list(target.parent.iterdir())) >= 10 and found["pictures"] == []


def test_the_commit_is_the_codes_wherever_results_go(tmp_path):
    told = "from sensegen_utils import provenance; print(provenance._git_commit())"
    inherited = {name: value for name, value in os.environ.items() if name != "SENSEGEN_ROOT"}
    environment = inherited | {"PYTHONPATH": str(ROOT)}
    run = {"capture_output": True, "text": True, "check": True}
    here, elsewhere = (
        subprocess.run([sys.executable, "-c", told], env=each, **run).stdout
        for each in (environment, environment | {"SENSEGEN_ROOT": str(tmp_path)})
    )
    assert here == elsewhere
    for name in ("sensegen_utils", "config"):
        shutil.copytree(ROOT / name, tmp_path / "thesis" / name)
    subprocess.run("git init -q . && git -c user.name=x -c user.email=x commit -q --allow-empty -m thesis",
                   shell=True, check=True, cwd=tmp_path)  # fmt: skip
    unpacked = {"env": environment | {"PYTHONPATH": str(tmp_path / "thesis")}, "cwd": tmp_path}
    assert subprocess.run([sys.executable, "-c", told], **unpacked, **run).stdout == "unknown\n"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_no_result_is_of_a_dirty_commit(path):
    assert path.read_text().count("-dirty") == 0


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results" / "full" / "records").glob("*.json")), ids=lambda p: p.stem
)
def test_every_full_record_says_by_which_settings_and_data_it_was_made(path):
    record = load_record(path)
    assert record["settings"]["version"] >= 1
    assert record["settings"]["data"] == record["provenance"]["data"]["sha256"]
    assert record["provenance"]["profile"] == "full"
    assert len(record["provenance"]["git_commit"].removesuffix("-dirty")) == 12  # not "unknown"


def test_profiles_differ_in_numbers_only():
    smoke, quick, full = (PROFILES[name] for name in ("smoke", "quick", "full"))
    assert smoke.keys() == quick.keys() == full.keys()
    assert all(type(smoke[key]) is type(full[key]) for key in full)
    assert full["discriminator_epochs_per_round"] == 200 and full["generator_epochs_per_round"] == 100
    names = ("discriminator_epochs_per_round", "generator_epochs_per_round")
    assert {full[name] / quick[name] for name in names} == {100 / 3}  # stated in quick.yaml


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown profile 'fast'; choose one of: smoke, quick, full"):
        get_profile("fast")
