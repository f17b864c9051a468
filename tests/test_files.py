import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from sensegen_utils import files
from sensegen_utils.files import atomic_path, load_rows, results_dir, save_rows, save_samples
from sensegen_utils.provenance import PACKAGES, provenance, this_machine


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", tmp_path)
    return tmp_path


def test_provenance_says_what_made_a_record():
    har = {"kind": "simulated", "sha256": "ab" * 32, "train": "windows are no provenance"}
    made = provenance("02_mdn_generator", "quick", 3, har)
    assert (made["notebook"], made["profile"], made["seed"]) == ("02_mdn_generator", "quick", 3)
    assert made["data"] == {"kind": "simulated", "sha256": "ab" * 32}
    assert set(made["versions"]) == {"python", *PACKAGES} >= {"tensorflow", "keras", "numpy", "aeon"}
    assert made["machine"]["processor"] and made["machine"]["cores"] >= 1
    assert made["git_commit"]
    assert made | this_machine() == made
    assert 0 <= made["wall_seconds"] + time.monotonic() < 60
    assert json.loads(json.dumps(made)) == made


def test_simulated_results_never_share_a_folder_with_real_ones(root):
    assert results_dir("quick", "simulated") == root / "results" / "simulated-quick"
    quick = results_dir("quick", "official")
    assert quick == results_dir("quick", "unverified") == root / "results" / "quick"
    assert list(quick.rglob("*")) == [quick / "records"]


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
    save_rows([{"value": 1}], path)
    code = textwrap.dedent(f"""
        import os, signal
        from sensegen_utils.files import atomic_path
        with atomic_path({str(path)!r}) as temporary:
            temporary.write_text('{{"value": ')
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert load_rows(path) == [{"value": 1}]
    save_rows([{"value": 2}], path)  # what the killed process left behind does not matter
    assert load_rows(path) == [{"value": 2}]


def test_a_full_disk_is_named(tmp_path):
    full = Path("/dev/full")  # every write there fails with ENOSPC
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OSError, match="could not write .*Free some space"), atomic_path(tmp_path / "r.json"):
        full.write_text("x" * 100_000)


def test_rows_and_samples_come_back(tmp_path):
    assert load_rows(tmp_path / "rows.json") == []
    save_rows([{"nll": np.float32(0.5)}], tmp_path / "new" / "rows.json")
    assert load_rows(tmp_path / "new" / "rows.json") == [{"nll": 0.5}]
    save_samples(tmp_path / "samples.npz", x=np.arange(3), activity=["WALKING"])
    with np.load(tmp_path / "samples.npz") as saved:
        assert saved["x"].tolist() == [0, 1, 2] and saved["activity"].tolist() == ["WALKING"]
