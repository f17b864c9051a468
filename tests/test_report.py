import copy
import json
import re
import subprocess
from pathlib import Path

import pytest

from sensegen_utils import published
from sensegen_utils.paths import ROOT
from sensegen_utils.records import load_record
from sensegen_utils.report import FIGURES, SECTIONS, render_report, write_report
from sensegen_utils.tables import all_records, load_results, make_tables

COMMITTED = [path.parent for path in sorted((ROOT / "results").glob("*/REPORT.md"))
             if path.parent.name in ("quick", "full")]  # fmt: skip
QUICK = ROOT / "results" / "quick"
VERDICT = re.compile(r"reproduced|(reproduced under other conditions|deviates|not reproducible) \(.+\)")


@pytest.fixture(scope="module")
def results():
    return load_results(QUICK)


def table(results, name):
    return make_tables(results)[name][1]


def test_report_and_results_agree():
    for folder in COMMITTED:
        assert (folder / "REPORT.md").read_text() == render_report(folder), folder.name
    profile = "full" if ROOT / "results/full" in COMMITTED else "quick"
    expected = render_report(ROOT / "results" / profile, link_prefix=f"results/{profile}")
    assert (ROOT / "REPORT.md").read_text() == expected


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
class TestCommitted:
    def test_every_figure_of_the_report_exists(self, folder):
        for name, _, _ in FIGURES:
            assert (folder / "figures" / f"{name}.png").stat().st_size > 5000, name

    def test_tables_are_those_of_the_records(self, folder):
        for name, (_, expected) in make_tables(load_results(folder)).items():
            assert (folder / "tables" / f"{name}.csv").read_text() == expected.to_csv(index=False), name

    def test_results_are_of_official_data_and_of_commits(self, folder):
        made = [record["provenance"] for record in all_records(load_results(folder))]
        assert {each["data"]["kind"] for each in made} == {"official"}
        assert len({each["data"]["sha256"] for each in made}) == 1
        assert {each["profile"] for each in made} == {folder.name}
        assert {len(each["git_commit"]) for each in made} == {12}  # neither "unknown" nor marked as changed

    def test_tables_of_shapes_and_layers_are_the_reports_to_the_digit(self, folder):
        tables = make_tables(load_results(folder))
        for name in ("generator_layers", "discriminator_layers", "data_shapes"):
            assert (tables[name][1]["verdict"] == "reproduced").all(), name

    def test_the_discriminator_passes_its_controls(self, folder):
        rows = load_results(folder)["judge"]["results"]
        accuracy = {row["opponent"]: [v["accuracy"] for v in row["verdicts"]] for row in rows}
        assert min(accuracy["white noise"]) > 0.95
        assert min(accuracy["shuffled in time"]) > 0.95
        for verdict in rows[-1]["verdicts"]:
            assert verdict["interval"][0] <= 0.5 <= verdict["interval"][1]

    def test_no_difference_is_taken_between_different_epochs(self, folder):
        for _, row in table(load_results(folder), "generative_losses").iterrows():
            if int(row["our last epoch"].split("epoch ")[1]) < row["epoch"]:
                assert (row["reproduced"], row["difference"]) == ("–", "–")

    def test_every_claim_has_evidence_and_one_of_four_verdicts(self, folder):
        audit = load_record(folder / "records" / "06_audit.json")["audit"]
        assert len(audit) == 20
        for row in audit:
            assert VERDICT.fullmatch(row["verdict"]), row
            assert row["the report"] and row["what we found"]


def test_every_table_and_figure_stands_in_the_report_once(results):
    tables = [name for _, names, _ in SECTIONS for name in names]
    figures = [name for _, _, names in SECTIONS for name in names]
    assert sorted(tables) == sorted(make_tables(results))
    assert sorted(figures) == sorted(name for name, _, _ in FIGURES)


