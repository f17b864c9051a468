"""The benchmarks run and write well-formed records; no test here looks at a clock."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import reading, scaling, side_by_side, tables, training, updates, whole, worker
from sensegen_utils import files

TINY = {"name": "tiny", "batch": 2, "steps": 3, "units": 4, "layers": 2, "updates": 2}


def load(module, monkeypatch, tmp_path, *arguments, **settings):
    monkeypatch.setattr(module, "RECORD", tmp_path / "record.json")
    module.main(list(arguments), **settings)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["provenance"]["profile"] == "benchmark"
    assert record["provenance"]["data"] == {"kind": "none", "sha256": None}
    assert tables.make_sections({module.__name__.split(".")[-1]: record})  # the page can show it
    return record


def test_training_measures_every_contender_against_every_other(monkeypatch, tmp_path):
    turns = ("--choosing", "1", "--repeats", "1")
    record = load(training, monkeypatch, tmp_path, *turns, configs=(TINY,), settings=((1, 1),))
    names = ["project", "stock", "stock_unrolled", "tensorflow_1", *updates.PARTS, "pytorch"]
    if training.torch_version() is None:
        names.remove("pytorch")
        assert list(record["left_out"]) == ["pytorch"] and record["torch"] == "absent"
    else:
        assert not record["left_out"] and record["torch_build"].startswith(("CPU", "CUDA"))
    assert [row["contender"] for row in record["rows"]] == names
    for row in record["rows"]:
        assert row["threads"] == "1x1"
        assert row["median_s"] > 0 and row[f"ratio_to_{row['contender']}"] == 1
        assert {f"ratio_to_{name}" for name in names} < row.keys()


def test_each_contender_is_measured_under_its_fastest_setting(stub, monkeypatch, tmp_path):
    start = worker.start
    part = {"benchmarks.updates": {"name": "project"}, training.PYTORCH: {}}
    monkeypatch.setattr(worker, "start", lambda module, job, threads: start(stub, part[module], threads))
    monkeypatch.setattr(training, "torch_version", lambda: "2.15.0")
    settings = ((1, 1), (1, 2), (2, 2))
    record = load(training, monkeypatch, tmp_path, "--choosing", "3", configs=(TINY,), settings=settings)
    tried = {}
    for row in record["grid"]:
        tried.setdefault(row["contender"], {})[row["threads"]] = row["median_s"]
    assert list(tried["project"]) == ["1x1", "1x2", "2x2"]
    assert list(tried["pytorch"]) == ["1x1", "2x2"]
    for row in record["rows"]:
        assert row["threads"] == min(tried[row["contender"]], key=tried[row["contender"]].get)


def test_training_refuses_a_contender_that_trains_otherwise():
    losses = {"project 1x1": 1.0, "stock 1x1": 1.000001, "products 1x1": None}
    training.check(losses)
    with pytest.raises(AssertionError, match="stock 1x1"):
        training.check(losses | {"stock 1x1": 1.0001})


def test_products_count_what_the_layers_multiply():
    config = {"batch": 2, "steps": 3, "units": 4, "layers": 1}
    dense = 3 * 2 * 6 * (4 * 128 + 128 * 72)
    assert updates.flop_per_update(config) == 2 * 2 * 6 * 1 * 16 + 3 * 2 * 6 * 4 * 16 + dense


STUB = """
import os, signal

calls = []

def make(job):
    if job.get("dies") == "at the start":
        raise SystemExit(3)
    def work():
        if calls and job.get("dies") == "at work":
            os.kill(os.getpid(), signal.SIGSEGV)
        calls.append(0)
        print("chatter of a library")
        return job.get("loss", 0.5)
    return {job.get("name", "pytorch"): work}, {"torch_build": "stub"}
