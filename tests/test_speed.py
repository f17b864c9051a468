import json
import shutil
import subprocess
import sys

import pytest

from benchmarks import pictures, training
from sensegen_utils import speed
from sensegen_utils.paths import ROOT
from sensegen_utils.report import render_report, write_report
from sensegen_utils.speed import load_benchmarks, make_speed_tables

QUICK = ROOT / "results" / "quick"
COMMITTED = sorted((ROOT / "results" / "benchmarks").glob("*.json"))
PROVENANCE = {
    "notebook": "benchmarks.some", "profile": "benchmark", "seed": 0, "wall_seconds": 1.0,
    "data": {"kind": "none", "sha256": None}, "versions": {}, "git_commit": "0123456789ab",
    "machine": {"processor": "Some CPU", "cores": 2, "intra_op_threads": "all", "system": "Linux"},
}  # fmt: skip


def timed(name, seconds, **columns):
    spread = {"quartile_low_s": 0.9 * seconds, "quartile_high_s": 1.1 * seconds, "gflop_per_s": 1 / seconds}
    return {"contender": name, "median_s": seconds} | spread | columns


def training_record():
    seconds = {"report, 4 x 20": (0.010, 0.025, 0.011, 0.009), "windows, 128 x 127": (1.0, 1.1, 1.0, 0.8)}
    rows, grid = [], []
    for configuration, times in seconds.items():
        by_name = dict(zip(("project", "stock", "pytorch", "products"), times, strict=True))
        for name, each in by_name.items():
            ratios = {f"ratio_to_{other}": each / its for other, its in by_name.items()}
            common = {"configuration": configuration, "threads": "1x2"}
            rows.append(timed(name, each, **common, **ratios))
            grid += [timed(name, 2 * each, **common | {"threads": "1x1"}), timed(name, each, **common)]
    return {
        "torch": "2.15.0", "torch_build": "CUDA 13.0", "loss_tolerance": 1e-5, "rows": rows, "grid": grid,
        "left_out": {"pytorch 2x2": "its process ended with signal SIGSEGV"},
    }  # fmt: skip


def sampling_record():
    rows = []
    for name, seconds in {
        "keras_loop": 1e-3,
        "tf1_loop": 2e-4,
        "sampler_4": 1e-5,
        "sampler_512": 5e-6,
    }.items():
        row = timed(name, seconds, layers=1, values_per_s=1 / seconds)
        row |= {"values_per_s_low": 0.9 / seconds, "values_per_s_high": 1.1 / seconds}
        if name.startswith("sampler"):
            row |= {"times_keras_loop": 1e-3 / seconds, "times_tf1_loop": 2e-4 / seconds}
            row |= {"series": int(name[8:]), "fraction_of_products": 3e-6 / seconds}
        rows.append(row)
    rows.append(rows[0] | {"contender": "tf_products_512"})
    to_disk = {
        "series": 78_125, "steps": 128, "file_mb": 40.0, "memory_before_mb": 700.0, "memory_peak_mb": 730.0,
        "seconds": 20.0, "values_per_s": 500_000.0,
    }  # fmt: skip
    return {"rows": rows, "to_disk": to_disk}


def side_by_side_record():
    alone = [
        {"configuration": "1x256", "threads": [1, 1], "seconds": 0.010},
        {"configuration": "1x256", "threads": [1, 2], "seconds": 0.008},
    ]
    pair = {"pair": ["1x256", "1x256"], "seconds": [0.011, 0.011], "speed_up": 16 / 11}
    hours = {"one by one": 13.0, "two at a time": 10.0}
    together = [pair, pair | {"speed_up": 1.299}]
    return {"alone": alone, "together": together, "full_profile_hours": hours}


def scaling_record():
    rows, law = [], {"exponent": 1.5, "factor": 1e-5, "from": 128, "to": 256}
    for factor in ("units", "batch"):
        for value in (64, 128, 256):
            rows.append({"factor": factor, "value": value, "seconds": 1e-5 * value**1.5})
            rows[-1] |= {"peak_mib": 400.0 + value, "above_import_mib": float(value)}
    laws = {"units": law, "batch": law}
    base = {"units": 256, "layers": 3, "steps": 20, "batch": 4}
    return {
        "rows": rows, "time": laws, "memory": laws, "base": base, "generated_steps": 128,
        "hours": {"25000 epochs": 1234.56, "1e9 values, 4096 series at once": 0.5},
    }  # fmt: skip


