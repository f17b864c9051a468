import copy
import json

import pytest

from sensegen_utils.files import ROOT
from sensegen_utils.profiles import WINDOW_MODELS
from sensegen_utils.report.audit import claims
from sensegen_utils.report.records import load_record, load_results
from sensegen_utils.report.tables import by_contender, closest, make_tables, means, mixing_gains
from sensegen_utils.report.words import duration, number, percent, read_tables, span, spread, to_markdown

FULL = ROOT / "results" / "full"
SIX = (
    "judge report", "judge cnn", "judge features", "TimeGAN discriminative", "TimeGAN predictive",
    "MMD windows", "MMD features", "marginal", "tails", "gravity (g)", "norm (g)", "autocorrelation",
    "spectrum (dB)", "jerk", "gait frequency (Hz)", "gait harmonics", "cross-correlation", "coverage",
    "density",
)  # fmt: skip


def fidelity_row(contender, seed, score):
    return {"contender": contender, "seed": seed} | dict.fromkeys(SIX, score)


def use_row(contender, seed, score):
    return {
        "contender": contender, "seed": seed, "TSTR accuracy": 0.8 - score / 10, "TRTS accuracy": 0.7,
        "TSTR F1": {"1": 0.5, "4": score}, "TSTR macro-F1": 0.6, "nearest-neighbour ratio": 1 - score,
        "the same, DTW": 1 - score,
    }  # fmt: skip


SCORES = [
    ("real people", 0, 0.02), ("G", 0, 0.1), ("G", 1, 0.2), ("G", 2, 0.3), ("VAR", 0, 0.4),
    ("block bootstrap", 0, 0.45), ("copy of training", 0, 0.0), ("white noise", 0, 0.5),
]  # fmt: skip


def panel_record(scores):
    """A record of notebook 8c: boosted trees give the generator these scores, and 0.2 more with seed 1."""
    table = [(who, 0, score) for who, score in scores.items()] + [("G", 1, scores["G"] + 0.2)]
    table = [(who, seed, score - 0.1 * (who == "G")) for who, seed, score in table]
    judged = [
        {"contender": who, "seed": seed, "judge trees": score, "across trees": score - 0.1 * (who == "G")}
        for who, seed, score in table
    ]
    within = [
        {"contender": "G", "activity": 6, "score": 0.4},
        {"contender": "real people", "activity": 6, "score": 0.1},
    ]
    return {"rows": judged, "p": {"judge trees": 1 / 512, "across trees": 0.5}, "within": within}


@pytest.fixture(scope="module")
def committed():
    return load_results(FULL)


@pytest.fixture
def results(committed):
    """The committed results of notebooks 1 to 4, and a small set of judged contenders of ours."""
    head = {"signals": ["total_acc_x"], "windows": {"train": 10, "test": 5}, "provenance": {}}
    likelihood = {
        "nll": {"train": -5.0, "validation": -4.0},
        "bits_per_sample": {"train": 3.0, "validation": 4.0},
    }
    models = [
        copy.deepcopy(committed["models"]["one"][0]) | {"nll": likelihood["nll"] | {"test": nll}}
        for nll in (-4.0, -4.2, -4.4)
    ]
    fidelity = head | {"rows": [fidelity_row(*each) for each in SCORES], "provenance_of_packages": {}}
    mixing = [
        {"real windows": 60, "synthetic for each real": share, "seed": 0, "accuracy": 0.7 + 0.1 * share}
        for share in (0, 1)
    ]
    membership = [
        {"activity": "all", "seed": seed, "volunteers": name, "auc": auc, "low": auc - 0.1, "high": auc + 0.1}
        for name, auc in (("train", 0.5), ("validation", 0.55))
        for seed in (0, 1)
    ]
    use = head | {"rows": [use_row(*each) for each in SCORES], "mixing": mixing, "membership": membership}
    changed = {"models": {"one": models, "six": []}, "fidelity": {"one": fidelity}, "use": {"one": use}}
    changed |= {"stronger": {}, "common": {}}
    return copy.deepcopy(committed | changed)


def rows(results, name):
    return make_tables(results)[name].to_numpy().tolist()


