"""The last line of ./run_all.sh: hours, memory and disk."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
MIB = 2**20 / 1e6  # MB


@pytest.fixture
def costs(monkeypatch):
    monkeypatch.syspath_prepend(HERE / "engine")
    return importlib.import_module("costs")


def note(folder, run, memory, seconds, end):
    """A benchmark file as Snakemake writes it, ``memory`` in MiB, of a run that ended at ``end``."""
    path = folder / f"{run}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tmax_vms\n{seconds}\t0:00:00\t{memory}\t9999.00\n")
    os.utime(path, (end, end))


def test_memory_of_the_largest_run_and_of_those_that_overlapped(costs, tmp_path):
    assert costs.peak_memory(tmp_path) is None
    note(tmp_path, "02_b", "NA", "0.01", 1100)
    assert costs.peak_memory(tmp_path) is None
    note(tmp_path, "01_a", "100.00", "50.0", 1050)  # from 1000 to 1050
    note(tmp_path, "03_c", "300.50", "30.0", 1070)  # from 1040: beside 01_a
    note(tmp_path, "04_d", "250.00", "30.0", 1100)  # from 1070, when 03_c had ended
    assert costs.peak_memory(tmp_path) == pytest.approx((300.5 * MIB, "03_c", 400.5 * MIB))


def test_disk_counts_each_file_once_and_a_missing_folder_as_nothing(costs, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "weights").write_bytes(os.urandom(3_000_000))
    os.link(tmp_path / "there" / "weights", tmp_path / "there" / "again")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert costs.disk(tmp_path / "missing") == 0
    assert costs.disk(tmp_path / "link", tmp_path / "missing") == pytest.approx(3, abs=0.1)
    assert [costs.size(each) for each in (0.4, 40, 1949)] == ["0 MB", "40 MB", "1.9 GB"]


def run_profile(house, **how):
    """Call run_profile of engine/run.sh in a folder where Snakemake does nothing."""
    for name in ("run.sh", "costs.py", "receipts.py"):
        (house / "engine").mkdir(exist_ok=True)
        shutil.copy(HERE / "engine" / name, house / "engine")
    (house / "engine/find_data.py").write_text("print('smoke', 'a1')\n")
    snakemake = house / ".venv-engine/bin/python"
    snakemake.parent.mkdir(parents=True)
    snakemake.write_text("#!/usr/bin/env bash\n")
    snakemake.chmod(0o755)
    given = " ".join(
        f"{name}={value}" for name, value in ({"dry": "", "target": "", "fresh": ""} | how).items()
    )
    script = f"set -euo pipefail; . engine/run.sh; yes= passed=() {given}; run_profile smoke"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"SENSEGEN_ROOT", "SENSEGEN_WARM"}  # of a forked kernel no memory would be told
    inherited = {key: value for key, value in os.environ.items() if key not in ours}
    told = subprocess.run(
        ["bash", "-c", script], cwd=house, env=inherited | {"PATH": path}, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_a_profile_ends_with_its_time_memory_and_disk_and_a_part_of_it_does_not(tmp_path):
    note(tmp_path / "results/smoke/logs/benchmarks", "08_fidelity-six", "1800.00", "60", 2000)
    told = run_profile(tmp_path)
    assert re.fullmatch(
        r"== smoke done in \d+ s; the largest run, 08_fidelity-six, took 1\.9 GB of memory, all at a time at"
        r" most 1\.9 GB; on disk results \d+ MB, environments [\d.]+ [MG]B; the report:"
        r" results/smoke/REPORT\.md\n",
        told,
    ), told
    for number, how in enumerate(({"dry": "yes"}, {"target": "results/smoke/REPORT.md"})):
        house = tmp_path / f"part{number}"
        house.mkdir()
        assert run_profile(house, **how) == ""


def test_a_long_time_is_told_in_minutes_and_hours_too(costs, tmp_path):
    for seconds, words in ((99, "99 s;"), (840, "840 s (14 min);"), (80_000, "80000 s (22.2 h);")):
        told = costs.told("quick", seconds, tmp_path)
        assert told.startswith(f"== quick done in {words} no run's memory was measured;")
