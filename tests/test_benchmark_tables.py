"""A bar decides a verdict, and the committed page says what the committed records say."""

import copy
import re

import pytest

from benchmarks import report, tables, training
from benchmarks.records import FOLDER, load_benchmarks

COMMITTED = load_benchmarks(FOLDER)
PROVENANCE = {
    "data": {"kind": "none", "sha256": None}, "git_commit": "0123456789ab",
    "machine": {"processor": "Some CPU", "cores": 2, "intra_op_threads": "all"},
}  # fmt: skip


def made(name, record):
    """The tables of one record, by title."""
    ((_, found),) = tables.make_sections({name: {"provenance": PROVENANCE} | record}).values()
    return {title: table for title, table, _ in found}


def committed(name):
    return copy.deepcopy(COMMITTED[name])


def test_the_parts_of_an_update_add_up_to_it():
    record = committed("training")
    own = [row for row in record["rows"] if row["configuration"] == training.REPORT["name"]]
    project, products = (
        next(row for row in own if row["contender"] == name) for name in ("project", "products")
    )
    project["median_s"], products["median_s"] = 0.010, 0.004
    for name, seconds in (("gradients", 0.0065), ("optimizer", 0.002)):
        record["rows"].append(products | {"contender": name, "median_s": seconds})
    told = made("training", record)["Where the time of this project's update goes"]
    assert told.iloc[0].tolist() == [training.REPORT["name"], "4.00", "2.50", "2.00", "1.50", "10.00"]


def test_training_is_judged_against_the_bars_on_both_sides():
    assert {training.REPORT["name"], training.WINDOWS["name"]} == tables.TRAINING_BARS.keys()
    record = committed("training")
    for row in record["rows"]:
        if row["contender"] == "project":
            report_axis = row["configuration"] == training.REPORT["name"]
            row |= {
                "ratio_to_stock": 0.40 if report_axis else 0.851,
                "ratio_to_pytorch": 0.501 if report_axis else 0.7,
                "ratio_to_products": 1.7 if report_axis else 1.201,
            }
    found = made("training", record)
    for name, stock, pytorch, products in (
        (training.REPORT["name"], "at most 0.40: met", "at most 0.50: not met", "at most 1.70: met"),
        (training.WINDOWS["name"], "at most 0.85: not met", "at most 0.70: met", "at most 1.20: not met"),
    ):
        bars = found[f"One update of the generator: {name}"].set_index("contender")["bar"]
        assert bars["Keras LSTM"] == stock and bars.filter(like="PyTorch").tolist() == [pytorch]
        assert bars["this project"] == tables.NO_VALUE and bars["bare matrix products"] == products
    record["rows"] = [row for row in record["rows"] if row["contender"] != "pytorch"]
    record["left_out"] = {"pytorch 2x2": "its process ended with signal SIGSEGV"}
    ((_, found),) = tables.make_sections({"training": record}).values()
    assert not found[0][1]["contender"].str.contains("PyTorch").any()
    assert found[1][2] == "PyTorch 2x2 is left out: its process ended with signal SIGSEGV."


def test_sampling_is_judged_against_the_bars_on_both_sides():
    record = committed("sampling")
    judged = [row for row in record["rows"] if row["contender"].startswith("sampler") and row["layers"] == 1]
    for row, times, fraction in zip(judged, (30, 29.9, 30, 30, 30), (0.599, 0.6, 0.6, 0.6, 0.6), strict=True):
        row |= {"times_keras_loop": 40, "times_tf1_loop": times, "fraction_of_products": fraction}
    table = made("sampling", record)["Values drawn per second, 1 LSTM layer(s)"]
    assert table["at least 30 times both"].tolist()[2:5] == ["met", "not met", "met"]
    assert table["at least 0.60"].tolist()[2:5] == ["not met", "met", "met"]


def test_a_first_draw_may_cost_one_compilation_and_not_one_for_each_block():
    rows = [{"what": "a", "first_s": 30.0, "again_s": 2.8}, {"what": "b", "first_s": 3.5, "again_s": 1.5}]
    record = committed("sampling") | {"first_draw": rows}
    table = made("sampling", record)["The first draw in a new process, and the same once more"]
    assert table.values.tolist() == [
        ["a", "30.0", "2.8", "27.2", "not met"],
        ["b", "3.5", "1.5", "2.0", "met"],
    ]


