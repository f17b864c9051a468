"""Expected beside obtained: counts are equal, other numbers lie where a new seed's would."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import yaml
from scipy.stats import norm

from sensegen_utils.files import ROOT
from sensegen_utils.judge.checks import prediction_interval
from sensegen_utils.profiles import CONFIG
from sensegen_utils.report import expected
from sensegen_utils.report.records import load_record
from tests.write_expected import write_expected

FULL = ROOT / "results" / "full"
NUMBERS = yaml.safe_load((CONFIG / "expected.yaml").read_text("utf-8"))
NLL = "one layer, gyroscope: NLL at the end"
RECORD = "02_mdn_generator-body_gyro_x-1x256-seed0.json"


@pytest.fixture
def own(tmp_path):
    """A reader's own run of the full profile: the committed records, to be changed."""
    return shutil.copytree(FULL / "records", tmp_path / "full" / "records").parent


def change(folder, name, edit):
    path = folder / "records" / name
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))


def test_some_forty_numbers_of_every_notebook_that_computes():
    assert 40 <= len(NUMBERS) <= 60
    notebooks = {re.match(r"\d+b?", record)[0] for _, record, _ in NUMBERS}
    assert notebooks == {"01", "02", "02b", "03", "03b", "04", "07", "07b", "08", "08b"}
    assert len({name for name, _, _ in NUMBERS}) == len(NUMBERS)


def test_an_interval_holds_a_new_value_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(2000):
        *known, new = norm.rvs(3, 2, 6, random_state=rng)
        low, high = prediction_interval(known)
        inside.append(low <= new <= high)
    assert 0.93 < np.mean(inside) < 0.97
    assert prediction_interval([1.0]) == (None, None)


@pytest.mark.parametrize("path", sorted(expected.EXPECTED.glob("*.json")), ids=lambda path: path.stem)
def test_what_is_committed_is_what_the_records_give(path, tmp_path, monkeypatch):
    monkeypatch.setattr(expected, "EXPECTED", tmp_path)
    content = json.loads(path.read_text())
    if path.stem == "full":
        assert json.loads(write_expected("full", [FULL]).read_text()) == content
    for each in content["numbers"]:
        assert len(each["values"]) >= 1 and (each["low"] is None) == (
            len(each["values"]) == 1 and not counts(each)
        )


def counts(number):
    return all(isinstance(value, int) for value in number["values"])


def test_the_committed_run_agrees_with_itself():
    compared = expected.compare(FULL)
    assert len(compared) == len(NUMBERS) and not compared["obtained"].isna().any()
    assert not compared["agrees"].eq(False).any() and compared["agrees"].eq(True).sum() >= 30
    assert expected.in_words(compared).startswith(f"{compared['agrees'].eq(True).sum()} of ")


def test_a_number_outside_is_named(own):
    change(own, RECORD, lambda record: record["training_nll"].__setitem__(-1, 5.0))
    told = expected.in_words(expected.compare(own))
    assert re.match(r"(\d+) of (\d+) numbers agree", told) and f"; outside: {NLL}" in told


def test_a_count_must_be_equal(own):
    def lose_one(record):
        record["checked"]["train"]["windows"] -= 1

    change(own, "01_data_preparation.json", lose_one)
    assert "; outside: windows for training" in expected.in_words(expected.compare(own))


def test_a_missing_record_is_not_taken_for_agreement(own):
    before = expected.compare(own)["agrees"].eq(True).sum()
    for path in (own / "records").glob("02_mdn_generator-body_gyro_x-1x256-seed?.json"):
        path.unlink()
    compared = expected.compare(own)
    assert compared["agrees"].eq(True).sum() == before - 7
    assert f"; not there: {', '.join(name for name, record, _ in NUMBERS if '02_m' in record)}" in (
        expected.in_words(compared)
    )


def test_rounding_is_no_deviation(own):
    def nudge(record):
        record["linear_nll"]["test"] += 5e-4

    change(own, "07_true_time_axis-six-seed0.json", nudge)
    assert "outside" not in expected.in_words(expected.compare(own))
    change(own, "07_true_time_axis-six-seed0.json", lambda record: [nudge(record) for _ in range(9)])
    assert "outside: 50 Hz, six channels: test NLL of the VAR" in expected.in_words(expected.compare(own))


def test_counts_that_differ_between_seeds_do_not_become_an_interval(own, tmp_path, monkeypatch):
    monkeypatch.setattr(expected, "EXPECTED", tmp_path / "expected")
    change(own, "01_data_preparation.json", lambda record: record["recordings"].update(train=601))
    with pytest.raises(ValueError, match=r"unbroken recordings for training.*600.*601"):
        write_expected("full", [FULL, own])


def test_ways_lead_to_one_number_or_to_a_row_of_each_seed():
    record = load_record(FULL / "records" / "08_fidelity-six.json")
    assert len(expected.values_at(record, "rows/contender=G/judge cnn")) == 3
    assert expected.values_at(record, "rows/0/seed") == [0]
    assert expected.values_at(record, "rows/contender=G/seed=1/seed") == [1]


def test_what_a_profile_leaves_out_is_not_expected_of_it(own, tmp_path, monkeypatch):
    monkeypatch.setattr(expected, "EXPECTED", tmp_path / "expected")
    for path in (own / "records").glob("07b_*.json"):
        path.unlink()
    change(own, "03_discriminator-body_gyro_x-1x256-seed0.json", lambda record: record["results"].pop(0))
    written = json.loads(write_expected("full", [own]).read_text())["numbers"]
    left_out = {name for name, _, _ in NUMBERS} - {each["number"] for each in written}
    assert left_out == {
        name for name, record, way in NUMBERS if record.startswith("07b") or "loss=mse" in way
    }


def test_the_command_tells_all_numbers_and_one_sentence():
    told = subprocess.run(
        ["bash", ROOT / "run_all.sh", "check", "full"], capture_output=True, text=True, check=True
    ).stdout
    assert all(name in told for name, _, _ in NUMBERS)
    assert re.search(r"^== \d+ of \d+ numbers agree with those of this repository", told, re.M)