class TestCommitted:
    def test_no_table_is_wider_than_seven_columns_or_has_cells_that_do_not_break(self, committed):
        for name, table in make_tables(committed).items():
            assert len(table.columns) <= 7, name
            words = [max(len(word) for cell in [column, *table[column]] for word in cell.split() or [""])
                     for column in table.columns]  # fmt: skip
            assert sum(words) <= 95, (name, words)  # of some 110 that GitHub shows without scrolling

    def test_contenders_are_rows_and_no_row_repeats_another_ones_number(self, committed):
        tables = make_tables(committed)
        for model in WINDOW_MODELS:
            for what in ("judges", "values", "motion", "use", "tstr_by_activity", "nearness"):
                table = tables[f"{what}_{model}"]
                assert table["contender"].iloc[:2].tolist() == ["reference: real people", "generator"]
                assert not any("accuracy" in column for column in table) or what == "use"
            assert len(tables[f"summary_{model}"]) <= 8
        assert len(tables["judge"]) == 5  # one row an opponent and loss

    def test_layers_are_the_reports_to_the_digit(self, committed):
        tables = make_tables(committed)
        for name in ("generator_layers", "discriminator_layers"):
            assert set(tables[name]["difference"]) == {"0"}
        assert tables["generator_layers"]["ours"].iloc[-1] == "1,358,752"

    def test_every_record_stands_in_the_provenance(self, committed):
        names = [path.stem for path in (FULL / "records").glob("*.json") if path.stem != "06_audit"]
        assert len(make_tables(committed)["provenance"]) == len(names) == len(committed["all"])

    @pytest.mark.parametrize("model", WINDOW_MODELS)
    def test_trts_of_real_people_is_that_of_people_nobody_has_learned_from(self, model):
        """Fault 3: it was 1.000, on the windows that the forest had learned."""
        record = load_record(FULL / "records" / f"08b_use_and_privacy-{model}.json")
        people = [row for row in record["rows"] if row["contender"] == "real people"]
        assert len(people) == 3
        for row in people:
            assert row["TRTS accuracy"] == row["TSTR accuracy"] < 1


def test_means_stand_with_half_of_their_interval_over_seeds(results):
    likelihood = rows(results, "likelihood_one")
    assert likelihood[2][:2] == ["9 of the test", "-4.200 ± 0.497"]  # t(2) = 4.303, 0.2 / sqrt(3)
    judges = {row[0]: row[2] for row in rows(results, "judges_one")}
    assert judges["generator"] == "0.200 ± 0.248" and judges["reference: real people"] == "0.020"


def test_contenders_stand_in_the_order_of_their_roles(results):
    results["fidelity"]["one"]["rows"].append(fidelity_row("tsgm vae", 0, 0.5))
    assert list(by_contender(results["fidelity"]["one"])) == [
        "reference: real people", "generator", "baseline: VAR", "baseline: block bootstrap",
        "package: tsgm vae", "control: copy of training", "control: white noise",
    ]  # fmt: skip


def test_the_summary_names_the_closest_baseline_and_the_farthest_control(results):
    found = means(results, "one")
    assert found.loc["G", "judge cnn"] == pytest.approx(0.2) and found.loc["VAR", "role"] == "baseline"
    assert closest(found, "judge cnn", "baseline") == "VAR"
    assert closest(found, "judge cnn", "control", farthest=True) == "white noise"
    assert closest(found[found.role != "baseline"], "judge cnn", "baseline") is None
    results["fidelity"]["one"]["rows"].append(fidelity_row("tsgm vae", 0, 0.021))
    assert closest(means(results, "one"), "judge cnn", "baseline") == "VAR", (
        "a package had too small a budget"
    )
    strong = {"real people": 0.05, "G": 0.3, "VAR": 0.45, "white noise": 0.5, "copy of training": 0.0}
    results["stronger"] = {"one": panel_record(strong | {"G": 0.3})}
    summary = {row[0]: row[1:] for row in rows(results, "summary_one")}
    assert summary["C2ST, boosted trees, one training"] == [
        "0.050",
        "0.300 ± 1.271",
        "0.450 (VAR)",
        "0.500 (white noise)",
    ]
    assert "C2ST, residual network" not in summary, "weaker judges make room"
    results["stronger"] = {}
    summary = {row[0]: row[1:] for row in rows(results, "summary_one")}
    assert summary["NLL, nats per step"][:2] == ["–", "-4.20 ± 0.50"]
    assert summary["C2ST, residual network"] == [
        "0.020",
        "0.200 ± 0.248",
        "0.400 (VAR)",
        "0.500 (white noise)",
    ]
    nearest = ["0.980", "0.800 ± 0.248", "0.600 (VAR)", "0.500 (white noise)"]
    assert summary["nearest-neighbour ratio"] == nearest


