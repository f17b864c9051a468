import re

import numpy as np
import pandas as pd
import pytest

from own_sensor import PARTS, cut_windows, read_sensor, split_by_group
from sensegen_utils.data.recordings import random_crops

HEADER = "t,x,y,state,who"


def recording(samples=400, rate=50.0, groups=4, seed=0):
    """Two channels; each group has its own clock and one state after the other."""
    rng = np.random.default_rng(seed)
    each = samples // groups
    return pd.DataFrame(
        {
            "t": np.tile(np.arange(each) / rate, groups).round(6),
            "x": rng.normal(size=each * groups).round(4),
            "y": rng.normal(size=each * groups).round(4),
            "state": np.tile(np.repeat(["rest", "work"], [each // 2, each - each // 2]), groups),
            "who": np.repeat([f"person {number}" for number in range(groups)], each),
        }
    )


def written(table, tmp_path, name="drive.csv"):
    table.to_csv(tmp_path / name, index=False)
    return tmp_path / name


def lines_of(table, changes=None, header=HEADER):
    """The lines of a .csv; ``changes`` replaces or (None) removes lines, counted from 1, the header."""
    lines = [header, *table.to_csv(index=False, header=False).splitlines()]
    for number, line in sorted((changes or {}).items(), reverse=True):
        lines[number - 1 : number] = [] if line is None else [line]
    return "\n".join(lines) + "\n"


NAMED = {"time": "t", "label": "state", "group": "who"}


def test_a_csv_comes_back_with_its_pieces(tmp_path):
    table = recording()
    sensor = read_sensor(written(table, tmp_path), **NAMED)
    assert sensor["channels"] == ["x", "y"]
    assert sensor["values"].dtype == np.float32
    assert np.array_equal(sensor["values"], table[["x", "y"]].to_numpy(np.float32))
    assert sensor["rate"] == 50
    assert sensor["label"].tolist() == table["state"].tolist()
    assert sensor["group"].tolist() == table["who"].tolist()
    assert sensor["pieces"].tolist() == [[start, start + 50] for start in range(0, 400, 50)]
    assert sensor["gaps"] == []


def test_all_kinds_of_source_give_the_same(tmp_path):
    table = recording()
    values, columns = table[["x", "y"]].to_numpy(), {name: table[name].to_numpy() for name in ("t", "who")}
    np.save(tmp_path / "drive.npy", values)
    np.savez(tmp_path / "drive.npz", data=values, t=columns["t"], who=columns["who"].astype(str))
    arrays = {"time": columns["t"], "group": columns["who"], "channels": ["x", "y"]}
    names = {"time": "t", "group": "who"}
    first = read_sensor(table, **names, channels=["x", "y"])
    for sensor in (
        read_sensor(str(written(table, tmp_path)), **names, channels=("x", "y")),
        read_sensor(values, **arrays),
        read_sensor(tmp_path / "drive.npy", **arrays),
        read_sensor(tmp_path / "drive.npz", **names, channels=["x", "y"]),
        read_sensor(tmp_path / "drive.npz", **names, channels=["x", "y"], array="data"),
    ):
        for key in first.keys() - {"origin", "notes"}:
            assert np.array_equal(sensor[key], first[key]) if first[key] is not None else sensor[key] is None


def test_commas_at_the_end_of_lines_are_no_column(tmp_path):
    path = tmp_path / "drive.csv"
    path.write_text(lines_of(recording()).replace("\n", ",\n").replace(f"{HEADER},", HEADER))
    assert read_sensor(path, **NAMED)["channels"] == ["x", "y"]


def test_a_series_without_labels_is_one_piece():
    sensor = read_sensor(np.sin(np.arange(300)), rate=25)
    assert sensor["values"].shape == (300, 1)
    assert sensor["channels"] == ["channel 0"]
    assert sensor["rate"] == 25
    assert sensor["label"] is sensor["group"] is None
    assert sensor["pieces"].tolist() == [[0, 300]]


def test_date_times_give_the_rate(tmp_path):
    table = recording(groups=1)
    # Python writes 12:00:01 without a fraction, and 12:00:01.020000 with one.
    table["t"] = [
        str(moment.to_pydatetime()) for moment in pd.date_range("2024-10-27", periods=400, freq="20ms")
    ]
    assert read_sensor(written(table, tmp_path), **NAMED)["rate"] == 50


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("day", ["27/10/2024 ", "10/27/2024 ", ""])
def test_date_times_of_other_formats_give_the_rate(day):
    time = [f"{day}12:{second // 60:02d}:{second % 60:02d}" for second in range(400)]
    assert read_sensor(recording(groups=1)["x"].to_numpy(), time=time)["rate"] == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "written_as", ["%d.%m.%Y %H:%M:%S.{}", "%m/%d/%Y %I:%M:%S.{} %p", "%d/%m/%Y %H:%M:%S,{}"]
)
@pytest.mark.parametrize("digits", [3, 6])
def test_fractions_of_seconds_in_other_formats_are_read(written_as, digits):
    moments = pd.date_range("2024-10-27 11:59:57.990", periods=400, freq="20ms")  # past noon
    time = [each.strftime(written_as.format(f"{each.microsecond:06d}"[:digits])) for each in moments]
    sensor = read_sensor(recording(groups=1)["x"].to_numpy(), time=time)
    assert sensor["rate"] == 50
    assert len(sensor["pieces"]) == 1


@pytest.mark.parametrize("rate", [30, 256, 400, 416])
def test_a_clock_of_milliseconds_gives_the_rate(rate):
    time = (1.7e9 + np.arange(4000) / rate).round(3)
    sensor = read_sensor(np.random.default_rng(0).normal(size=4000), time=time)
    assert sensor["rate"] == pytest.approx(rate, rel=1e-3)
    assert sensor["gaps"] == []


def test_a_jittering_clock_is_one_rate():
    rng = np.random.default_rng(0)
    time = np.arange(40_000) / 50 + rng.normal(0, 0.002, 40_000)
    assert read_sensor(rng.normal(size=40_000), time=time)["rate"] == pytest.approx(50, rel=1e-3)


def test_lost_samples_are_gaps_and_no_other_rate(tmp_path):
    table = recording(groups=1).drop(index=[100, 101, 300])
    sensor = read_sensor(written(table, tmp_path), time="t", group="who", channels=["x"])
    assert sensor["rate"] == 50
    # Lines 2 to 101 are samples 0 to 99; sample 102 follows on line 102.
    assert [(line, round(seconds, 6)) for line, seconds in sensor["gaps"]] == [(102, 0.06), (300, 0.04)]
    assert sensor["pieces"].tolist() == [[0, 100], [100, 298], [298, 397]]
    lost = np.random.default_rng(0).uniform(size=4000) < 0.1
    time, values = np.arange(4000)[~lost] / 50, np.random.default_rng(1).normal(size=(~lost).sum())
    assert read_sensor(values, time=time)["rate"] == 50


def test_a_pause_between_labels_is_no_gap(tmp_path):
    table = recording(groups=1)
    table.loc[200:, "t"] += 60
    sensor = read_sensor(written(table, tmp_path), **NAMED)
    assert sensor["gaps"] == []
    assert sensor["pieces"].tolist() == [[0, 200], [200, 400]]


def test_labels_may_be_numbers_or_the_word_null_and_lose_outer_spaces(tmp_path):
    table = recording()
    table["state"] = table["state"].replace({"rest": "null", "work": " NA "})
    table["who"] = np.repeat([1, 2, 3, 4], 100)
    sensor = read_sensor(written(table, tmp_path), **NAMED)
    assert np.unique(sensor["label"]).tolist() == ["NA", "null"]
    assert np.unique(sensor["group"]).tolist() == [1, 2, 3, 4]


def test_empty_lines_at_the_end_are_no_samples(tmp_path):
    path = tmp_path / "drive.csv"
    path.write_text(lines_of(recording()) + ",,,,\n\n\n")
    assert len(read_sensor(path, **NAMED)["values"]) == 400


MALFORMED = {  # changed lines, what the message says
    "text": ({7: "0.1,oops,0.2,rest,person 0"}, "channel 'x', line 7 holds 'oops'. Fill"),
    "a decimal comma": ({7: '0.1,"0,25",0.2,rest,person 0'}, "channel 'x', line 7 holds '0,25'"),
    "nothing": ({7: "0.1,,0.2,rest,person 0"}, "channel 'x', line 7 is empty"),
    "NaN": (
        {7: "0.1,0.1,nan,rest,person 0", 9: "0.14,0.1,,rest,person 0"},
        "'y', line 7 holds 'nan' (and 1 more)",
    ),
    "infinity": ({7: "0.1,-inf,0.2,rest,person 0"}, "channel 'x', line 7 holds '-inf'"),
    "beyond float32": ({7: "0.1,1e39,0.2,rest,person 0"}, "channel 'x', line 7 holds '1e+39'"),
    "an empty line": ({7: ""}, "channel 'x', line 7 is empty; channel 'y', line 7 is empty"),
    "a short line": ({7: "0.1,0.1"}, "channel 'y', line 7 is empty"),
    "a long first line": ({2: "0,0.1,0.2,rest,person 0,7"}, "line 2 has more fields than line 1 has names"),
    "a long line": ({7: "0.1,0.1,0.2,rest,person 0,7,8"}, "line 7"),
    "no label": ({7: "0.1,0.1,0.2,,person 0"}, "line 7 has no label (1 of 400 samples)"),
    "a blank group": ({7: '0.1,0.1,0.2,rest,"  "'}, "line 7 has no group (1 of 400 samples)"),
    "no time": ({7: ",0.1,0.2,rest,person 0"}, "not a time: line 7 is empty"),
    "text as time": ({7: "noon,0.1,0.2,rest,person 0"}, "not a time: line 7 holds 'noon'"),
    "a doubled time": ({7: "0.08,0.1,0.2,rest,person 0"}, "line 7 is the same time as the one before"),
    "time backward": ({7: "0.05,0.1,0.2,rest,person 0"}, "line 7 is 0.01 s earlier than the one before"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_line_is_named(tmp_path, case):
    changes, said = MALFORMED[case]
    table = recording()
    if case == "time backward":
        table.loc[4, "t"] = 0.06
        table.loc[3, "t"] = 0.055
    path = tmp_path / "drive.csv"
    path.write_text(lines_of(table, changes))
    with pytest.raises(ValueError, match=f"drive.csv: .*{re.escape(said)}"):
        read_sensor(path, **NAMED)


FILES = {  # content, what the message says
    "empty": ("", "the file is empty"),
    "no names": (",,\n0,1,2\n", "line 1 is empty. Begin with a line of column names"),
    "blank": ("\n\n", "line 1 is empty|cannot be read"),
    "header only": (HEADER + "\n", "no sample below"),
    "one sample": (f"{HEADER}\n0,0.1,0.2,rest,me\n", "holds 1 samples"),
    "no header": (lines_of(recording()[["t", "x"]], header="0.5,0.25"), "line 1 holds numbers"),
    "semicolons in the names only": ("t;x;y\n0,1,2\n0,1,2\n0,1,2\n", r"line 1 has 1 field.*have 3. Put 3"),
    "twice": (lines_of(recording(), header="t,x,x,state,who"), "line 1 has two columns 'x'"),
    "latin-1": ("t,x,y,state,who\n0,1,2,müde,me\n".encode("latin-1"), "UTF-8"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_malformed_file_is_refused(tmp_path, case):
    content, said = FILES[case]
    path = tmp_path / "drive.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=f"drive.csv: .*({said})"):
        read_sensor(path, **NAMED)


def test_missing_and_unknown_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"gone.csv: there is no such file in "):
        read_sensor(tmp_path / "gone.csv", rate=50)
    with pytest.raises(ValueError, match=r"drive.xlsx: of an unknown kind. Save it as .csv"):
        read_sensor(tmp_path / "drive.xlsx", rate=50)


def test_a_missing_column_is_answered_with_those_there_are(tmp_path):
    path = written(recording(), tmp_path)
    for wrong in ({"time": "z"}, {"label": "z"}, {"group": "z"}, {"channels": ["x", "z"]}):
        use = next(iter(wrong))
        said = f"no column 'z' for {use}. Those there are: 't', 'x', 'y', 'state', 'who'."
        with pytest.raises(ValueError, match=re.escape(said)):
            read_sensor(path, **({"rate": 50} | wrong))


def test_columns_that_are_no_channels_are_all_named(tmp_path):
    table = recording().assign(valid=True, day="2024-05-01")
    with pytest.raises(ValueError, match="'valid', line 2 holds 'True' .*'day', line 2 holds '2024-05-01'"):
        read_sensor(written(table, tmp_path), **NAMED)


def test_a_table_of_unclear_columns_is_refused():
    table = recording()
    with pytest.raises(ValueError, match="the table: two columns 'x'. Rename one"):
        read_sensor(table.rename(columns={"y": "x"}), **NAMED)
    for channels in (None, []):
        with pytest.raises(ValueError, match="the table: no column is left for the channels"):
            read_sensor(table[["t", "state", "who"]], **NAMED, channels=channels)


def test_a_constant_channel_and_a_counter_are_refused(tmp_path):
    path = written(recording().assign(y=3.5), tmp_path)
    with pytest.raises(ValueError, match=r"channel 'y' is 3.5 in every sample, from line 2 to line 401"):
        read_sensor(path, **NAMED)
    recording().to_csv(tmp_path / "index.csv")
    with pytest.raises(ValueError, match="channel 'Unnamed: 0' rises"):
        read_sensor(tmp_path / "index.csv", **NAMED)
    assert read_sensor(tmp_path / "index.csv", **NAMED, channels="Unnamed: 0")["values"].shape == (400, 1)


@pytest.mark.parametrize("first, second", [(50, 100), (100, 50), (50, 60)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_mixed_rates_are_found_and_the_line_is_named(tmp_path, first, second, share):
    count = int(400 * share)
    steps = np.repeat([1 / first, 1 / second], [count, 399 - count])
    table = recording(groups=1).assign(t=np.r_[0, np.cumsum(steps)])
    said = f"mixed rates: about {first} Hz before line {count + 2}, about {second} Hz after it"
    # The first steps lead to sample `count`, which is on line count + 2.
    with pytest.raises(ValueError, match=said):
        read_sensor(written(table, tmp_path), time="t", group="who", channels="x")


def test_a_group_of_another_rate_is_found(tmp_path):
    table = recording()
    table.loc[200:299, "t"] *= 2
    with pytest.raises(ValueError, match="mixed rates: about 50 Hz before line 202, about 25 Hz after it"):
        read_sensor(written(table, tmp_path), **NAMED)


def test_the_rate_must_be_known_possible_and_that_of_the_clock(tmp_path):
    path = written(recording(), tmp_path)
    with pytest.raises(
        ValueError, match=r"drive.csv: the sampling rate is unknown. Give rate=..., in Hz, or"
    ):
        read_sensor(path, channels=["x"])
    for rate in (0, -50, np.nan, np.inf, "50"):
        with pytest.raises(ValueError, match="must be a positive number"):
            read_sensor(path, rate=rate, channels=["x"])
    with pytest.raises(ValueError, match="rate=100 Hz, but by the time column it is 50 Hz"):
        read_sensor(path, rate=100, **NAMED)
    assert read_sensor(path, rate=51, **NAMED)["rate"] == 51


def test_samples_of_several_groups_in_turn_are_refused(tmp_path):
    table = recording().sort_values(["t", "who"])
    with pytest.raises(ValueError, match="change at most samples, first at line 3. Sort by group"):
        read_sensor(written(table, tmp_path), **NAMED)


def test_impossible_arrays_are_refused(tmp_path):
    values = np.random.default_rng(0).normal(size=(300, 2))
    with pytest.raises(ValueError, match="300 channels of 2 samples each. Is it transposed?"):
        read_sensor(values.T, rate=50)
    for wrong in (values.astype(str), values.astype(complex), values > 0, values.astype(object)):
        with pytest.raises(ValueError, match="the array: its type is"):
            read_sensor(wrong, rate=50)
    for wrong in (values[None], 3.0, []):
        with pytest.raises(ValueError, match="the array: shape"):
            read_sensor(wrong, rate=50)
    with pytest.raises(ValueError, match=r"label has shape \(299,\).*one entry for each of 300 samples"):
        read_sensor(values, rate=50, label=np.zeros(299))
    with pytest.raises(
        ValueError, match=r"time has shape \(300, 2\). Give one entry for each of 300 samples"
    ):
        read_sensor(values, time=values)
    with pytest.raises(ValueError, match="3 names for 2 channels"):
        read_sensor(values, rate=50, channels=["x", "y", "z"])
    with pytest.raises(ValueError, match="no array 'who' for group. Those there are: none"):
        read_sensor(values, rate=50, group="who")
    values[41, 1] = np.nan
    with pytest.raises(ValueError, match="channel 'channel 1', row 41 is empty"):
        read_sensor(values, rate=50)


def test_unclear_and_damaged_array_files_are_refused(tmp_path):
    values = np.random.default_rng(0).normal(size=(300, 2))
    np.savez(tmp_path / "two.npz", left=values, right=values[:, 0])
    said = re.escape(
        "which array holds the channels? Choose one with array=...: 'left' (300, 2), 'right' (300,)"
    )
    with pytest.raises(ValueError, match=said):
        read_sensor(tmp_path / "two.npz", rate=50)
    assert read_sensor(tmp_path / "two.npz", rate=50, array="right")["values"].shape == (300, 1)
    with pytest.raises(ValueError, match="no array 'up' for channels. Those there are: 'left', 'right'"):
        read_sensor(tmp_path / "two.npz", rate=50, array="up")
    np.save(tmp_path / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    for name, content in (("cut.npz", (tmp_path / "two.npz").read_bytes()[:700]), ("text.npy", b"1,2,3\n")):
        (tmp_path / name).write_bytes(content)
    for name in ("objects.npy", "cut.npz", "text.npy"):
        with pytest.raises(ValueError, match=f"{name}: cannot be read as arrays of numbers"):
            read_sensor(tmp_path / name, rate=50)


def test_windows_lie_in_one_piece_each(tmp_path):
    table = recording().drop(index=[20])
    sensor = read_sensor(written(table, tmp_path), **NAMED)
    windows = cut_windows(sensor, 24, stride=5)
    assert windows["x"].shape == (len(windows["start"]), 24, 2)
    assert windows["x"].dtype == np.float32
    assert windows["label_names"] == ["rest", "work"]
    assert windows["skipped"] == 20  # before the gap
    for window, label, group, start in zip(
        *(windows[field] for field in ("x", "label", "group", "start")), strict=True
    ):
        inside = slice(start, start + 24)
        assert np.array_equal(window, sensor["values"][inside])
        assert set(sensor["label"][inside]) == {windows["label_names"][label]}
        assert set(sensor["group"][inside]) == {group}
        assert np.allclose(np.diff(table["t"].to_numpy()[inside]), 0.02)
    assert cut_windows(sensor, 24)["start"][:3].tolist() == [20, 49, 61]  # half a window, as in UCI HAR


def test_too_short_says_which_windows_would_fit(tmp_path):
    sensor = read_sensor(written(recording().drop(index=[20]), tmp_path), **NAMED)
    said = (
        "drive.csv: too short for a window of 128 samples: the longest of 9 unbroken pieces, line 51 to "
        "line 100, has 50. Use steps=50 or less; 1 gaps in time break the recording."
    )
    with pytest.raises(ValueError, match=said):
        cut_windows(sensor, 128)
    assert len(cut_windows(sensor, 50)["x"]) == 7
    for wrong in ({"steps": 0}, {"steps": 10, "stride": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            cut_windows(sensor, **wrong)


def used(part, steps):
    """The samples that the windows of a part hold."""
    return set((part["start"][:, None] + np.arange(steps)).ravel().tolist())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("groups", [3, 4, 7])
def test_no_group_and_no_sample_is_in_two_parts(groups, seed):
    sensor = read_sensor(recording(100 * groups, groups=groups), **NAMED)
    windows = cut_windows(sensor, 16, stride=3)
    parts = split_by_group(windows, seed=seed)
    members = [set(parts[name]["group"].tolist()) for name in PARTS]
    assert all(members)
    assert sum(map(len, members)) == len(set.union(*members)) == groups
    samples = [used(parts[name], 16) for name in PARTS]
    assert sum(map(len, samples)) == len(set.union(*samples))
    assert sum(len(parts[name]["x"]) for name in PARTS) == len(windows["x"])
    assert parts["by"] == "group"
    for name in PARTS:
        for window, start in zip(parts[name]["x"], parts[name]["start"], strict=True):
            assert np.array_equal(window, sensor["values"][start : start + 16])


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("stride", [1, 8, 16, 20])
def test_without_groups_time_is_divided_and_no_sample_is_in_two_parts(labelled, stride):
    named = {"time": "t", "label": "state"} if labelled else {"time": "t"}
    sensor = read_sensor(recording(1000, groups=1), **named, channels=["x", "y"])
    windows = cut_windows(sensor, 16, stride)
    parts = split_by_group(windows)
    samples = [used(parts[name], 16) for name in PARTS]
    assert sum(map(len, samples)) == len(set.union(*samples))
    shares = np.array([len(held) for held in samples]) / sum(map(len, samples))
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.05)
    assert parts["dropped"] == len(windows["x"]) - sum(len(parts[name]["x"]) for name in PARTS)
    assert parts["by"] == "time"
    for name in PARTS:
        assert parts[name]["group"] is None
        if labelled:
            assert set(parts[name]["label"]) == {0, 1}
            later = [parts[name]["start"][parts[name]["label"] == code].min() for code in (0, 1)]
            assert later[0] < 500 <= later[1]
        else:
            assert parts[name]["label"] is None


def test_one_seed_gives_one_division():
    windows = cut_windows(read_sensor(recording(700, groups=7), **NAMED), 16)
    divisions = [set(split_by_group(windows, seed=seed)["test"]["group"].tolist()) for seed in range(8)]
    assert divisions == [
        set(split_by_group(windows, seed=seed)["test"]["group"].tolist()) for seed in range(8)
    ]
    assert len(set(map(frozenset, divisions))) > 1


def test_shares_are_of_the_groups():
    windows = cut_windows(read_sensor(recording(1000, groups=10), **NAMED), 16)
    parts = split_by_group(windows, shares=(0.5, 0.2, 0.3))
    assert [len(set(parts[name]["group"].tolist())) for name in PARTS] == [5, 2, 3]


def test_groups_of_one_label_are_divided_so_that_training_has_all():
    table = recording(1200, groups=12).assign(state=np.repeat(["a", "b", "c"], 400))
    for seed in range(5):
        parts = split_by_group(cut_windows(read_sensor(table, **NAMED), 16), seed=seed)
        assert set(parts["train"]["label"]) == {0, 1, 2}
    alone = recording(300, groups=3).assign(state=np.repeat(["a", "b", "c"], 100))
    with pytest.raises(ValueError, match="No training window has the label '[abc]'"):
        split_by_group(cut_windows(read_sensor(alone, **NAMED), 16))


def test_what_cannot_be_divided_is_refused():
    table = recording(200, groups=2)
    windows = cut_windows(read_sensor(table, **NAMED), 16)
    with pytest.raises(ValueError, match="2 .*person 0, person 1.* at least three groups.*without group"):
        split_by_group(windows)
    for shares in ((0.5, 0.5), (0.8, 0.2, 0), (0.6, 0.3, 0.2), 0.6, None):
        with pytest.raises(ValueError, match="three positive numbers of sum 1"):
            split_by_group(windows, shares)
    few = cut_windows(read_sensor(table["x"].to_numpy(), rate=50), 100, stride=100)
    with pytest.raises(ValueError, match="2 windows are too few: (validation|test) would have none"):
        split_by_group(few)


@pytest.mark.parametrize("stride", [1, 8, 16, 20])
@pytest.mark.parametrize("grouped", [False, True])
def test_crops_lie_in_one_piece_and_in_their_part(grouped, stride):
    table = recording(1000).assign(x=np.arange(1000.0)).drop(index=[20, 130]).reset_index(drop=True)
    sensor = read_sensor(table, time="t", label="state", group="who", channels=["x"])
    windows = cut_windows(sensor, 16, stride)
    parts = split_by_group(windows if grouped else windows | {"group": None})
    rng, moved = np.random.default_rng(0), set()
    for name in PARTS:
        part, inside = parts[name], set(table["x"].iloc[sorted(used(parts[name], 16))])
        for _ in range(10):
            crops = random_crops(sensor, part["start"], 16, rng)
            assert crops.shape == part["x"].shape and crops.dtype == np.float32
            assert set(crops.ravel()) <= inside
            assert (np.diff(crops[:, :, 0], axis=1) == 1).all()  # no gap inside
            ahead = crops[:, 0, 0] - part["x"][:, 0, 0]
            moved |= set(ahead)
            assert sensor["label"][np.searchsorted(table["x"], crops[:, -1, 0])].tolist() == [
                windows["label_names"][code] for code in part["label"]
            ]
    assert moved == (set(range(stride)) if stride <= 16 else {0})  # windows apart cannot be joined


def test_one_seed_gives_the_same_crops():
    sensor = read_sensor(recording(), **NAMED)
    part = split_by_group(cut_windows(sensor, 16))["train"]
    first, again = (random_crops(sensor, part["start"], 16, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, part["x"])


def test_what_does_not_vary_in_training_is_refused():
    table = recording(1000, groups=10)
    flat = table.assign(y=table["y"].where(table["who"] == "person 0", 0.25))
    with pytest.raises(ValueError, match="Channel 'y' is constant in all training windows. Leave it out"):
        split_by_group(cut_windows(read_sensor(flat, **NAMED), 16), seed=0)
    off = table.assign(**{name: table[name].where(table["state"] == "work", 0.25) for name in "xy"})
    with pytest.raises(ValueError, match="Nothing varies in the training windows of the label 'rest'"):
        split_by_group(cut_windows(read_sensor(off, **NAMED), 16))


def signal(samples=400, seed=0):
    """Three channels of a smooth signal, as text files hold them."""
    noise = np.random.default_rng(seed).normal(size=(samples + 9, 3))
    smooth = np.stack([np.convolve(channel, np.ones(10) / 3, "valid") for channel in noise.T], axis=1)
    return pd.DataFrame(smooth.round(3), columns=["x", "y", "z"])


def timed(time, name="t", **columns):
    """A table of a clock and three channels."""
    return signal(len(time)).assign(**{name: time}, **columns)[[name, *columns, "x", "y", "z"]]


CLOCKS = {  # the clock of 400 samples at 50 Hz: its column's name, and what one unit of it is (s)
    "ms by name": ("Milliseconds", np.arange(400) * 20),
    "ms in brackets": ("elapsed (ms)", np.arange(400) * 20.0),
    "ms since 1970": ("stamp", 1_600_000_000_000 + np.arange(400) * 20),
    "ms since 1970, named as seconds": ("stamp (s)", 1_600_000_000_000 + np.arange(400) * 20),
    "us since 1970": ("stamp", 1_600_000_000_000_000 + np.arange(400) * 20_000),
    "ns since 1970": ("time", 1_600_000_000_000_000_000 + np.arange(400) * 20_000_000),
    "ns since the phone began": ("t", 49_105_962_326_000 + np.arange(400) * 20_000_000),
    "ns of 27 minutes, by name": ("timestampNanos", 1_600_000_000_000 + np.arange(400) * 20_000_000),
    "seconds since 1970": ("t", 1_600_000_000 + np.arange(400) / 50),
    "days": ("t", 45_000 + np.arange(400) / 50 / 86400),
    "minutes by name": ("t_min", np.arange(400) / 50 / 60),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_the_clocks_unit_is_found(tmp_path, case):
    name, time = CLOCKS[case]
    sensor = read_sensor(written(timed(time, name), tmp_path), time=name)
    assert sensor["rate"] == pytest.approx(50, rel=1e-3)
    assert sensor["gaps"] == [] and sensor["channels"] == ["x", "y", "z"]
    assert len(sensor["notes"]) == (case != "seconds since 1970")


def test_an_unknown_unit_is_refused_and_the_rate_decides(tmp_path):
    path = written(timed(np.arange(400) * 20), tmp_path)
    said = "the unit of the clock 't' is unknown: its steps are 20, which is 0.05 Hz in seconds or 50 Hz in m"
    with pytest.raises(ValueError, match=said):
        read_sensor(path, time="t")
    assert read_sensor(path, time="t", rate=50)["rate"] == 50
    assert read_sensor(path, time="t", rate=0.05)["rate"] == 0.05
    with pytest.raises(
        ValueError, match="rate=7 Hz, but the steps of the clock 't' are 20, which is 0.05 Hz in seconds"
    ):
        read_sensor(path, time="t", rate=7)
    slow = written(timed(np.arange(400) * 20, "seconds"), tmp_path, "slow.csv")
    assert read_sensor(slow, time="seconds")["rate"] == 0.05


def test_a_count_of_the_samples_is_no_clock(tmp_path):
    path = written(timed(np.arange(400), "SampleID"), tmp_path)
    with pytest.raises(
        ValueError, match="'SampleID' counts the samples and is no clock. Leave it out of time"
    ):
        read_sensor(path, time="SampleID")
    with pytest.raises(
        ValueError, match=r"'SampleID' rises .*rows does. Choose the channels: channels=\['x', 'y"
    ):
        read_sensor(path, rate=50)
    with pytest.raises(ValueError, match="1 Hz in seconds or 1000 Hz in milliseconds; or it only counts"):
        read_sensor(written(timed(np.arange(400)), tmp_path), time="t")


NO_CHANNELS = {  # a column of 400 samples of four persons, what the message says of it
    "a clock that starts again": (np.tile(np.arange(100) / 50, 4), "rises .* and starts again 3 times"),
    "a clock that counts down": (8 - np.arange(400) / 50, "'it' falls from sample to sample"),
    "whole seconds": (
        np.arange(400) // 50 + 7,
        "keeps one value for long .it changes 7 times, first at line 52",
    ),
    "whole seconds at 20 Hz": (np.arange(400) // 20, "'it' rises from sample to sample"),
    "a number of the person": (
        np.repeat([3, 1, 4, 2], 100),
        "as an id, a label or whole seconds do: name it",
    ),
    "a person's height": (np.repeat([1.73, 1.6, 1.8, 1.75], 100), "'it' keeps one value for long"),
}


@pytest.mark.parametrize("case", NO_CHANNELS)
@pytest.mark.parametrize("named", [{}, {"group": "who"}])
def test_clocks_and_ids_are_no_channels_unless_they_are_chosen(tmp_path, case, named):
    column, said = NO_CHANNELS[case]
    if case == "a person's height" and not named:
        pytest.skip("nobody said what its pieces are")
    table = signal().assign(it=column, who=np.repeat(list("abcd"), 100))
    path = written(table if named else table.drop(columns="who"), tmp_path)
    with pytest.raises(ValueError, match=f"{said}.*Choose the channels: channels=\\['x', 'y', 'z'\\]"):
        read_sensor(path, rate=50, **named)
    chosen = read_sensor(path, rate=50, **named, channels=["x", "it"])
    assert chosen["channels"] == ["x", "it"]


def recordings_of_persons():
    """Three persons, each with four recordings of 60 samples whose clocks begin at 0; two states a person."""
    return timed(
        np.tile(np.arange(60) / 50, 12),
        state=np.tile(np.repeat(["rest", "work"], 120), 3),
        who=np.repeat(["p1", "p2", "p3"], 240),
        run=np.repeat([f"r{number}" for number in range(12)], 60),
    )


def test_windows_lie_in_one_recording_and_persons_are_never_split(tmp_path):
    path = written(recordings_of_persons(), tmp_path)
    named = {"label": "state", "group": "who", "recording": "run", "channels": ["x", "y", "z"]}
    for clock in ({"time": "t"}, {"rate": 50}):
        sensor = read_sensor(path, **clock, **named)
        assert sensor["recording"].tolist() == recordings_of_persons()["run"].tolist()
        assert sensor["pieces"].tolist() == [[start, start + 60] for start in range(0, 720, 60)]
        windows = cut_windows(sensor, 20)
        for start, run in zip(windows["start"], windows["recording"], strict=True):
            assert set(sensor["recording"][start : start + 20]) == {run}
        parts = split_by_group(windows)
        assert parts["by"] == "group"
        assert sorted(set(parts[name]["group"].tolist()).pop() for name in PARTS) == ["p1", "p2", "p3"]
        assert [len(set(parts[name]["recording"].tolist())) for name in PARTS] == [4, 4, 4]


def test_a_clock_that_starts_again_names_the_column_of_the_recordings(tmp_path):
    path = written(recordings_of_persons(), tmp_path)
    named = {"label": "state", "group": "who", "channels": ["x", "y", "z"]}
    said = "line 62 is 1.18 s earlier .*(6 such samples).*Column 'run' changes there: give recording='run'"
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        read_sensor(path, time="t", **named)
    elapsed = written(recordings_of_persons().rename(columns={"t": "elapsed"}), tmp_path)
    with pytest.raises(
        ValueError, match="the clock 'elapsed' starts again at line 62 .*Give time='elapsed', or"
    ):
        read_sensor(elapsed, rate=50, **named)
    sensor = read_sensor(path, rate=50, label="state", recording="run", channels=["x", "y", "z"])
    assert "'who' is not used and changes 2 times: if it tells people" in " ".join(sensor["notes"])


def test_without_groups_whole_recordings_are_divided(tmp_path):
    table = recordings_of_persons().drop(columns=["t", "who"])
    parts = split_by_group(cut_windows(read_sensor(table, rate=50, label="state", recording="run"), 20))
    members = [set(parts[name]["recording"].tolist()) for name in PARTS]
    assert parts["by"] == "recording" and [len(each) for each in members] == [7, 3, 2]
    assert len(set.union(*members)) == 12
    alone = table.assign(run=np.repeat(["a", "b"], 360))  # too few to be divided
    assert split_by_group(cut_windows(read_sensor(alone, rate=50, recording="run", label="state"), 20))[
        "by"
    ] == ("time")


def uneven(case, samples=3000):
    """Stamps of samples that are even, 50 a second, from a clock that is not."""
    rng, even = np.random.default_rng(0), np.arange(samples) / 50
    packets = even[np.arange(samples) // 10 * 10]
    return {
        "jitter": even + rng.normal(0, 0.15 * 0.02, samples),
        "packets": packets,
        "packets of a millisecond": packets + np.arange(samples) % 10 * 0.001,
        "repeats": (even + np.tile([0.002, -0.001, 0.004, -0.004, 0.022, 0.002], samples // 6)).round(3),
        "drift": np.cumsum(1 / np.linspace(50, 57, samples)),
    }[case]


@pytest.mark.parametrize("case", ["jitter", "packets", "packets of a millisecond", "repeats", "drift"])
def test_an_uneven_clock_is_answered_with_its_usual_rate(tmp_path, case):
    path = written(timed(uneven(case).round(6)), tmp_path)
    said = (
        "drifts from 50 Hz at line 2 to 57 Hz at line 3001"
        if case == "drift"
        else "uneven|all samples are real"
    )
    with pytest.raises(ValueError, match=said) as refused:
        read_sensor(path, time="t")
    assert "remove" not in str(refused.value)
    offered = float(re.search(r"rate=([\d.]+) beside time", str(refused.value))[1])
    assert offered == pytest.approx(53.5 if case == "drift" else 50, rel=0.02)
    sensor = read_sensor(path, time="t", rate=offered)
    assert sensor["rate"] == offered and sensor["gaps"] == [] and len(sensor["pieces"]) == 1
    assert np.array_equal(sensor["values"], signal(3000).to_numpy(np.float32))


def test_an_uneven_clock_still_tells_gaps(tmp_path):
    time = uneven("packets")
    time[1500:] += 5
    sensor = read_sensor(written(timed(time), tmp_path), time="t", rate=50)
    assert [line for line, _ in sensor["gaps"]] == [1502]
    assert sensor["lost"] == pytest.approx(259, abs=5)  # 250, and those that share the last stamp


def test_values_are_interpolated_linearly_between_uneven_stamps(tmp_path):
    time = uneven("jitter").round(6)
    table = timed(time).assign(x=(3 * time).round(6))
    sensor = read_sensor(written(table, tmp_path), time="t", resample=50, channels=["x", "y"])
    assert sensor["rate"] == 50 and len(sensor["values"]) == pytest.approx(3000, abs=2)
    assert sensor["values"][:, 0] == pytest.approx(
        3 * (time[0] + np.arange(len(sensor["values"])) / 50), abs=1e-4
    )
    assert "interpolated linearly to 50 Hz" in " ".join(sensor["notes"])
    with pytest.raises(ValueError, match="resample=25 Hz is too far from the clock's 50"):
        read_sensor(table, time="t", resample=25, channels="x")
    with pytest.raises(ValueError, match="resample needs the times"):
        read_sensor(table[["y"]], rate=50, resample=50)
    for wrong in (0, "50"):
        with pytest.raises(ValueError, match="resample=.* must be a positive number"):
            read_sensor(table, time="t", resample=wrong)
    with pytest.raises(ValueError, match="all samples are real"):
        read_sensor(timed(uneven("packets")), time="t", resample=50)


def test_single_lost_samples_are_interpolated_on_request():
    table = recording(1200, groups=2).assign(x=np.arange(1200.0))
    table = table.drop(index=[100, 301, 302, 700])
    whole = [index for index in range(1200) if index not in (301, 302)]
    names = {"time": "t", "channels": ["x", "y"], "group": "who"}
    apart = read_sensor(table, **names, resample=50)
    assert apart["values"][:, 0].tolist() == whole and apart["lost"] == 2
    assert apart["pieces"].tolist() == [[0, 301], [301, 598], [598, 1198]]
    assert [seconds for _, seconds in apart["gaps"]] == pytest.approx([0.06])
    assert apart["group"].tolist() == ["person 0"] * 598 + ["person 1"] * 600


def test_interpolation_keeps_the_borders_of_people_whose_clock_is_uneven():
    rng, each = np.random.default_rng(0), 300
    time = np.concatenate(
        [100 * n + np.arange(each) / 50 + rng.uniform(-4e-3, 4e-3, each) for n in range(20)]
    )
    who = np.repeat(np.arange(20), each)
    table = pd.DataFrame({"t": time.round(4), "x": 1.0 * who, "y": rng.normal(size=len(who)), "who": who})
    sensor = read_sensor(table, time="t", group="who", channels=["x", "y"], resample=50)
    assert len(sensor["pieces"]) == 20
    assert all(len(set(sensor["group"][start:end])) == 1 for start, end in sensor["pieces"])
    windows = cut_windows(sensor, 100)["x"]
    assert (np.ptp(windows[:, :, 0], axis=1) == 0).all(), "a window is of one person"


def test_a_clock_that_stands_still_is_refused():
    table = timed(np.zeros(400))
    for rate in (None, 50):
        with pytest.raises(ValueError, match="same time as the one before it|stands still at most samples"):
            read_sensor(table, time="t", rate=rate)


def test_what_a_table_has_not_is_refused(tmp_path):
    table = signal()
    with pytest.raises(ValueError, match="array='x' names an array of an .npz, and this is a table"):
        read_sensor(table, rate=50, array="x")
    for source in (table, table.to_numpy()):
        with pytest.raises(ValueError, match="names one of them twice"):
            read_sensor(source, rate=50, channels=["x", "x", "y"])
    (tmp_path / "long.csv").write_text("x" * 100_000)
    with pytest.raises(ValueError, match=r"long\.csv.*first line is longer"):
        read_sensor(tmp_path / "long.csv", rate=50)


def test_masked_values_are_refused():
    values = np.ma.masked_less(np.random.default_rng(0).normal(size=(400, 2)), -2)
    with pytest.raises(ValueError, match=r"\d+ values are masked. Leave those samples out"):
        read_sensor(values, rate=50)


def test_what_lies_in_no_window_is_said():
    lost = np.random.default_rng(0).uniform(size=6000) < 0.02
    table = timed(np.arange(6000) / 50)[~lost]
    sensor = read_sensor(table, time="t")
    assert sensor["lost"] == pytest.approx(lost.sum(), abs=2)
    assert f"{sensor['lost']} samples are lost in {len(sensor['gaps'])} gaps" in sensor["notes"]
    windows = cut_windows(sensor, 100)
    inside = used(windows, 100)
    assert windows["outside"] == len(sensor["values"]) - len(inside) > 0.5 * len(sensor["values"])
    share = windows["outside"] / len(sensor["values"])
    assert windows["notes"][0].startswith(f"{share:.0%} of the samples ({windows['outside']} of ")
    assert "interpolated with resample=50" in windows["notes"][0]
    filled = read_sensor(table, time="t", resample=50)
    assert cut_windows(filled, 100)["outside"] < 0.2 * windows["outside"]


def test_a_label_without_a_window_is_said():
    table = signal(1000).assign(state=np.repeat(["walk", "jump", "run"], [600, 20, 380]))
    windows = cut_windows(read_sensor(table, rate=50, label="state"), 50)
    assert windows["label_names"] == ["run", "walk"]
    assert "labels without a window, because their pieces are too short: 'jump'" in windows["notes"]


def test_parts_too_small_for_the_judges_are_refused():
    windows = cut_windows(read_sensor(signal(800), rate=100), 128)
    with pytest.raises(ValueError, match=r"would have 1, and the judges need 6 in each part.*steps=128 now"):
        split_by_group(windows)
    with pytest.raises(ValueError, match=r"steps=128.0: it counts samples, so it must be a whole number"):
        cut_windows(read_sensor(signal(800), rate=100), 2.56 * 50)


TIMES = {  # texts of 400 times, their rate (None: refused)
    "min:s with tenths": ([f"{n // 600:02d}:{n // 10 % 60:02d}.{n % 10}" for n in range(1800, 2200)], 10),
    "min:s with three digits": ([f"{n // 60:02d}:{n % 60:03d}" for n in range(400)], 1),
    "hours beyond a day": (
        [f"{23 + n // 3600}:{n // 60 % 60:02d}:{n % 60:02d}" for n in range(3400, 3800)],
        1,
    ),
    "over midnight": (
        [f"{(n // 3600) % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}" for n in range(86200, 86600)],
        1,
    ),
    "min:s or h:min": ([f"{n // 60:02d}:{n % 60:02d}" for n in range(600, 1000)], None),
}


@pytest.mark.parametrize("case", TIMES)
def test_times_of_day_and_of_a_stopwatch(tmp_path, case):
    texts, rate = TIMES[case]
    path = written(timed(texts), tmp_path)
    if rate:
        assert read_sensor(path, time="t")["rate"] == rate
        return
    with pytest.raises(
        ValueError, match="unit of the clock 't' is unknown.* 1 Hz in min:s or 0.01667 Hz in h:min"
    ):
        read_sensor(path, time="t")
    assert read_sensor(path, time="t", rate=1)["rate"] == 1


def test_a_date_time_that_cannot_be_read_is_answered_with_an_example(tmp_path):
    texts = [f"2023-03-05 10:00:{n // 50:02d}:{n % 50 * 20:03d}" for n in range(400)]
    with pytest.raises(
        ValueError, match="line 2 holds '2023-03-05 10:00:00:000'.*such as 2024-10-27 12:00:00.020"
    ):
        read_sensor(written(timed(texts), tmp_path), time="t")


def test_nanoseconds_since_1970_keep_their_digits():
    time = 1_600_000_000_000_000_000 + np.arange(4000) * 50_000  # 20 kHz; float64 knows them to 256 ns
    sensor = read_sensor(signal(4000).to_numpy(), time=time, rate=20_000)
    assert sensor["gaps"] == [] and sensor["rate"] == 20_000


def test_levels_are_taken_off_before_float32():
    rng = np.random.default_rng(0)
    pressure, small = 101_325 + 0.01 * rng.normal(size=400), rng.normal(size=400)
    sensor = read_sensor(np.column_stack([pressure, small]), rate=50)
    assert sensor["level"].tolist() == [101_325, 0]
    assert sensor["values"] + sensor["level"] == pytest.approx(np.column_stack([pressure, small]), abs=1e-6)
    assert "channel 'channel 0' is kept as its difference from 101325" in sensor["notes"]


def test_the_text_nan_is_no_label(tmp_path):
    table = signal().assign(state=np.where(np.arange(400) < 300, "1.0", "NaN"))
    with pytest.raises(ValueError, match=r"line 302 has no label .100 of 400 samples. .it holds 'NaN'."):
        read_sensor(written(table, tmp_path), rate=50, label="state")


def test_two_devices_in_turn_are_noticed(tmp_path):
    time = np.arange(400) * 0.01 - np.arange(400) % 2 * 0.002
    path = written(timed(time.round(3)), tmp_path)
    with pytest.raises(
        ValueError, match="steps of the clock 't' are 0.008 s and 0.012 s in turn: do two devices"
    ):
        read_sensor(path, time="t")
    assert "in turn" in " ".join(read_sensor(path, time="t", rate=100)["notes"])


def test_a_start_time_among_the_samples_is_found(tmp_path):
    path = tmp_path / "acc.csv"
    lines = ["x,y,z", "1600000000.0,1600000000.0,1600000000.0", "32.0,32.0,32.0"]
    path.write_text("\n".join(lines + signal().to_csv(index=False, header=False).splitlines()))
    with pytest.raises(
        ValueError, match=r"line 2 holds 1.6e\+09 in channel 'x'.*Is it a start time\? Remove"
    ):
        read_sensor(path, rate=32)


def test_all_constant_channels_are_named(tmp_path):
    path = written(signal().assign(a=3.5, b=0), tmp_path)
    said = "channel 'a' is 3.5 in every sample; channel 'b' is 0 in every sample, from line 2 to line 401"
    with pytest.raises(ValueError, match=rf"{said}.*Choose the channels: channels=\['x', 'y', 'z'\]"):
        read_sensor(path, rate=50)


def test_windows_and_objects_are_told_how_to_be_given(tmp_path):
    np.save(tmp_path / "windows.npy", signal(1280).to_numpy().reshape(10, 128, 3))
    said = r"Then give array.reshape(-1, 3) with recording=numpy.repeat(numpy.arange(10), 128)"
    with pytest.raises(ValueError, match=re.escape(said)):
        read_sensor(tmp_path / "windows.npy", rate=50)
    told = read_sensor(signal(1280).to_numpy(), rate=50, recording=np.repeat(np.arange(10), 128))
    assert len(told["pieces"]) == 10
    labels = np.repeat(["a", "b"], 200).astype(object)
    np.savez(tmp_path / "objects.npz", x=signal().to_numpy(), state=labels)
    with pytest.raises(ValueError, match="Save array 'state' as text or numbers: state.astype"):
        read_sensor(tmp_path / "objects.npz", rate=50, label="state")


@pytest.mark.parametrize("name", [7, "driver's seat"])
def test_a_constant_channel_of_any_name_is_left_out_of_the_advice(name):
    table = signal().assign(**{"x": 3.5}).rename(columns={"x": name})
    with pytest.raises(
        ValueError, match=r"is 3.5 in every sample.*Choose the channels: channels=\['y', 'z'\]"
    ):
        read_sensor(table, rate=50)


@pytest.mark.parametrize(
    ("name", "first", "step", "truly"),
    [
        ("timestamp", 1_500_000_000_000_000, 20_000_000, "50 Hz in nanoseconds"),
        ("timestamp", 1_500_000_000_000, 20_000, "50 Hz in microseconds"),
        ("timestamp", 1_500_000_000, 20, "50 Hz in milliseconds"),
        ("t", 1_500_000_000, 1000, "1000 Hz in microseconds"),
    ],
)
def test_the_clock_of_a_device_that_runs_for_weeks_is_no_date(tmp_path, name, first, step, truly):
    path = written(timed(first + step * np.arange(400), name), tmp_path)
    with pytest.raises(ValueError, match=f"unit of the clock '{name}' is unknown.*{truly}"):
        read_sensor(path, time=name)
    assert read_sensor(path, time=name, rate=float(truly.split()[0]))["rate"] == float(truly.split()[0])


@pytest.mark.parametrize("name", ["Time (mSec)", "Time (mS)", "MilliSeconds", "milli_seconds", "time_ms"])
def test_a_unit_is_found_however_its_name_is_written(tmp_path, name):
    path = written(timed(20 * np.arange(400), name), tmp_path)
    assert read_sensor(path, time=name)["rate"] == 50


def test_hours_are_a_unit(tmp_path):
    path = written(timed(np.arange(400) / 3600 / 50, "time (h)"), tmp_path)
    assert read_sensor(path, time="time (h)")["rate"] == pytest.approx(50)


def test_ticks_get_a_way_on(tmp_path):
    path = written(timed(638_000_000_000_000_000 + 200_000 * np.arange(400)), tmp_path)
    with pytest.raises(ValueError, match="If the clock counts ticks, divide it by its ticks a second"):
        read_sensor(path, time="t", rate=50)


def test_many_gaps_of_an_uneven_clock_stay_gaps(tmp_path):
    rng, there = np.random.default_rng(0), np.ones(3000, bool)
    for first in range(40, 3000, 60):  # 50 gaps of ten samples
        there[first : first + 10] = False
    times = (np.arange(3000) / 50 + rng.uniform(-0.006, 0.006, 3000)).round(4)[there]
    path = written(timed(times), tmp_path)
    for told in ({"rate": 50}, {"resample": 50}):
        sensor = read_sensor(path, time="t", **told)
        assert len(sensor["pieces"]) == 51 and sensor["lost"] == pytest.approx(500, abs=5)
    with pytest.raises(ValueError, match="by the time column it is 49.9|by the time column it is 50"):
        read_sensor(path, time="t", rate=41.66)
    with pytest.raises(ValueError, match="is uneven.*give rate=(50|49.9|50.0)"):
        read_sensor(path, time="t")


def test_a_clock_that_nobody_named_is_heard(tmp_path):
    table = timed(np.arange(400) / 50, "time")
    told = {"channels": [name for name in table if name != "time"]}
    (note,) = read_sensor(written(table, tmp_path), rate=100, **told)["notes"]
    assert note == "the clock 'time' is not used, and tells 50 Hz, not 100: give time='time'"
    assert read_sensor(written(table, tmp_path), rate=50, **told)["notes"] == []
    table.loc[200:, "time"] += 3600
    assert "tells 1 gaps" in read_sensor(written(table, tmp_path), rate=50, **told)["notes"][0]
    dates = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.tile(np.arange(200), 2) / 50, unit="s")
    table["time"] = dates.strftime("%Y-%m-%d %H:%M:%S.%f")
    with pytest.raises(ValueError, match="the clock 'time' starts again at line 202"):
        read_sensor(written(table, tmp_path), rate=50, **told)


@pytest.mark.parametrize("column", ["subject", "counter"])
def test_a_file_of_phyphox_may_hold_more_than_channels(tmp_path, column):
    table = timed((np.arange(400) / 50).round(2), "Time (s)")
    table[column] = np.repeat([1, 2], 200) if column == "subject" else np.arange(400)
    with pytest.raises(ValueError, match=f"channel '{column}' (keeps one value for long|rises)"):
        read_sensor(written(table, tmp_path))


def test_an_array_is_checked_as_a_table_is():
    signal = np.random.default_rng(0).normal(size=(400, 2))
    for column, said in (
        (np.arange(400) / 50, "rises from sample"),
        (np.repeat([1.0, 2], 200), "keeps one value"),
    ):
        array = np.c_[column, signal]
        with pytest.raises(ValueError, match=f"the array: channel 'channel 0' {said}.*array without it"):
            read_sensor(array, rate=50)
        assert read_sensor(array, rate=50, channels=["drift", "x", "y"])["channels"] == ["drift", "x", "y"]


def test_an_index_is_not_dropped_without_a_word():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 2)), columns=["x", "y"])
    assert read_sensor(table, rate=50)["notes"] == []
    (note,) = read_sensor(table[(table.index < 100) | (table.index > 200)], rate=50)["notes"]
    assert note == "the table has no row before row 201: without time, windows cross that place"
    dated = table.set_index(pd.date_range("2024", periods=400, freq="20ms"))
    with pytest.raises(ValueError, match="the times in its index are not read.*reset_index"):
        read_sensor(dated, rate=50)
    assert read_sensor(dated.rename_axis("time").reset_index(), time="time")["rate"] == 50


def test_numbers_that_may_be_a_label_or_a_code_are_named(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(3000, 2)).round(3), columns=["x", "y"])
    table["state"] = np.repeat(rng.integers(0, 4, 200), rng.integers(20, 40, 200))[:3000]
    table.loc[500:519, "x"] = -999
    notes = read_sensor(written(table, tmp_path), rate=10)["notes"]
    assert "channel 'state' holds only 4 whole numbers: if they say what happens, name it as label" in notes
    assert any(note.startswith("channel 'x' holds -999 in 20 samples, far from all others") for note in notes)


def test_labels_in_bytes_are_text():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 1)), columns=["x"])
    labels = np.repeat([b"walk", b"run", b"sit"], 100)
    assert cut_windows(read_sensor(table, rate=50, label=labels), 50)["label_names"] == ["run", "sit", "walk"]


def test_a_clock_whose_steps_are_usual_or_too_short_is_read_without_a_warning(tmp_path, recwarn):
    steps = np.where(np.arange(400) % 5 < 3, 32, 8)  # in whole milliseconds none is above the usual
    path = written(timed(np.cumsum(steps), "time (ms)"), tmp_path)
    assert read_sensor(path, time="time (ms)", rate=44)["gaps"] == [] and not recwarn.list
