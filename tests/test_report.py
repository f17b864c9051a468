import copy
import json
import re
import subprocess
from pathlib import Path

import pytest

from sensegen_utils import published
from sensegen_utils.paths import ROOT
from sensegen_utils.report import FIGURES, load_results, make_tables, render_report, write_report

COMMITTED = ROOT / "results" / "quick"


@pytest.fixture(scope="module")
def results():
    return load_results(COMMITTED)


def table(results, name):
    return make_tables(results)[name][1]


def test_report_and_results_agree():
    text = (ROOT / "REPORT.md").read_text()
    profile = re.search(r"Profile \*\*(\w+)\*\*", text).group(1)
    assert text == render_report(ROOT / "results" / profile, link_prefix=f"results/{profile}")


def test_every_figure_of_the_report_exists():
    for name, _, _ in FIGURES:
        assert (COMMITTED / "figures" / f"{name}.png").stat().st_size > 5000, name


def test_committed_tables_are_those_of_the_records(results):
    for name, (_, expected) in make_tables(results).items():
        assert (COMMITTED / "tables" / f"{name}.csv").read_text() == expected.to_csv(index=False), name


def test_committed_results_are_of_official_data_and_of_commits(results):
    records = [results["data"], *results["curves"], results["judge"], *results["experiments"]]
    assert {record["provenance"]["data"]["kind"] for record in records} == {"official"}
    assert len({record["provenance"]["data"]["sha256"] for record in records}) == 1
    assert {record["provenance"]["profile"] for record in records} == {"quick"}
    commits = {record["provenance"]["git_commit"] for record in records}
    assert {len(commit) for commit in commits} == {12}  # neither "unknown" nor marked as changed


def test_layer_tables_are_the_reports_to_the_digit(results):
    for name in ("generator_layers", "discriminator_layers", "data_shapes"):
        assert (table(results, name)["verdict"] == "reproduced").all(), name


def test_the_committed_discriminator_passes_its_controls(results):
    accuracy = {
        row["opponent"]: [v["accuracy"] for v in row["verdicts"]] for row in results["judge"]["results"]
    }
    assert min(accuracy["white noise"]) > 0.95
    assert min(accuracy["shuffled in time"]) > 0.95
    for verdict in results["judge"]["results"][-1]["verdicts"]:
        assert verdict["interval"][0] <= 0.5 <= verdict["interval"][1]


def test_no_difference_is_taken_between_different_epochs(results):
    losses = table(results, "generative_losses")
    for _, row in losses.iterrows():
        reached = int(row["our last epoch"].split("epoch ")[1])
        if reached < row["epoch"]:
            assert (row["reproduced"], row["difference"]) == ("–", "–")
            assert row["verdict"] == f"not reproducible (this profile stops at epoch {reached})"


def test_verdicts_follow_the_numbers(results):
    changed = copy.deepcopy(results)
    row = published.LOSS_TABLE[0]
    run = next(r for r in changed["experiments"] if (r["signal"], r["lstm_units"]) == ("total_acc_x", 256))
    run["training_nll"] = [0.0] * (row["epoch"] - 1) + [row["generative"] + 0.05]
    same = table(changed, "generative_losses").iloc[0]
    assert (same["verdict"], same["difference"]) == ("reproduced", "0.050")
    run["training_nll"][-1] = row["generative"] + 0.5
    assert (
        table(changed, "generative_losses")
        .iloc[0]["verdict"]
        .startswith("deviates (reported value: epoch 500")
    )
    changed["data"]["shapes"]["total_acc_x"][0] = [7351, 128]
    assert table(changed, "data_shapes").iloc[0]["verdict"].startswith("deviates")
    changed["curves"][0]["training_nll"][0] = published.CURVE[0]
    assert table(changed, "published_curve").iloc[0]["verdict"] == "reproduced"


def test_simulated_data_are_marked_everywhere_and_keep_out_of_the_repositorys_report(tmp_path):
    folder = tmp_path / "results" / "simulated-quick"
    (folder / "records").mkdir(parents=True)
    for path in (COMMITTED / "records").glob("*.json"):
        record = json.loads(path.read_text())
        record["provenance"]["data"]["kind"] = "simulated"
        (folder / "records" / path.name).write_text(json.dumps(record))
    written = write_report(folder, tmp_path)
    assert written == [folder / "REPORT.md"] and not (tmp_path / "REPORT.md").exists()
    text = (folder / "REPORT.md").read_text()
    assert "> **SIMULATED DATA.**" in text
    captions = re.findall(r"^(?:\*\*.*·.*\*\*|\*[^*]+·.*)$", text, re.M)
    assert len(captions) == len(make_tables(load_results(folder))) + len(FIGURES)
    assert all("data: SIMULATED" in caption for caption in captions)
    assert "official" not in text


def test_no_number_of_the_published_curve_is_compared_on_simulated_data(results):
    changed = copy.deepcopy(results)
    changed["curves"][0]["provenance"]["data"]["kind"] = "simulated"
    assert table(changed, "published_curve").empty


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