def test_only_a_panels_scores_have_a_sign(committed):
    for model in WINDOW_MODELS:
        judged = means(committed, model)
        people = committed["stronger"][model]["rows"][0]
        assert people["contender"] == "real people" and {"cnn", "features"}.isdisjoint(judged)
        signed = by_contender(committed["stronger"][model])["reference: real people"]
        assert signed["across trees"][0] == people["accuracy across trees"] - 0.5 < 0


def test_the_highest_judge_counts_and_both_ways_of_asking_stand_beside_each_other(results):
    results["stronger"] = {"one": panel_record({"real people": 0.05, "G": 0.3, "VAR": 0.45})}
    met = {row[0]: row[1:] for row in rows(results, "bars_one")}
    assert met["highest C2ST of the panel, boosted trees"] == ["at most 0.08", "0.300", "no"]
    trees = ["boosted trees", "0.300 ± 1.271", "0.050", "0.002", "0.200 ± 1.271", "0.050", "0.500"]
    assert rows(results, "panel_one") == [trees]
    assert rows(results, "within_one") == [["laying", "0.400", "0.100"]]
    for row in results["stronger"]["one"]["rows"]:
        row |= {"judge rocket": 0.9, "across rocket": 0.9}
    results["stronger"]["one"]["p"] |= {"judge rocket": 0.1, "across rocket": 0.1}
    met = {row[0]: row[1:] for row in rows(results, "bars_one")}
    assert met["highest C2ST of the panel, random convolutions"] == ["at most 0.08", "0.900", "no"]


def test_measures_that_others_report_stand_beside_their_reference_and_have_bars(results):
    measures = (
        "C-FID rocket",
        "C-FID network",
        "MDD",
        "ACD",
        "SD",
        "KD",
        "precision",
        "recall",
        "TSTR",
        "adherence",
    )
    measured = [{"contender": who, "seed": 0} | dict.fromkeys(measures, value)
                for who, value in (("real people", 0.9), ("G", 0.86), ("VAR", 0.5))]  # fmt: skip
    mixing = results["use"]["one"]["mixing"]
    results["common"] = {"one": {"rows": measured, "mixing": [row | {"accuracy": 0.5} for row in mixing]}}
    assert rows(results, "common_one")[1] == ["generator", *["0.860"] * 6]
    assert rows(results, "seen_one")[2] == ["baseline: VAR", *["0.500"] * 4]
    assert rows(results, "mixing_in_time_one") == [["60", "0.500", "0.500"]]
    met = {row[0]: row[2:] for row in rows(results, "bars_one")}
    assert met["TSTR accuracy lost against real data, random convolutions"] == ["+0.040", "no"]
    assert met["accuracy gained by synthetic beside real data, random convolutions"] == [
        "least +0.000",
        "yes",
    ]


def test_bars_are_those_of_the_means_and_know_when_a_judge_is_blind(results):
    met = {row[0]: row[2:] for row in rows(results, "bars_one")}
    assert met["C2ST, residual network"] == ["0.200", "no"]
    assert met["C2ST, residual network: ahead of every baseline"] == ["0.200", "yes"]
    assert met["TSTR accuracy lost against real data"] == [
        "2.3 %",
        "blind",
    ]  # 1 - 0.78 / 0.798; noise has it, too
    assert met["nearest-neighbour ratio, lower is copying"] == ["0.800", "no"]  # below 0.98
    assert met["membership inference, all pairs, worst of 2: AUC"] == [
        "0.500 (0.400 to 0.600)",
        "yes",
    ]
    assert met["the same, 60 real windows"] == ["least +0.100", "yes"]
    results["fidelity"]["one"]["rows"][-1]["judge report"] = 0.01  # all broken generators pass
    results["use"]["one"]["membership"][1] |= {"low": 0.51}
    for row in results["use"]["one"]["rows"]:
        row["TSTR accuracy"] = 0.2 if row["contender"] == "white noise" else row["TSTR accuracy"]
    met = {row[0]: row[2:] for row in rows(results, "bars_one")}
    assert met["C2ST, the report's D"] == ["0.200", "blind"]
    assert met["TSTR accuracy lost against real data"] == ["2.3 %", "yes"]
    assert met["membership inference, all pairs, worst of 2: AUC"][1] == "no"