def test_side_by_side_is_judged_and_says_what_limits_it():
    record = {
        "alone": [
            {"configuration": "1x256", "threads": [1, 1], "seconds": 0.010},
            {"configuration": "1x256", "threads": [1, 2], "seconds": 0.008},
        ],
        "together": [
            {"pair": ["1x256", "1x256"], "seconds": [0.011, 0.011], "speed_up": speed_up}
            for speed_up in (1.3, 1.299)
        ],
        "full_profile_hours": {"one by one": 13.0, "two at a time": 10.0},
    }

    def told(record):
        ((_, found),) = tables.make_sections({"side_by_side": {"provenance": PROVENANCE} | record}).values()
        return [table for _, table, _ in found], found[1][2]

    (alone, together, hours), note = told(record)
    assert alone.values.tolist() == [["1x256", "10.00", "8.00 (1x2)", "1.25"]]
    assert together["at least 1.3"].tolist() == ["met", "not met"]
    assert hours.values.tolist() == [["13.0", "10.0", "1.30", "met"]]
    assert "the former limits more" in note
    record["together"][0]["seconds"] = [0.020, 0.020]
    assert "the latter limits more" in told(record)[1]


def test_reading_and_whole_commands_are_judged_on_both_sides():
    rows = [
        {"what": "archive to arrays", "median_s": 14.9, "low_s": 14.0, "high_s": 16.0},
        {"what": "cache to arrays", "median_s": 1.0, "low_s": 0.9, "high_s": 1.1},
    ]
    (table,) = made("reading", {"rows": rows}).values()
    assert table["bar"].tolist() == ["under 15: met", "under 1: not met"]
    sections = tables.make_sections({
        f"whole-{name}": {
            "provenance": PROVENANCE, "command": f"./run_all.sh {name}", "seconds": seconds,
            "parts": [{"part": part, "seconds": n} for n, part in enumerate((*"abcdef", name))],
        }
        for name, seconds in (("quick", 960.0), ("test", 721.0), ("smoke", 300.0))
    })  # fmt: skip
    (_, ((_, table, _),)) = sections["whole"]
    assert table["bar"].tolist() == ["at most 16: met", "at most 12: not met", tables.NO_VALUE]
    assert set(table["its five longest parts"]) == {"f 5 s, e 4 s, d 3 s, c 2 s, b 1 s"}
    bars, missed = tables.count_verdicts(sections)
    assert (bars, missed) == (2, ["Whole commands and their parts: ./run_all.sh test (at most 12)"])


def test_what_was_not_measured_has_no_table_and_no_picture(tmp_path):
    (tmp_path / "reading.json").write_text((FOLDER / "reading.json").read_text())
    page = tmp_path / "report" / "speed.md"
    report.main(tmp_path, page)
    assert not (tmp_path / "figures").exists()
    headings = re.findall("^## (.+)", page.read_text(), re.MULTILINE)
    assert headings == ["Reading the data"] and "](../../benchmarks/figures" not in page.read_text()


def test_equal_records_give_equal_pages_and_pictures(tmp_path):
    drawn = []
    for name in ("training", "scaling"):
        (tmp_path / f"{name}.json").write_text((FOLDER / f"{name}.json").read_text())
    for _ in range(2):
        report.main(tmp_path, tmp_path / "speed.md")
        files = [*sorted((tmp_path / "figures").iterdir()), tmp_path / "speed.md"]
        assert [path.name for path in files] == ["scaling.png", "speed.png", "speed.md"]
        drawn.append([path.read_bytes() for path in files])
    assert drawn[0] == drawn[1]


def test_the_committed_page_equals_the_committed_records():
    assert report.PAGE.read_text() == report.render_page(), "run python -m benchmarks.report"


def test_the_committed_page_is_narrow_and_its_links_lead_somewhere():
    for _, found in tables.make_sections(COMMITTED).values():
        for title, table, _ in found:
            assert table.shape[1] <= 7, title
    for link in re.findall(r"\]\(([^)]+)\)", report.PAGE.read_text()):
        assert (report.PAGE.parent / link).exists(), link


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_records_are_of_a_commit(name):
    assert re.fullmatch("[0-9a-f]{12}", COMMITTED[name]["provenance"]["git_commit"])  # and no changed one
