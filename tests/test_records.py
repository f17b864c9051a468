import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from sensegen_utils import records
from sensegen_utils.profiles import PROFILES, get_profile
from sensegen_utils.records import atomic_path, load_record, results_dir, save_record, start_record

HAR = {"kind": "simulated", "sha256": "ab" * 32}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    return tmp_path


def test_a_record_says_what_made_it(root):
    path = root / "records" / "02_x.json"
    save_record(start_record("02_mdn_generator", "quick", 3, HAR) | {"nll": np.float32(0.5)}, path)
    record = load_record(path)
    made = record["provenance"]
    assert record["nll"] == 0.5
    assert (made["notebook"], made["profile"], made["seed"]) == ("02_mdn_generator", "quick", 3)
    assert made["data"] == {"kind": "simulated", "sha256": "ab" * 32}
    assert set(made["versions"]) >= {"python", "tensorflow", "keras", "numpy"}
    assert made["machine"]["processor"] and made["machine"]["cores"] >= 1
    assert 0 <= made["wall_seconds"] < 60
    assert made["git_commit"]


def test_nan_is_refused(root):
    with pytest.raises(ValueError, match="Out of range float"):
        save_record(start_record("02", "quick", 0, HAR) | {"nll": float("nan")}, root / "r.json")
    assert not (root / "r.json").exists()


def test_missing_and_damaged_records_name_the_notebook(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"04_x\.json: run notebook 04"):
        load_record(tmp_path / "04_x.json")
    (tmp_path / "03_x.json").write_text('{"half": ')
    with pytest.raises(
        ValueError, match=r"03_x\.json is not a readable record.*delete it and run notebook 03"
    ):
        load_record(tmp_path / "03_x.json")


def test_simulated_results_never_share_a_folder_with_real_ones(root):
    assert results_dir("quick", "simulated") == root / "results" / "simulated-quick"
    assert (
        results_dir("quick", "official") == results_dir("quick", "unverified") == root / "results" / "quick"
    )


def test_unwritable_results_are_found_at_once(root):
    (root / "results").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"could not write .*results/quick.*make the folder writable"):
        results_dir("quick", "official")


def test_a_failed_write_keeps_the_old_file_and_leaves_no_rubbish(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_kill_9_in_the_middle_of_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"value": 1}))
    code = textwrap.dedent(f"""
        import os, signal
        from sensegen_utils.records import atomic_path
        with atomic_path({str(path)!r}) as temporary:
            temporary.write_text('{{"value": ')
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert load_record(path) == {"value": 1}
    with atomic_path(path) as temporary:  # what the killed process left behind does not matter
        temporary.write_text(json.dumps({"value": 2}))
    assert load_record(path) == {"value": 2}


def test_a_full_disk_is_named(tmp_path):
    full = Path("/dev/full")  # every write there fails with ENOSPC
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OSError, match="could not write .*Free some space"), atomic_path(tmp_path / "r.json"):
        full.write_text("x" * 100_000)


def test_profiles_differ_in_numbers_only():
    smoke, quick, full = (PROFILES[name] for name in ("smoke", "quick", "full"))
    assert smoke.keys() == quick.keys() == full.keys()
    assert all(type(smoke[key]) is type(full[key]) for key in full)
    assert full["discriminator_epochs_per_round"] == 200 and full["generator_epochs_per_round"] == 100
    scale = {
        full[key] / quick[key] for key in ("discriminator_epochs_per_round", "generator_epochs_per_round")
    }
    assert scale == {20}  # stated in profiles.py and notebook 4


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown profile 'fast'; choose one of: smoke, quick, full"):
        get_profile("fast")
