"""Text files as devices and apps write them: where the table begins, what separates it, known formats."""

import numpy as np
import pandas as pd
import pytest

from own_sensor import read_sensor

VALUES = np.random.default_rng(0).normal(size=(400, 3)).cumsum(axis=0).round(3)
VALUES -= VALUES.mean(axis=0).round(3)
LINES = [",".join(f"{value:.3f}" for value in row) for row in VALUES]


def saved(tmp_path, lines, name="walk.csv", encoding="utf-8"):
    (tmp_path / name).write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return tmp_path / name


def read(path, **arguments):
    sensor = read_sensor(path, **arguments)
    assert np.allclose(sensor["values"], VALUES[-len(sensor["values"]) :], atol=1e-5)
    return sensor


BLOCK = ["---- Data File of a Device, 30 Hz ----", "Serial Number: 0", "Start Time 09:00:00", "----------"]
ABOVE = {  # lines above the names, and the names
    "a header block": [*BLOCK, "x,y,z"],
    "a header block padded with commas": [*(f"{line},," for line in BLOCK), "x,y,z"],
    "comment lines": ["# rate: 30 Hz", "# device 1, at 10:00", "x,y,z"],
    "numpy's comment of names": ["# x,y,z"],
    "empty lines": ["", "", "x,y,z"],
}


@pytest.mark.parametrize("case", ABOVE)
def test_the_table_begins_where_the_names_stand(tmp_path, case):
    above = ABOVE[case]
    sensor = read(saved(tmp_path, above + LINES), rate=30)
    assert sensor["channels"] == ["x", "y", "z"] and len(sensor["values"]) == 400
    told = [note for note in sensor["notes"] if note.startswith(f"the table begins at line {len(above)};")]
    assert len(told) == ("empty" not in case and "numpy" not in case)
    broken = LINES[:6] + ["0.1,oops,0.2"] + LINES[7:]
    with pytest.raises(ValueError, match=f"channel 'y', line {len(above) + 7} holds 'oops'"):
        read_sensor(saved(tmp_path, above + broken), rate=30)


NAMELESS = {  # lines above the samples, what the message says
    "numbers": (LINES, "line 1 holds numbers. Put a line of column names before it"),
    "numbers that repeat": (["1,65,65", *LINES], "line 1 holds numbers"),
    "a label": (
        [f"33,walk,{line}" for line in LINES],
        "line 1 looks like a sample. Put a line of column names",
    ),
    "semicolons at the end": ([f"{line};" for line in LINES], "line 1 holds numbers"),
    "a title only": (["A walk", *LINES], "line 1 has 1 field.*from line 2 on have 3. Put 3 column names"),
    "units": (["x,y,z", "g,g,g", *LINES], "line 2, 'g,g,g', stands between the column names and the samples"),
    "names twice": (["a title", "x,y,x", *LINES], "line 2 has two columns 'x'. Rename one"),
}


@pytest.mark.parametrize("case", NAMELESS)
def test_a_table_without_names_is_refused(tmp_path, case):
    lines, said = NAMELESS[case]
    with pytest.raises(ValueError, match=said):
        read_sensor(saved(tmp_path, lines), rate=30)


SEPARATED = {  # what stands between columns, whether decimals have a comma, what is said
    "semicolons": (";", False, ["columns are separated by semicolons"]),
    "semicolons, decimal commas": (
        ";",
        True,
        ["columns are separated by semicolons", "decimals are written"],
    ),
    "tabs": ("\t", False, ["columns are separated by tabs"]),
    "tabs, decimal commas": (
        "\t",
        True,
        ["columns are separated by tabs", "decimals are written with a comma"],
    ),
    "spaces": ("  ", False, ["columns are separated by spaces"]),
}