RECORDS = {
    "training": training_record(),
    "sampling": sampling_record(),
    "side_by_side": side_by_side_record(),
    "reading": {
        "rows": [
            {"what": "archive to arrays", "median_s": 14.9, "low_s": 14.0, "high_s": 16.0},
            {"what": "cache to arrays", "median_s": 1.0, "low_s": 0.9, "high_s": 1.1},
        ]
    },
    "scaling": scaling_record(),
    "whole-quick-fresh": {
        "command": "./run_all.sh quick --fresh", "seconds": 1200.0,
        "parts": [
            {"part": "03_discriminator", "seconds": 600}, {"part": "08_evaluation-six", "seconds": 90},
            {"part": "quick", "seconds": 1200},
        ],
    },
    "whole-test": {
        "command": "./run_all.sh test", "seconds": 721.0,
        "parts": [{"part": name, "seconds": n} for n, name in enumerate(("01", "smoke", "pytest", *"abc"))],
    },
}  # fmt: skip


def provenance(name):
    data = {"kind": "official", "sha256": "0"} if name == "reading" else PROVENANCE["data"]
    return {"provenance": PROVENANCE | {"data": data, "notebook": f"benchmarks.{name}"}}


@pytest.fixture
def benchmarks(tmp_path):
    folder = tmp_path / "results" / "benchmarks"
    folder.mkdir(parents=True)
    for name, record in RECORDS.items():
        (folder / f"{name}.json").write_text(json.dumps(record | provenance(name)))
    return folder


def tables(folder):
    return {name: table for name, (_, table, _) in make_speed_tables(load_benchmarks(folder)).items()}


def test_training_is_judged_against_the_bars_on_both_sides(benchmarks):
    assert {training.REPORT["name"], training.WINDOWS["name"]} == speed.TRAINING_BARS.keys()
    made = tables(benchmarks)["training"].set_index(["configuration", "contender"])
    pytorch = "PyTorch 2.15.0 (CUDA 13.0 build)"
    columns = ["this project's time over it", "bar", "met"]
    assert made.loc[("report, 4 x 20", "Keras LSTM"), columns].tolist() == ["0.400", "at most 0.40", "yes"]
    assert made.loc[("report, 4 x 20", pytorch), columns].tolist() == ["0.909", "at most 0.85", "no"]
    assert made.loc[("windows, 128 x 127", "Keras LSTM"), columns].tolist() == ["0.909", "at most 0.85", "no"]
    assert made.loc[("windows, 128 x 127", pytorch), columns].tolist() == ["1.000", "at most 1.00", "yes"]
    assert made.loc[("report, 4 x 20", "bare matrix products"), columns].tolist() == ["1.111", "–", "–"]
    row = made.loc[("report, 4 x 20", "this project")]
    assert row.tolist() == ["1x2", "10.00", "9.00 to 11.00", "100.0", "–", "–", "–"]
    grid = tables(benchmarks)["threads"]
    assert grid.iloc[0].tolist() == ["report, 4 x 20", "this project", "20.00", "10.00"]


def test_sampling_is_judged_against_the_bars_on_both_sides(benchmarks):
    made = tables(benchmarks)["sampling"]
    assert made["contender"].tolist()[:2] == ["Keras, value by value", "TensorFlow 1 graph, value by value"]
    assert made.iloc[2].tolist()[-5:] == ["100.0", "20.0", "no", "0.300", "no"]
    assert made.iloc[3].tolist()[-5:] == ["200.0", "40.0", "yes", "0.600", "yes"]
    assert len(made) == 4  # products are a column
    disk = tables(benchmarks)["to_disk"].iloc[0]
    assert disk["values"] == "10,000,000" and disk["memory at the peak (MB)"] == "730"


def test_side_by_side_says_what_limits_it(benchmarks):
    _, made, told = make_speed_tables(load_benchmarks(benchmarks))["side_by_side"]
    assert made[["speed-up", "met"]].values.tolist() == [["1.455", "yes"], ["1.299", "no"]]
    assert made["alone (threads)"][0] == "8.00 (1x2) and 8.00 (1x2)"
    assert "1.25 to 1.25 times as fast as one" in told and "1.10 to 1.10 times as long" in told
    assert "the former limits more" in told
    whole = tables(benchmarks)["full_profile"]
    assert whole.values.tolist() == [["13.0", "10.0", "1.30", "at least 1.3", "yes"]]


def test_reading_and_whole_commands_are_judged_on_both_sides(benchmarks):
    made = tables(benchmarks)
    assert made["reading"]["met"].tolist() == ["yes", "no"]
    assert made["whole"]["met"].tolist() == ["yes", "no"]
    assert made["whole"].iloc[:, -1].tolist() == [
        "03_discriminator 600 s, 08_evaluation-six 90 s",
        "c 5 s, b 4 s, a 3 s, pytest 2 s, smoke 1 s",
    ]
    told = make_speed_tables(load_benchmarks(benchmarks))["whole"][2]
    assert "notebooks 1 to 6 account for 10.0 of all notebooks' 11.5 minutes" in told