def test_a_loss_as_stated_is_reproduced_one_from_elsewhere_under_other_conditions(results):
    changed = copy.deepcopy(results)
    row = published.LOSS_TABLE[0]
    stated = next(r for r in changed["experiments"] if (r["signal"], r["lstm_units"]) == ("total_acc_x", 256))
    stated["training_nll"] = [0.0] * (row["epoch"] - 1) + [row["generative"] + 0.05]
    same = table(changed, "generative_losses").iloc[0]
    assert (same["verdict"], same["difference"]) == ("reproduced", "0.050")
    stated["training_nll"][-1] = row["generative"] + 0.5
    other = table(changed, "generative_losses").iloc[0]
    assert other["verdict"].startswith("deviates (reported value: epoch 500")
    elsewhere = row["generative"] - 0.02
    for curve in changed["curves"]:
        curve["training_nll"] = [elsewhere] * row["generative_epoch"] + [row["generative"] + 0.02] * 20
        curve["held_out_nll"] = [0.0] * (len(curve["training_nll"]) // curve["held_out_every"])
    under_others = table(changed, "generative_losses").iloc[0]
    assert under_others["verdict"] == f"reproduced under other conditions ({row['generative_origin']})"


def test_a_published_point_outside_the_range_of_the_seeds_deviates(results):
    changed = copy.deepcopy(results)
    for curve in changed["curves"]:
        curve["training_nll"][:11] = [published.CURVE[0] + 0.5] * 11
    outside = table(changed, "published_curve").iloc[0]
    assert outside["verdict"] == "deviates (0.500 below the range)"
    changed["curves"][0]["training_nll"][4] = published.CURVE[0] - 0.1  # a neighbouring epoch
    assert table(changed, "published_curve").iloc[0]["verdict"] == "reproduced"


def test_a_failure_makes_the_nan_of_the_table_reproduced(results):
    changed = copy.deepcopy(results)
    nan = next(n for n, row in enumerate(published.LOSS_TABLE) if row["generative"] is None)
    assert table(changed, "generative_losses").iloc[nan]["verdict"].startswith("not reproducible")
    changed["failure"]["rows"][0]["failure"] = {"epoch": 1234, "update": 5}
    broken = table(changed, "generative_losses").iloc[nan]
    assert broken["verdict"].startswith("reproduced under other conditions (NaN")
    assert "NaN in epoch 1234" in " ".join(map(str, broken))
    assert table(changed, "failures").iloc[0][["broke in epoch", "update"]].tolist() == ["1234", "5"]


def test_changed_shapes_deviate(results):
    changed = copy.deepcopy(results)
    changed["data"]["shapes"]["total_acc_x"][0] = [7351, 128]
    assert table(changed, "data_shapes").iloc[0]["verdict"].startswith("deviates")


def test_simulated_data_are_marked_everywhere_and_keep_out_of_the_repositorys_report(tmp_path):
    folder = tmp_path / "results" / "simulated-quick"
    (folder / "records").mkdir(parents=True)
    for path in (QUICK / "records").glob("*.json"):
        record = json.loads(path.read_text())
        record["provenance"]["data"]["kind"] = "simulated"
        (folder / "records" / path.name).write_text(json.dumps(record))
    written = write_report(folder, tmp_path)
    assert written == [folder / "REPORT.md"] and not (tmp_path / "REPORT.md").exists()
    text = (folder / "REPORT.md").read_text()
    assert "> **SIMULATED DATA.**" in text
    captions = re.findall(r"^(?:\*\*.*·.*\*\*|\*[^*]+·.*)$", text, re.M)
    assert len(captions) == 1 + len(make_tables(load_results(folder))) + len(FIGURES)
    assert all("data: SIMULATED" in caption for caption in captions)
    assert "official" not in text


def test_a_quick_run_does_not_replace_the_report_of_a_full_one(tmp_path):
    folder = tmp_path / "results" / "quick"
    (folder / "records").mkdir(parents=True)
    for path in (QUICK / "records").glob("*.json"):
        (folder / "records" / path.name).write_text(path.read_text())
    assert write_report(folder, tmp_path) == [folder / "REPORT.md", tmp_path / "REPORT.md"]
    full = tmp_path / "results" / "full" / "REPORT.md"
    full.parent.mkdir()
    full.write_text("")
    assert write_report(folder, tmp_path) == [folder / "REPORT.md"]


def test_nothing_is_compared_with_published_numbers_on_simulated_data(results):
    changed = copy.deepcopy(results)
    for record in all_records(changed):
        record["provenance"]["data"]["kind"] = "simulated"
    assert table(changed, "published_curve").empty and table(changed, "predictors").empty


def test_repository_names_no_absolute_path():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = [
        ROOT / name
        for name in tracked.stdout.split("\n")
        if name.endswith((".json", ".ipynb", ".md", ".csv"))
    ]
    assert len(texts) > 20
    for path in texts:
        text = path.read_text()
        assert f"{ROOT}/" not in text and f"{Path.home()}/" not in text and "/tmp/" not in text, path
