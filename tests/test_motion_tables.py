import json

import pytest

from sensegen_utils.motion_tables import baselines_ahead, load_motion, make_motion_tables
from sensegen_utils.records import atomic_path


def write(folder, name, record):
    with atomic_path(folder / "records" / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(record))


def model_record(nll):
    return {
        "signals": ["total_acc_x"],
        "nll": {"train": nll - 1, "validation": nll, "test": nll},
        "linear_nll": {"test": -3.5},
        "bits_per_sample": {"test": 4.0},
        "coverage": {"test": {"central 90%": 0.88}},
    }


def row(contender, seed, score):
    return {"contender": contender, "seed": seed, "judge cnn": score, "TSTR F1": {"1": 0.5, "4": score},
            "judge report": score, "judge features": score, "TSTR accuracy": 0.8 - score / 10,
            "nearest-neighbour ratio": 1 - score, "the same, DTW": 1 - score}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "full"
    for seed, nll in enumerate((-4.0, -4.2, -4.4)):
        write(folder, f"07_true_time_axis-one-seed{seed}", model_record(nll))
    rows = [{"variant": "all", "validation NLL": -4.0, "test NLL": -4.0, "features judge": 0.1,
             "spectrum (dB)": 1.0}] * 2  # fmt: skip
    write(folder, "07b_ablation", {"epochs": 5, "rows": rows})
    evaluation = {
        "signals": ["total_acc_x"],
        "windows": {"train": 10, "test": 5},
        "contenders": ["real people", "G", "VAR", "copy of training", "white noise"],
        "provenance_of_packages": {},
        "rows": [
            row("real people", 0, 0.02),
            row("G", 0, 0.1),
            row("G", 1, 0.2),
            row("G", 2, 0.3),
            row("VAR", 0, 0.4),
            row("copy of training", 0, 0.0),
            row("white noise", 0, 0.5) | {"judge report": 0.01},
        ],
        "mixing": [
            {"real windows": 60, "synthetic for each real": share, "seed": 0, "accuracy": 0.7 + 0.1 * share}
            for share in (0, 1)
        ],
        "membership": [
            {"seed": seed, "volunteers": name, "auc": auc, "low": auc - 0.1, "high": auc + 0.1}
            for name, auc in (("train", 0.5), ("validation", 0.55))
            for seed in (0, 1)
        ],
    }
    write(folder, "08_evaluation-one", evaluation)
    return folder


def test_means_stand_with_their_interval_over_seeds(folder):
    tables = make_motion_tables(load_motion(folder))
    likelihood = tables["true_axis_likelihood"][1]
    assert likelihood.loc[0, "seeds"] == 3
    assert likelihood.loc[0, "9 of the test"] == "-4.200 (-4.697 to -3.703)"  # t(2) = 4.303, 0.2 / sqrt(3)
    assert likelihood.loc[0, "test, linear with Gaussian innovations"] == "-3.500"


def test_floor_first_and_one_seed_without_interval(folder):
    caption, judges = make_motion_tables(load_motion(folder))["judges_one"]
    assert list(judges.columns) == ["metric", "real people", "G", "VAR", "copy of training", "white noise"]
    assert judges.loc[0, "real people"] == "0.020" and judges.loc[0, "G"].startswith("0.200 (")
    assert caption.startswith("1 channel(s): 10 windows")


def test_bars_are_those_of_the_means_and_baselines_do_not_count_what_is_broken(folder):
    table = make_motion_tables(load_motion(folder))["landing"][1].set_index("what")
    strong = table.loc["score, judge cnn"]
    assert strong["found"] == "0.200; broken generators up to 0.500" and strong["met"] == "no"
    assert table.loc["score, judge report", "met"] == "blind"
    ahead = table.loc["ahead of every baseline, judge cnn"]
    assert ahead["found"] == "0.200; VAR 0.400" and ahead["met"] == "yes"
    assert table.loc["TSTR accuracy lost against real data", "found"] == "2.3%"  # 1 - 0.78 / 0.798
    assert table.loc["nearest-neighbour ratio, lower is copying", "met"] == "no"  # 0.8 below 0.98
    privacy = table.loc["membership inference, AUC"]
    assert privacy["found"].startswith("0.400 to 0.600, ") and privacy["found"].endswith(" 0.450 to 0.650")
    assert privacy["met"] == "yes"
    assert table.loc["the same, 60 real windows", ["found", "met"]].tolist() == ["least +0.100", "yes"]


def test_what_a_baseline_does_better_is_named_and_what_is_broken_is_none():
    rows = [row("real people", 0, 0.02), row("G", 0, 0.2), row("VAR", 0, 0.4) | {"judge report": 0.1},
            row("block bootstrap", 0, 0.1), row("tsgm vae", 0, 0.2), row("white noise", 0, 0.0)]  # fmt: skip
    table = baselines_ahead(rows)
    assert table[["metric", "baseline"]].to_numpy().tolist() == [
        ["judge cnn", "block bootstrap"], ["judge report", "VAR"], ["judge report", "block bootstrap"],
        ["judge features", "block bootstrap"], ["TSTR accuracy", "block bootstrap"],
    ]  # fmt: skip
    assert table.loc[1, ["G", "its value", "its score, judge cnn"]].tolist() == ["0.200", "0.100", "0.400"]
    assert baselines_ahead(rows[:2]).empty


def test_budgets_of_packages_are_told(folder):
    path = folder / "records" / "08_evaluation-one.json"
    record = json.loads(path.read_text())
    parts = {"1": {"counts": {"autoencoder": 7, "joint": 2}}, "2": {"counts": {"autoencoder": 5, "joint": 4}}}
    record["provenance_of_packages"]["08_tsgm-timegan-one-seed0"] = {
        "settings": {"model": "timegan", "minutes": 20.0, "tsgm": "0.1.0"},
        "sampling_seconds": 90.0, "parts": parts,
    }  # fmt: skip
    write(folder, "08_evaluation-one", record)
    told = make_motion_tables(load_motion(folder))["packages_one"][1]
    assert told.to_numpy().tolist() == [
        ["tsgm timegan", "0.1.0", "20", 2, "12 (autoencoder), 6 (joint)", "1.5"]
    ]


def test_activities_have_names(folder):
    table = make_motion_tables(load_motion(folder))["tstr_by_activity_one"][1]
    assert table["activity"].tolist() == ["walking", "sitting"]
    assert table["real people"].tolist() == ["0.500", "0.020"]


def test_a_profile_without_the_notebooks_has_no_tables(tmp_path):
    assert make_motion_tables(load_motion(tmp_path)) == {}