@pytest.mark.parametrize("case", SEPARATED)
@pytest.mark.parametrize("name", ["walk.csv", "walk.txt"])
def test_separator_and_decimal_comma_are_read_and_said(tmp_path, case, name):
    separator, comma, said = SEPARATED[case]
    lines = [line.replace(",", separator) for line in ["x,y,z", *LINES]]
    lines = [line.replace(".", ",") for line in lines] if comma else lines
    sensor = read(saved(tmp_path, lines, name), rate=30)
    assert len(sensor["notes"]) == len(said)
    assert all(note.startswith(each) for note, each in zip(sensor["notes"], said, strict=True))


def test_a_spreadsheets_hint_names_the_separator(tmp_path):
    lines = ["sep=|", *(line.replace(",", "|") for line in ["x,y,z", *LINES])]
    assert read(saved(tmp_path, lines), rate=30)["channels"] == ["x", "y", "z"]


def test_encodings_are_read_or_told(tmp_path):
    lines = ["t,Bx (µT),By (µT),Bz (µT)", *(f"{n / 50},{line}" for n, line in enumerate(LINES))]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        sensor = read(saved(tmp_path, lines, encoding=encoding), time="t")
        assert sensor["channels"][0] == "Bx (µT)"
        assert ("read as UTF-16" in sensor["notes"]) == (encoding == "utf-16")
    with pytest.raises(
        ValueError, match=r"no text in UTF-8 \(byte 0xb5\), perhaps Latin-1.*Save it as UTF-8"
    ):
        read_sensor(saved(tmp_path, lines, encoding="latin-1"), time="t")
    late = [*lines, "8.0,0,0,0 µ"]
    with pytest.raises(ValueError, match=r"no text in UTF-8 \(byte 0xb5\)"):
        read_sensor(saved(tmp_path, ["t,x,y,z", *late[1:] * 8, "µ"], encoding="latin-1"), time="t")
    with pytest.raises(ValueError, match="holds zero bytes"):
        read_sensor(saved(tmp_path, lines, encoding="utf-16-le"), time="t")


def test_a_file_of_sensor_logger_is_known(tmp_path):
    lines = ["time,seconds_elapsed,z,y,x"]
    lines += [f"{1_600_000_000_000_000_000 + n * 20_000_000},{n / 50},{line}" for n, line in enumerate(LINES)]
    path = saved(tmp_path, lines, "Accelerometer.csv")
    sensor = read(path)
    assert sensor["rate"] == 50 and sensor["channels"] == ["z", "y", "x"]
    assert "read as a file of Sensor Logger" in sensor["notes"]
    assert read(path, time="time")["rate"] == 50


@pytest.mark.parametrize("separator, comma", [(",", False), (";", True)])
def test_a_file_of_phyphox_is_known(tmp_path, separator, comma):
    names = [f'"Acceleration {axis} (m/s^2)"' for axis in "xyz"]
    lines = [",".join(['"Time (s)"', *names, '"Absolute acceleration (m/s^2)"'])]
    lines += [f"{n / 100:.6f},{line},{n % 7}.5" for n, line in enumerate(LINES)]
    lines = [line.replace(",", separator) for line in lines]
    lines = [lines[0], *(line.replace(".", ",") for line in lines[1:])] if comma else lines
    sensor = read(saved(tmp_path, lines, "Raw Data.csv"))
    assert sensor["rate"] == 100 and sensor["channels"] == [name.strip('"') for name in names]
    assert "read as a file of phyphox, without Absolute acceleration (m/s^2)" in sensor["notes"]


def test_files_of_an_empatica_are_known(tmp_path):
    above = ["1600000000.000000,1600000000.000000,1600000000.000000", "32.000000,32.000000,32.000000"]
    path = saved(tmp_path, above + LINES, "ACC.csv")
    sensor = read(path)
    assert sensor["rate"] == 32 and sensor["channels"] == ["x", "y", "z"] and len(sensor["values"]) == 400
    with pytest.raises(ValueError, match="rate=50 Hz, but the file says 32 Hz. Leave rate out"):
        read_sensor(path, rate=50)
    pulse = saved(tmp_path, ["1600000000.00", "64.00", *(line.split(",")[0] for line in LINES)], "BVP.csv")
    sensor = read_sensor(pulse)
    assert sensor["rate"] == 64 and sensor["channels"] == ["BVP"] and sensor["values"].shape == (400, 1)