"""


@pytest.fixture
def stub(monkeypatch, tmp_path):
    (tmp_path / "stub_contender.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return "stub_contender"


def test_a_worker_is_warm_before_it_is_asked_and_ends_with_its_block(stub):
    with worker.start(stub, {}, (1, 2)) as (process, ready):
        assert ready == {"first": {"pytorch": 0.5}, "facts": {"torch_build": "stub"}}
        assert 0 < worker.ask(process, "pytorch") < 5
        worker.tell(process, "pytorch")
        assert worker.answer(process) > 0
    assert process.returncode == 0


def test_a_worker_that_ends_says_how(stub):
    with (
        pytest.raises(ChildProcessError, match="exit status 3"),
        worker.start(stub, {"dies": "at the start"}, (1, 1)),
    ):
        pass
    with worker.start(stub, {"dies": "at work"}, (1, 1)) as (process, _):
        for _ in range(2):
            with pytest.raises(ChildProcessError, match="SIGSEGV"):
                worker.ask(process, "pytorch")


def test_pytorch_has_a_process_without_tensorflow():
    if training.torch_version() is None:
        pytest.skip("PyTorch is an extra")
    code = "import sys, benchmarks.worker, benchmarks.updates_pytorch\n"
    code += "print({'tensorflow', 'keras'} & {*sys.modules})"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize("dies", ["at the start", "at work"])
def test_pytorch_that_dies_is_said_once_and_left_out(stub, monkeypatch, tmp_path, capsys, dies):
    # The stub plays all parts here: TensorFlow would only make this slow.
    start = worker.start
    part = {"benchmarks.updates": {"name": "project"}, training.PYTORCH: {"dies": dies}}
    monkeypatch.setattr(worker, "start", lambda module, job, threads: start(stub, part[module], threads))
    monkeypatch.setattr(training, "torch_version", lambda: "2.15.0")
    record = load(training, monkeypatch, tmp_path, "--repeats", "2", configs=(TINY,), settings=((1, 1),))
    assert [row["contender"] for row in record["rows"]] == ["project"]
    how = "exit status 3" if dies == "at the start" else "signal SIGSEGV"
    assert record["left_out"] == {"pytorch 1x1": f"its process ended with {how}"}
    assert capsys.readouterr().out.count("pytorch 1x1 is left out") == 1


def test_absent_pytorch_is_said_and_left_out(stub, monkeypatch, tmp_path, capsys):
    start = worker.start
    monkeypatch.setattr(
        worker, "start", lambda module, job, threads: start(stub, {"name": "project"}, threads)
    )
    monkeypatch.setattr(training, "torch_version", lambda: None)
    record = load(training, monkeypatch, tmp_path, "--repeats", "1", configs=(TINY,), settings=((1, 1),))
    assert (record["torch"], record["torch_build"]) == ("absent", "stub")
    assert [row["contender"] for row in record["rows"]] == ["project"]
    assert "pip install -e .[bench]" in capsys.readouterr().out


def test_scaling_fits_and_extrapolates(monkeypatch, tmp_path):
    def point(point):
        work = point["units"] ** 2 * point["layers"] * point["steps"] * point["batch"]
        return {"seconds": 1e-9 * (point.get("series") or work), "peak_mib": 9.0, "above_import_mib": 5.0}

    monkeypatch.setattr(scaling, "measure_apart", point)
    record = load(scaling, monkeypatch, tmp_path)
    assert record["time"]["units"]["exponent"] == pytest.approx(2)
    assert record["time"]["batch"]["exponent"] == pytest.approx(1)
    assert record["memory"]["steps"]["exponent"] == pytest.approx(0)
    hours = list(record["hours"].values())
    assert hours[1] == pytest.approx(hours[0] * 100 * 1500 / 25_000)
    assert hours[2] == pytest.approx(hours[1])  # here time is proportional to the batch
    assert hours[3] == pytest.approx(1e9 / 128 * 1e-9 / 3600)


@pytest.mark.parametrize("series", [0, 2])
def test_scaling_measures_a_point(series, capsys):
    point = {"units": 4, "layers": 1, "steps": 3, "batch": 2, "series": series}
    scaling.main(["--point", json.dumps(point)])
    result = json.loads(capsys.readouterr().out)
    assert result["seconds"] > 0 and result["peak_mib"] > result["above_import_mib"]


def test_side_by_side_runs_alone_and_in_pairs(stub, monkeypatch, tmp_path):
    start = worker.start
    monkeypatch.setattr(worker, "start", lambda module, job, threads: start(stub, {"name": "train"}, threads))
    monkeypatch.setattr(side_by_side, "CONFIGURATIONS", {"tiny": (4, 1)})
    monkeypatch.setattr(side_by_side, "PAIRS", (("tiny", "tiny"),))
    monkeypatch.setattr(side_by_side, "THREADS", ((1, 1),))
    monkeypatch.setattr(side_by_side, "full_profile", lambda: [("tiny", 1), ("tiny", 1)])
    record = load(side_by_side, monkeypatch, tmp_path, "--updates", "4", "--repeats", "2")
    (alone,), (together,) = record["alone"], record["together"]
    assert alone["configuration"] == "tiny" and alone["seconds"] > 0
    assert together["speed_up"] == pytest.approx(sum(alone["seconds"] / each for each in together["seconds"]))
    hours = record["full_profile_hours"]
    assert hours["one by one"] == pytest.approx(2 * 367 / 3600 * alone["seconds"])
    assert hours["two at a time"] > 0


def test_side_by_side_trains_one_configuration():
    functions, _ = side_by_side.make({"size": (4, 2), "updates": 20})
    assert functions["train"]() > functions["train"]()  # the loss falls


def test_two_at_a_time_never_leave_a_core_idle_while_a_training_waits():
    alone, together = {"long": 2.0, "short": 1.0}, {("short", "long"): (1.5, 3.0)}
    # Four of short take 6, in which long does two of its three; its last takes 3, as do another short's two.
    jobs = [("long", 3), ("short", 4), ("short", 2)]
    assert side_by_side.two_at_a_time(jobs, alone, together) == pytest.approx(9.0)
    assert side_by_side.two_at_a_time(jobs[:1], alone, together) == pytest.approx(6.0)


def test_the_full_profile_trains_what_the_benchmark_measures():
    jobs = side_by_side.full_profile()
    assert {name for name, _ in jobs} == set(side_by_side.CONFIGURATIONS)
    assert jobs[:2] == [("1x256", 2000), ("3x256", 2000)]


def test_reading_is_timed_from_the_archive_and_from_the_cache(monkeypatch, tmp_path, simulated_archive):
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(simulated_archive))
    monkeypatch.setattr(reading, "REPEATS", 1)
    monkeypatch.setattr(reading, "RECORD", tmp_path / "reading.json")
    monkeypatch.setattr(files, "DATA", tmp_path / "data")
    reading.main()
    record = json.loads((tmp_path / "reading.json").read_text())
    assert all(row["low_s"] > 0 for row in record["rows"])
    measured_on, ((_, table, _),) = tables.make_sections({"reading": record})["reading"]
    assert measured_on.endswith("data: SIMULATED") and len(table) == 2


def test_a_whole_command_is_timed_with_its_parts_and_recorded_only_if_it_succeeds(monkeypatch, tmp_path):
    script = tmp_path / "run_all.sh"
    monkeypatch.setattr(whole, "FOLDER", tmp_path)
    script.write_text("echo '== environment'; echo '== 01_data done in 5 s'; exit $(($# > 1))")
    whole.main(f"bash {script} smoke")
    record = json.loads((tmp_path / "whole-smoke.json").read_text())
    assert record["parts"] == [{"part": "01_data", "seconds": 5}] and record["seconds"] >= 0
    with pytest.raises(SystemExit, match="nothing is recorded"):
        whole.main(f"bash {script} quick --fresh --yes")
    assert not list(tmp_path.glob("whole-quick*"))