def test_what_a_baseline_does_better_is_named_without_a_typed_reason_and_what_is_broken_is_none(results):
    assert "ahead_one" not in make_tables(results)
    for row in results["fidelity"]["one"]["rows"]:
        if row["contender"] == "VAR":
            row |= {"jerk": 0.1, "marginal": 0.19}
    assert rows(results, "ahead_one") == [
        ["values", "0.0200", "0.2000", "VAR", "0.1900", "0.400"],
        ["jerk", "0.0200", "0.2000", "VAR", "0.1000", "0.400"],
    ]
    for row in results["use"]["one"]["rows"]:
        row["TSTR accuracy"] = 0.9 if row["contender"] == "block bootstrap" else row["TSTR accuracy"]
    assert ["TSTR accuracy", "0.7980", "0.7800", "block bootstrap", "0.9000", "0.450"] in rows(
        results, "ahead_one"
    )


def test_activities_have_names_and_mixing_has_shares(results):
    table = make_tables(results)["tstr_by_activity_one"]
    assert list(table.columns) == ["contender", "walking", "sitting"]
    assert table.iloc[1].tolist() == ["generator", "0.500", "0.200"]
    assert list(make_tables(results)["mixing_one"].columns) == [
        "real windows",
        "real alone",
        "1 synthetic for each",
    ]
    assert mixing_gains(results["use"]["one"]["mixing"]).to_numpy().tolist() == [[pytest.approx(0.1)]]


def test_budgets_of_packages_are_told(results):
    parts = {"1": {"counts": {"autoencoder": 7, "joint": 2}}, "2": {"counts": {"autoencoder": 5, "joint": 4}}}
    results["fidelity"]["one"]["provenance_of_packages"]["08_tsgm-timegan-one-seed0"] = {
        "settings": {"model": "timegan", "minutes": 20.0, "tsgm": "0.1.0"}, "sampling_seconds": 90.0,
        "parts": parts, "machine": {"machine": {"processor": "EPYC"}},
    }  # fmt: skip
    results["fidelity"]["one"]["provenance_of_packages"]["08_flow-matching-one-seed0"] = {
        "settings": {"model": "flow matching", "minutes": 4}, "versions": {"torch": "2.11.0"},
        "parts": {"all": {"counts": {"update": 9}}}, "machine": {"machine": {"processor": "H200"}},
        "sampling_seconds": 6,
    }  # fmt: skip
    assert rows(results, "packages_one") == [
        ["tsgm timegan", "0.1.0", "EPYC", "20", "2", "12 (autoencoder), 6 (joint)", "1.5"],
        ["flow matching", "PyTorch 2.11.0", "H200", "4", "1", "9 (update)", "0.1"],
    ]


def test_the_update_and_the_place_of_a_failure_are_told(results):
    results["failure"]["rows"] = [
        {"seed": 0, "training_nll": [0.5, -1.25], "failure": None},
        {"seed": 1, "training_nll": [0.5], "failure": {"epoch": 1}},  # a replay that did not break
        {"seed": 2, "training_nll": [0.5], "failure": {
            "epoch": 1, "loss_is_finite": False, "window": 7, "volunteer": 3, "activity": "walking_upstairs",
            "nearest_sigmas": 13.44, "smallest_sigma": 2.5e-9}},
    ]  # fmt: skip
    assert rows(results, "failures") == [
        ["0", "2", "-1.250", "–", "–", "–", "–"],
        ["1", "1", "0.500", "1", "–", "–", "–"],
        ["2", "1", "0.500", "1", "the loss, smallest sigma 2.5e-09 rad/s", "13.4",
         "volunteer 3, walking upstairs, window 7"],
    ]  # fmt: skip


def test_published_weights_stand_beside_the_log_of_their_run(results):
    nll = {"training": {"log space": -2.5}, "held out": {"log space": 9.0, "infinite steps": 3}}
    results["published_weights"] = {"rows": [
        {"checkpoint": "mdngyromodel.ckpt-1499", "run": "mdngyromodel", "epoch": 1499,
         "signal": "body_gyro_x", "nll": nll, "more_epochs_nll": [None]},
        {"checkpoint": "mdnmodel.ckpt-1099", "run": "mdnmodel", "epoch": 1099, "signal": None, "nll": None},
    ]}  # fmt: skip
    assert rows(results, "published_weights") == [
        ["mdngyromodel.ckpt-1499", "body_gyro_x", "-3.238609", "-2.500", "9.000 (3 infinite)", "–", "–"],
        ["mdnmodel.ckpt-1099", "not finite", "-2.387376", "–", "–", "-2.312240", "–"],
    ]


def test_others_scores_stand_beside_ours_by_a_weak_and_a_strong_classifier(committed):
    found = rows(committed, "others_six")
    assert [row[0] for row in found[:8:2]] == ["ours", "flow matching", "VAR", "real people"]
    scores = [row["judge trees"] for row in committed["stronger"]["six"]["rows"] if row["contender"] == "G"]
    assert found[1][-1] == f"{sum(scores) / 3:.3f}" != found[0][-1]
    assert [
        "DiffWave (diffusion)",
        "DAGHAR, scaled by activity",
        "a perceptron of 2 layers",
        "0.126",
    ] in found


