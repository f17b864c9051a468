"""Notebook 9 from files that are not its own: what a user gives is trained on, judged, drawn, recorded."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from own_sensor import read_sensor
from sensegen_utils.model.generator import load_generator

STEPS = 32


@pytest.fixture
def results_of(run_here, tmp_path, capsys):
    def run(**sensor):
        run_here("09", SENSOR=sensor, STEPS=STEPS)
        assert str(tmp_path) not in capsys.readouterr().out
        return tmp_path / "results" / "smoke"

    return run


def check(folder, run, labels, channels, label="label"):
    """Whether all that the notebook promises is there; returns its record."""
    record = json.loads((folder / "records" / f"09_your_own_sensor-{run}.json").read_text())
    assert record["provenance"]["data"]["kind"] == "own"
    assert record["labels"] == labels and record["channels"] == channels
    assert np.isfinite([*record["nll"].values(), *record["linear_nll"].values()]).all()
    for judge in ("features", "cnn"):
        verdicts = record["judges"][judge]
        assert list(verdicts) == ["floor", "generated", "white noise", "shuffled time"]
    assert record["judges"]["features"]["white noise"]["accuracy"] > 0.9
    assert set(record["fidelity"]) == set(verdicts)
    assert record["privacy"]["nearest neighbour"]["copy of training"] < 1e-3
    assert 0 < record["membership"]["generated"]["auc"] < 1
    assert (folder / "checkpoints" / f"09_{run}-best.keras").exists()
    generator, whitening = load_generator(folder / "models" / f"09_{run}.keras")
    assert generator.count_params() == record["parameters"] and whitening["labels"] == [*range(len(labels))]
    with np.load(folder / "samples" / f"09_{run}-generated.npz") as saved:
        assert saved["windows"].shape[1:] == (STEPS, len(channels))
        assert set(saved["label"]) == set(labels)
    table = folder / "samples" / f"09_{run}-generated.csv"
    again = read_sensor(table, time="time", channels=channels, label=label, group="window")
    assert set(again["label"]) == set(labels) and again["rate"] == pytest.approx(record["rate"])
    return record


def test_one_channel_that_has_a_level_and_the_name_of_a_column(results_of, tmp_path):
    noise = np.random.default_rng(0).standard_normal(2500)
    level = (101_325 + 0.01 * lfilter([1], [1, -1.6, 0.9], noise)).round(4)
    pd.DataFrame({"seconds": np.arange(2500) / 8, "label": level}).to_csv(tmp_path / "air.csv", index=False)
    folder = results_of(source=str(tmp_path / "air.csv"), time="seconds", channels=["label"])
    record = check(folder, "own-air-seed0", ["all"], ["label"], label="label_")
    assert record["divided_by"] == "time" and record["rate"] == 8
    assert "labels" not in record["fidelity"]["generated"]
    drawn = pd.read_csv(folder / "samples" / "09_own-air-seed0-generated.csv")
    assert list(drawn) == ["window", "label_", "time", "label"]
    assert drawn["label"].mean() == pytest.approx(101_325, abs=0.1) and drawn["label"].std() < 1


def test_an_npz_with_labels_and_groups_is_divided_by_group(run_here, tmp_path):
    rng, samples = np.random.default_rng(0), 240
    drives, states, drivers = [], [], []
    for driver in range(5):
        for state, pole in (("city", 0.95), ("road", -0.5)):
            drives.append(lfilter([1], [1, -pole], rng.standard_normal((samples, 3)), axis=0))
            states += [state] * samples
            drivers += [f"driver {driver}"] * samples
    np.savez(tmp_path / "drive.npz", acc=np.concatenate(drives), state=states, who=drivers)
    named = {"rate": 50, "label": "state", "group": "who", "channels": ["x", "y", "z"]}
    sensor = {"source": str(tmp_path / "drive.npz")} | named
    found = run_here("09", before="import build_generator", SENSOR=sensor, STEPS=STEPS)
    assert found["names"] == ["city", "road"] and found["parts"]["by"] == "group"
    assert {part: windows.shape[1:] for part, windows in found["real"].items()} == dict.fromkeys(
        found["PARTS"], (STEPS, 3)
    )
    # Five stretches stand for the one driver of the validation part, and for that of the test.
    groups = {part: len(np.unique(each)) for part, each in found["groups"].items()}
    assert groups == {"train": 3, "validation": 5, "test": 5}


def test_an_unknown_example_is_refused(run_here):
    with pytest.raises(ValueError, match="name one of basic_motions, vibration, or give"):
        run_here("09", SENSOR="phone")
