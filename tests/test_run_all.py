import os
import subprocess

import pytest

from sensegen_utils.paths import ROOT


def run_all(*arguments, **environment):
    return subprocess.run(
        ["bash", ROOT / "run_all.sh", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_help_names_every_command():
    shown = run_all("--help")
    assert shown.returncode == 0
    for word in ("quick", "full", "smoke", "test", "lab", "--fresh", "--help", "SENSEGEN_HAR_ARCHIVE"):
        assert word in shown.stdout


def test_an_unknown_argument_is_refused():
    refused = run_all("quik")
    assert refused.returncode == 2 and "unknown argument: quik" in refused.stderr


def test_a_failed_cell_stops_the_run_with_traceback_name_and_way_on(tmp_path, simulated_archive):
    results = tmp_path / "results" / "simulated-smoke"
    (results / "checkpoints").mkdir(parents=True)
    for run in ("02_body_gyro_x-1x256-seed0", "04_total_acc_x-3x256-seed0-D"):  # both of those that run first
        (results / "checkpoints" / f"{run}.keras").write_text("no checkpoint")
    failed = run_all("smoke", SENSEGEN_ROOT=str(tmp_path), SENSEGEN_HAR_ARCHIVE=str(simulated_archive))
    assert failed.returncode != 0
    assert "SIMULATED DATA" in failed.stderr
    assert "02_body_gyro_x-1x256-seed0.keras is damaged" in failed.stdout  # the traceback
    assert "FAILED: 02_mdn_generator" in failed.stderr
    assert "./run_all.sh smoke --fresh" in failed.stderr
    assert "05_results_and_figures" not in failed.stdout
    assert (results / "notebooks" / "01_data_preparation.ipynb").exists()


@pytest.mark.parametrize(("cells_run", "times"), [("null", 2), ("1", 1)])
def test_only_a_kernel_that_dies_before_its_first_cell_gets_another_try(
    tmp_path, simulated_archive, cells_run, times
):
    papermill = tmp_path / "bin" / "papermill"
    papermill.parent.mkdir()
    papermill.write_text(f"""#!/bin/sh
echo called
echo '"execution_count": {cells_run}' > "$2"
exit 1
""")
    papermill.chmod(0o755)
    failed = run_all(
        "smoke",
        SENSEGEN_ROOT=str(tmp_path),
        SENSEGEN_HAR_ARCHIVE=str(simulated_archive),
        PATH=f"{papermill.parent}:{os.environ['PATH']}",
    )
    assert failed.returncode != 0 and "FAILED: 01_data_preparation" in failed.stderr
    assert failed.stdout.count("called") == times
    assert failed.stdout.count("once more") == times - 1