def test_a_whole_command_without_a_bar_is_shown_all_the_same():
    record = {"command": "./run_all.sh smoke", "seconds": 300.0, "parts": []} | provenance("whole-smoke")
    _, table, _ = make_speed_tables({"whole-smoke": record})["whole"]
    assert table.iloc[0, :4].tolist() == ["./run_all.sh smoke", "5.0", "–", "–"]


def test_scaling_shows_powers_and_costs(benchmarks):
    made = tables(benchmarks)
    assert made["scaling"]["power of time"].tolist() == ["1.50", "1.50"]
    assert made["scaling"]["peak memory (MiB)"][0] == "464 to 656"
    assert made["costs"].iloc[0].tolist() == ["25000 epochs", "1,234.6"]


def test_captions_name_machine_threads_and_commit(benchmarks):
    made = make_speed_tables(load_benchmarks(benchmarks))
    assert list(made) == [name for names, _ in speed.GROUPS for name in names]
    for caption, _, _ in made.values():
        assert "Some CPU, 2 cores · threads: " in caption and "commit 0123456789ab" in caption
    assert "data: official" in made["reading"][0]


def copy_quick(folder):
    (folder / "records").mkdir(parents=True)
    for path in (QUICK / "records").glob("*.json"):
        shutil.copy(path, folder / "records")
    return folder


def test_the_section_stands_before_provenance_and_links_the_pictures(benchmarks, tmp_path):
    folder = copy_quick(tmp_path / "results" / "quick")
    assert "speed.png" not in render_report(folder)  # not drawn yet
    pictures.main(benchmarks)
    for name in ("speed", "scaling"):
        assert (benchmarks / "figures" / f"{name}.png").stat().st_size > 5000
    text = render_report(folder, link_prefix="results/quick")
    assert text.index("## Deviations") < text.index("## Speed") < text.index("## Provenance")
    assert "PyTorch 2x2 is left out: its process ended with signal SIGSEGV." in text
    for name, title, meaning in speed.FIGURES:
        assert f"![{title}](results/benchmarks/figures/{name}.png)" in text and meaning in text
    assert "](../benchmarks/figures/speed.png)" in render_report(folder)


def test_what_was_not_measured_has_no_table_and_no_picture(benchmarks, tmp_path):
    folder = copy_quick(tmp_path / "results" / "quick")
    for path in benchmarks.glob("*.json"):
        if path.stem not in ("reading", "sampling"):
            path.unlink()
    assert list(tables(benchmarks)) == ["sampling", "to_disk", "reading"]
    pictures.main(benchmarks)
    assert [path.name for path in (benchmarks / "figures").iterdir()] == ["speed.png"]
    assert "Reading the data" in render_report(folder) and "one update of G" not in render_report(folder)
    shutil.rmtree(benchmarks)
    assert "## Speed" not in render_report(folder)


def test_pictures_need_no_pytorch_and_equal_records_give_equal_files(benchmarks):
    record = json.loads((benchmarks / "training.json").read_text())
    record["rows"] = [row for row in record["rows"] if row["contender"] != "pytorch"]
    (benchmarks / "training.json").write_text(json.dumps(record))
    drawn = []
    for _ in range(2):
        pictures.main(benchmarks)
        drawn.append((benchmarks / "figures" / "speed.png").read_bytes())
    assert drawn[0] == drawn[1]
    assert not tables(benchmarks)["training"]["contender"].str.contains("PyTorch").any()


def test_a_report_is_rendered_anew_without_notebooks(benchmarks, tmp_path, monkeypatch):
    folder = copy_quick(tmp_path / "results" / "quick")
    monkeypatch.setenv("SENSEGEN_ROOT", str(tmp_path))
    command = [sys.executable, "-m", "sensegen_utils.report", "quick"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    written = [folder / "REPORT.md", tmp_path / "REPORT.md"]
    assert printed.split("\n")[:-1] == [str(path) for path in written]
    before = written[1].read_text()
    assert "## Speed" in before and write_report(folder, tmp_path) == written
    assert written[1].read_text() == before


@pytest.mark.skipif(not COMMITTED, reason="no benchmarks are committed")
def test_committed_benchmarks_are_of_commits_and_have_their_pictures():
    records = load_benchmarks(COMMITTED[0].parent)
    for name, record in records.items():
        assert len(record["provenance"]["git_commit"]) == 12, name  # neither "unknown" nor marked as changed
    drawn = {path.stem for path in (COMMITTED[0].parent / "figures").glob("*.png")}
    assert drawn == ({"speed"} if records.keys() & {"training", "sampling"} else set()) | (
        {"scaling"} & records.keys()
    )
