import os
import pty
import subprocess
from pathlib import Path

import pytest

from sensegen_utils.profiles import CURVE_RUN, run_name

HERE = Path(__file__).resolve().parents[1]


def run_all(*arguments, **environment):
    return subprocess.run(
        ["bash", HERE / "run_all.sh", *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_help_names_every_command():
    shown = run_all("--help")
    assert shown.returncode == 0
    words = (
        "quick",
        "full",
        "smoke",
        "test",
        "lab",
        "site",
        "explore",
        "sweep",
        "-n",
        "--cores",
        "--fresh",
        "--yes",
        "--verbose",
        "--help",
    )
    for word in (*words, "--executor slurm", "SENSEGEN_HAR_ARCHIVE"):
        assert word in shown.stdout
    assert all(len(line) < 110 for line in shown.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        (["quik"], "quik"),
        (["-n", "quik"], "quik"),
        (["--executor", "slurm", "quik"], "quik"),
        (["results/fulll/REPORT.md"], "results/fulll/REPORT.md"),
    ],
)
def test_an_unknown_argument_is_refused(arguments, unknown):
    refused = run_all(*arguments)
    assert refused.returncode == 2 and f"unknown argument: {unknown}" in refused.stderr
    assert "./run_all.sh --help" in refused.stderr


@pytest.mark.parametrize(
    ("said", "chosen"), [(["old", "slow", "good"], 2), (["slow", "old", "slow"], 0), (["old"], None)]
)
def test_a_python_compiled_without_optimisation_is_the_last_choice(tmp_path, said, chosen):
    pythons = [tmp_path / f"place {place}" / "python3" for place in range(len(said))]
    for python, word in zip(pythons, said, strict=True):
        python.parent.mkdir()
        python.write_text(f"#!/bin/sh\n/bin/cat > /dev/null\necho {word}\n")
        python.chmod(0o755)
    path = os.pathsep.join(str(python.parent) for python in pythons)
    script = f". {HERE}/engine/environment.sh; PATH='{path}'; find_python"
    found = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert found == ("" if chosen is None else str(pythons[chosen])) + "\n"


@pytest.fixture
def repository(tmp_path):
    """A repository with results that git tracks in full, and others in smoke."""
    for name in ("full/records/02.json", "full/figures/02.png", "smoke/records/02.json"):
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    (tmp_path / ".gitignore").write_text("results/smoke/\n")
    subprocess.run("git init -q . && git add .", shell=True, check=True, cwd=tmp_path)
    return tmp_path


def forget(repository, folder, yes="", **how):
    script = f'set -euo pipefail; . {HERE}/engine/run.sh; yes={yes}; forget "results/{folder}"; echo gone'
    return subprocess.Popen(["bash", "-c", script], cwd=repository, text=True, **how)


def test_fresh_deletes_nothing_that_git_tracks_without_a_word(repository):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    full, smoke = (repository / "results" / name / "records/02.json" for name in ("full", "smoke"))
    refused = forget(repository, "full", **pipes)
    told = refused.communicate()
    assert refused.returncode == 2 and full.exists()
    assert told == (
        "",
        "--fresh would delete 1 files that git tracks in results/full; with --fresh --yes it does\n",
    )
    assert forget(repository, "smoke", **pipes).communicate()[0] == "gone\n" and not smoke.exists()
    assert forget(repository, "full", yes="yes", **pipes).communicate()[0] == "gone\n" and not full.exists()
    assert (repository / "results/full/figures/02.png").exists(), "figures are drawn anew over the old ones"


@pytest.mark.parametrize(("answer", "there"), [("n", True), ("y", False)])
def test_fresh_asks_on_a_terminal(repository, answer, there):
    terminal, ours = pty.openpty()
    os.write(terminal, f"{answer}\n".encode())
    forget(repository, "full", stdin=ours, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(20)
    assert (repository / "results/full/records/02.json").exists() == there


def test_a_failed_cell_stops_the_run_with_traceback_name_and_way_on(tmp_path, simulated_archive):
    results, run = tmp_path / "results" / "simulated-smoke", run_name(**CURVE_RUN, seed=0)
    (results / "checkpoints").mkdir(parents=True)
    (results / "checkpoints" / f"02_{run}.keras").write_text("no checkpoint")
    failed = run_all(
        str(results / "figures" / f"03_loss-{run}.png"),
        SENSEGEN_ROOT=str(tmp_path),
        SENSEGEN_HAR_ARCHIVE=str(simulated_archive),
    )
    assert failed.returncode != 0
    assert "SIMULATED DATA" in failed.stderr
    assert f"02_{run}.keras is damaged" in failed.stderr  # the traceback
    assert f"FAILED: 02_mdn_generator-{run}" in failed.stderr
    assert "./run_all.sh smoke --fresh" in failed.stderr
    assert "03_discriminator" not in failed.stdout
    assert (results / "notebooks" / f"02_mdn_generator-{run}.ipynb").exists()


@pytest.mark.xdist_group("alone")
def test_a_group_of_tests_goes_to_one_worker(request):
    """Else each worker sets up what the group shares. With pytest 9.2 pytest-xdist 3.8 says nothing of it."""
    grouping = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@alone") or not grouping