def test_a_file_of_wisdm_is_known(tmp_path):
    time = 49_105_962_326_000 + np.arange(400) * 50_000_000
    what = np.repeat(["33,Walking", "33,Jogging", "34,Walking", "34,Jogging"], 100)
    lines = [f"{each},{stamp},{line};" for each, stamp, line in zip(what, time, LINES, strict=True)]
    lines[7:9] = [lines[7] + lines[8]]  # some lines hold two records
    lines[20] = lines[20].replace(";", ",;")
    sensor = read(saved(tmp_path, lines, "raw.txt"))
    assert sensor["rate"] == 20 and sensor["channels"] == ["x", "y", "z"] and len(sensor["values"]) == 400
    assert set(sensor["label"]) == {"Walking", "Jogging"} and set(sensor["group"]) == {33, 34}


def test_a_file_of_pamap2_is_known(tmp_path):
    rows = np.random.default_rng(0).normal(size=(400, 54)).round(4)
    rows[:, 0], rows[:, 1], rows[:, 2] = 8.38 + np.arange(400) / 100, np.repeat([0, 4], 200), np.nan
    rows[50, 5] = np.nan
    path = tmp_path / "subject101.dat"
    pd.DataFrame(rows).to_csv(path, sep=" ", header=False, index=False, na_rep="NaN")
    sensor = read_sensor(path)
    assert sensor["rate"] == pytest.approx(100) and len(sensor["channels"]) == 18
    assert sensor["channels"][:4] == ["hand acc16 x", "hand acc16 y", "hand acc16 z", "hand gyro x"]
    assert set(sensor["label"]) == {0, 4} and sensor["group"] is None
    assert len(sensor["values"]) == 399 and [line for line, _ in sensor["gaps"]] == [52]
    assert np.allclose(sensor["values"][0, [0, 3, 6]], rows[0, [4, 10, 21]])
    assert "1 samples without a value are left out" in " ".join(sensor["notes"])


def test_a_label_of_numbers_and_then_of_text_keeps_its_zeros(tmp_path):
    rows = 140_000  # pandas reads so many of ten columns in three pieces
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 9)).round(3)).add_prefix("x")
    table["state"] = np.repeat(["01", "A"], rows // 2)
    table.to_csv(tmp_path / "long.csv", index=False)
    sensor = read_sensor(tmp_path / "long.csv", rate=50, label="state")
    assert sorted(set(sensor["label"])) == ["01", "A"]


def test_a_last_column_that_is_mostly_empty_is_a_column(tmp_path):
    lines = [f"{n / 50:.2f},{np.sin(n):.3f},{'event' if n % 200 == 5 else ''}" for n in range(3000)]
    (tmp_path / "a.csv").write_text("\n".join(["time,x,marker", *lines]))
    sensor = read_sensor(tmp_path / "a.csv", time="time", channels=["x"])
    assert sensor["rate"] == 50 and len(sensor["values"]) == 3000


def test_a_stray_quote_swallows_no_lines(tmp_path):
    lines = [f"{np.sin(n):.3f},{np.cos(n):.3f},walk" for n in range(3000)]
    lines[100], lines[900] = lines[100].replace("walk", '"walk'), lines[900].replace("walk", 'walk"')
    (tmp_path / "a.csv").write_text("\n".join(["x,y,state", *lines]))
    with pytest.raises(ValueError, match="in sample 101 'state' begins with a quote and ends in another"):
        read_sensor(tmp_path / "a.csv", rate=50, label="state")