def test_others_scores_need_no_baseline(committed):
    """As in smoke, which judges none."""
    parts = {part: {"six": dict(committed[part]["six"])} for part in ("fidelity", "use")}
    for part in parts.values():
        part["six"]["rows"] = [row for row in part["six"]["rows"] if row["contender"] in ("real people", "G")]
    found = rows(committed | parts, "others_six")
    assert [row[0] for row in found[:4:2]] == ["ours", "real people"]


def test_a_seed_whose_units_were_not_counted_has_dashes(committed):
    known, unknown = committed["seeds"][0], committed["seeds"][1] | {"on": None, "always on": None}
    found = rows(committed | {"seeds": [known, unknown]}, "seeds")
    assert found[0][-2:] == [f"{known['on']:.1f}", str(known["always on"])]
    assert found[1] == [unknown["run"], f"{unknown['nll']:.3f}", str(unknown["rises"]), "–", "–"]


def test_the_published_sigma_has_columns_once_it_has_run(results):
    ours = make_tables(results)["published_curve"]
    assert len(ours.columns) == 4
    results["published_sigma"] = results["curves"]
    both = make_tables(results)["published_curve"]
    assert len(both.columns) == 6 and both.iloc[0, 2] == both.iloc[0, 4] == ours.iloc[0, 2]


def test_what_has_not_run_has_no_table(results):
    empty = {"models": {"one": [], "six": []}, "fidelity": {}, "use": {}, "ablation": None, "sensor": None}
    empty |= {"standardised": [], "seeds": []}
    empty |= dict.fromkeys(("published_start", "published_weights", "beyond", "vibration"))
    tables = make_tables(results | empty)
    assert set(tables) == {
        "data_shapes", "generator_layers", "discriminator_layers", "training_parameters", "deviations",
        "generative_losses", "discriminative_losses", "published_curve", "predictors_gyroscope",
        "predictors_accelerometer", "failures", "beyond", "rounds", "judge", "provenance",
    }  # fmt: skip
    assert set(tables["beyond"]["floor of sigma (rad/s)"]) == {"0.001"}
    fidelity = make_tables(results | {"use": {}})
    assert (
        "use_one" not in fidelity
        and "judges_one" in fidelity
        and "TSTR accuracy" not in fidelity["summary_one"]
    )


def test_simulated_data_and_smoke_have_nothing_beside_published_numbers(results):
    tables = make_tables(results | {"kind": "simulated"})
    assert not {"published_curve", "predictors_gyroscope", "predictors_accelerometer"} & tables.keys()
    assert set(tables["generative_losses"]["difference"]) == {"–"}


def test_forms_of_numbers():
    assert (number(None), number(1.23456), number(0.5, 1, "+")) == ("–", "1.235", "+0.5")
    assert (percent(0.886), percent(0.0008, 2), span([]), span([2, 1], 1)) == (
        "89 %",
        "0.08 %",
        "–",
        "1.0 to 2.0",
    )
    assert (spread([1.0]), spread([1.0, 1.0]), spread([1.0, 3.0], 1, half=False)) == (
        "1.000",
        "1.000 ± 0.000",
        "2.0",
    )
    assert [duration(each) for each in (None, 0, 2.4, 89, 91, 3599, 4680)] == [
        "–", "–", "2 s", "89 s", "2 min", "60 min", "1.3 h"
    ]  # fmt: skip


def test_tables_are_read_from_lines():
    tables = read_tables("\n[one]\na | b\n\n1 |\n2 | x y\n\n[empty]\na | b\n")
    assert list(tables) == ["one"] and tables["one"].to_numpy().tolist() == [["1", ""], ["2", "x y"]]
    assert to_markdown(tables["one"]) == "| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | x y |"


def test_committed_csv_files_are_the_tables_of_the_records(committed):
    tables = make_tables(committed)
    assert {path.stem for path in (FULL / "tables").glob("*.csv")} == set(tables)
    for name, table in tables.items():
        assert (FULL / "tables" / f"{name}.csv").read_text() == table.to_csv(index=False), name


def test_the_stored_audit_is_the_one_of_the_records(committed):
    assert load_record(FULL / "records" / "06_audit.json")["audit"] == json.loads(
        json.dumps(claims(committed))
    )
