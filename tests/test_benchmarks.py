"""The benchmarks run and write well-formed records; no test here looks at a clock."""

import json

import pytest

from benchmarks import scaling, side_by_side, threads, training

TINY = {"name": "tiny", "batch": 2, "steps": 3, "units": 4, "layers": 2, "updates": 2}


def load(module, monkeypatch, tmp_path, *arguments, **settings):
    monkeypatch.setattr(module, "RECORD", tmp_path / "record.json")
    module.main(list(arguments), **settings)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["provenance"]["profile"] == "benchmark"
    assert record["provenance"]["data"] == {"kind": "none", "sha256": None}
    return record


def test_training_measures_every_contender_against_every_other(monkeypatch, tmp_path):
    record = load(training, monkeypatch, tmp_path, "--repeats", "1", configs=(TINY,))
    names = ["project", "stock", "stock_unrolled", "pytorch", "tensorflow_1", "products"]
    if training.torch_version() is None:
        names.remove("pytorch")
    assert [row["contender"] for row in record["rows"]] == names
    for row in record["rows"]:
        assert row["median_s"] > 0 and row[f"ratio_to_{row['contender']}"] == 1
        assert {f"ratio_to_{name}" for name in names} < row.keys()


def test_training_refuses_a_contender_that_trains_otherwise(monkeypatch):
    monkeypatch.setattr(training, "FastLSTM", training.keras.layers.GRU)
    with pytest.raises(AssertionError, match="stock"):
        training.contenders(TINY, ["project", "stock"])


def test_products_count_what_the_layers_multiply():
    config = {"batch": 2, "steps": 3, "units": 4, "layers": 1}
    dense = 3 * 2 * 6 * (4 * 128 + 128 * 72)
    assert training.flop_per_update(config) == 2 * 2 * 6 * 1 * 16 + 3 * 2 * 6 * 4 * 16 + dense


def test_absent_pytorch_is_said_and_left_out(monkeypatch, capsys):
    monkeypatch.setattr(training, "torch_version", lambda: None)
    assert list(training.contenders(TINY, ["project", "pytorch"])) == ["project"]
    assert "pip install -e .[bench]" in capsys.readouterr().out


def test_threads_compare_settings_across_processes(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "CONTENDERS", ("project", "stock"))
    settings = {"configs": (TINY,), "settings": ((1, 1),)}
    record = load(threads, monkeypatch, tmp_path, "--repeats", "1", **settings)
    (measured,) = record["configurations"]
    assert {"project 1x1", "stock 1x1"} <= {row["contender"] for row in measured["rows"]}
    assert measured["ratios_at_best"]["project 1x1 / stock 1x1"] > 0


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


def test_side_by_side_runs_alone_and_in_pairs(monkeypatch, tmp_path):
    monkeypatch.setattr(side_by_side, "CONFIGURATIONS", {"tiny": (4, 1)})
    monkeypatch.setattr(side_by_side, "PAIRS", (("tiny", "tiny"),))
    monkeypatch.setattr(side_by_side, "THREADS", ((1, 1),))
    record = load(side_by_side, monkeypatch, tmp_path, "--updates", "4", "--repeats", "2")
    (alone,), (together,) = record["alone"], record["together"]
    assert alone["configuration"] == "tiny" and alone["seconds"] > 0
    assert together["speed_up"] == pytest.approx(sum(alone["seconds"] / each for each in together["seconds"]))
