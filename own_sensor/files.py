"""Files of sensors: where the table begins, what separates its columns, and formats known by their look."""

import codecs
import csv
import io
import re
import warnings
from collections import Counter

import numpy as np
import pandas as pd

HEAD = 1 << 16  # bytes in which the layout of a file is looked for
COMMENTS = ("#", "%", "//")
EPOCH = (9.4e8, 4.2e9)  # seconds since 1970: the years 2000 to 2100
WISDM = re.compile(r"\d+,\w+,\d+(,-?[\d.Ee-]*){3};")
IMU = ("temperature", *(f"{kind} {axis}" for kind in ("acc16", "acc6", "gyro", "mag") for axis in "xyz"))
IMU += tuple(f"orientation {number}" for number in range(1, 5))


def read_file(path):
    """Read a file of samples; return its columns, what its format says of them, and notes.

    The columns are a table whose index tells the lines, or a dict of arrays (the name None for an .npy). What
    the format says are arguments of `read_sensor`: those of Sensor Logger, phyphox, Empatica E4,
    WISDM and PAMAP2 are known. Notes are sentences on what was found out and not told. Raises ValueError,
    which says what to do, if the file is missing, empty, of another kind, or no table with column names.
    """
    readers = dict.fromkeys((".csv", ".txt", ".tsv", ".dat", ".log"), _read_text)
    readers |= {".npy": _read_arrays, ".npz": _read_arrays}
    if path.suffix.lower() not in readers:
        raise ValueError("of an unknown kind. Save it as .csv, .npy or .npz.")
    if not path.is_file():
        raise ValueError(f"there is no such file in {path.absolute().parent}. Check name and folder.")
    if not path.stat().st_size:
        raise ValueError("the file is empty. Write or copy it again.")
    return readers[path.suffix.lower()](path)


def _read_arrays(path):
    name, advice = None, "Save it again with numpy."
    try:
        stored = np.load(path)
        if isinstance(stored, np.ndarray):
            return {None: stored}, {}, []
        arrays = {}
        for name in stored:
            advice = f"Save array {name!r} as text or numbers: {name}.astype(str) or .astype(float)."
            arrays[name] = stored[name]
        return arrays, {}, []
    except Exception as error:  # damaged zips raise a dozen kinds
        if name is None and "Object arrays" in str(error):
            advice = "Save it as an array of numbers: array.astype(float)."
        raise ValueError(f"cannot be read as arrays of numbers ({error}). {advice}") from error


def _read_text(path):
    try:
        lines, encoding = _head(path)
        for known in (_empatica, _wisdm, _pamap2):
            if found := known(path, lines):
                return found
        return _read_table(path, lines, encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"this is no text in UTF-8 (byte {error.object[error.start]:#x}), perhaps Latin-1 from a "
            "spreadsheet. Save it as UTF-8 (in Excel: CSV UTF-8), or give a table as source, that of "
            "pandas.read_csv(..., encoding='latin-1')."
        ) from error


def _head(path):
    """Return the first lines as text, and the encoding."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    marks = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
    encoding = "utf-16" if head.startswith(marks) else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in head:
        raise ValueError("holds zero bytes: it is no text, or UTF-16 without its mark. Save it as UTF-8.")
    lines = re.split("\r\n|\n|\r", codecs.getincrementaldecoder(encoding)().decode(head))
    return lines if len(head) < HEAD else lines[:-1], encoding


def _split(line, separator, width=0):
    """Return the fields of a line without the empty ones at its end, beyond ``width``."""
    rows = [line.split()] if separator == r"\s+" else csv.reader([line], delimiter=separator)
    fields = [field.strip() for field in next(iter(rows), [])]
    while len(fields) > width and not fields[-1]:
        fields.pop()
    return fields


def _is_number(field, decimal="."):
    try:
        float(field.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _is_comment(line):
    return line.lstrip().startswith(COMMENTS)


def _separator(lines):
    """Return what separates the columns of the last half of the lines: the pattern, and its name."""
    body = [line for line in lines if line.strip() and not _is_comment(line)]
    body = body[len(body) // 2 :]
    for separator, name in (("\t", "tabs"), (";", "semicolons"), (",", "commas"), (r"\s+", "spaces")):
        rows = [_split(line, separator) for line in body]
        ((width, often),) = Counter(map(len, rows)).most_common(1) or [(0, 0)]
        numbers = sum(all(map(_is_number, row)) for row in rows)
        # A date and a time, or the words of a sentence, are no columns between spaces.
        if width > 1 and often >= 0.8 * len(rows) and (separator != r"\s+" or numbers >= 0.8 * len(rows)):
            return separator, name
    return ",", "commas"


def _layout(lines):
    """Return what `pandas.read_csv` must be told, the number of the names' line, and notes."""
    if not lines:
        raise ValueError("its first line is longer than that of a table. Begin with a line of column names.")
    hint = re.fullmatch(r'"?sep=(.)"?', lines[0])  # a line that some spreadsheets and exports write
    separator, spoken = (hint[1], "the sign that line 1 names") if hint else _separator(lines)
    rows = [[] if _is_comment(line) else _split(line, separator) for line in lines]
    if hint:
        rows[0] = []
    filled = [number for number, row in enumerate(rows) if row]
    if not filled:
        raise ValueError("line 1 is empty. Begin with a line of column names.")
    body = [rows[number] for number in filled[len(filled) // 2 :]]
    width = Counter(map(len, body)).most_common(1)[0][0]
    # The last columns may be empty in most samples, such as a marker's, but not in the line of names.
    written = max(len(_split(lines[number], separator, np.inf)) for number in filled[len(filled) // 2 :])
    if separator != r"\s+" and any(len(rows[number]) == written for number in filled[: len(filled) // 2]):
        width = written
        rows = [_split(line, separator, width) if row else row for line, row in zip(lines, rows, strict=True)]
        body = [rows[number] for number in filled[len(filled) // 2 :]]
    body = [row for row in body if len(row) == width]
    ends = separator == "," and all(row[-1].endswith(";") for row in body)
    if ends:
        rows = [[field.rstrip(";") for field in row] for row in rows]
        body = [[field.rstrip(";") for field in row] for row in body]
    entries = [field for row in body for field in row]
    comma = any(re.fullmatch(r"-?\d+,\d+", field) for field in entries)
    comma &= not any(re.fullmatch(r"-?\d*\.\d+", field) for field in entries)
    decimal = "," if comma and separator != "," else "."
    numeric = [n for n in range(width) if 2 * sum(_is_number(row[n], decimal) for row in body) > len(body)]
    names, line = _names_of(lines, rows, separator, decimal, numeric, width)
    notes = [f"columns are separated by {spoken}"] * (separator != ",")
    notes += ["decimals are written with a comma"] * (decimal == ",")
    if line > bool(hint) and any(each.strip() for each in lines[int(bool(hint)) : line]):
        text = next(each for each in lines[int(bool(hint)) :] if each.strip())
        notes += [f"the table begins at line {line + 1}; what is above is left out, first {text[:60]!r}"]
    options = {"sep": separator, "decimal": decimal, "names": names, "skiprows": line + 1}
    return options | ({"comment": ";"} if ends else {}), line, notes


def _names_of(lines, rows, separator, decimal, numeric, width):
    """Return the column names and the number of their line; refuse a table without."""

    def is_sample(row):
        known = [row[n] for n in numeric if n < len(row) and row[n]]
        return len(row) == width and bool(known) and all(_is_number(field, decimal) for field in known)

    def are_names(row):
        # The first may be empty: the index that a pandas table is saved with.
        return len(row) == width and all(row[1:]) and not any(_is_number(row[n], decimal) for n in numeric)

    if lines[0].strip() and not lines[0].strip(f"{separator} "):
        raise ValueError("line 1 is empty. Begin with a line of column names.")
    first = next((number for number, row in enumerate(rows) if is_sample(row)), None)
    top = next(number for number, row in enumerate(rows) if row)
    if first is None:
        return _unique(rows[top], top), top
    counted = [str(number) for number in range(width)]  # pandas writes these for columns without names
    if first == top and (rows[top] == counted or rows[top] == ["", *counted[:-1]]):
        return _unique(rows[top], top), top
    for number in range(first):
        if are_names(rows[number]):
            between = [n for n in range(number + 1, first) if rows[n]]
            if between and all(len(rows[n]) == width and are_names(rows[n]) for n in between):
                said = f"line {between[0] + 1}, {lines[between[0]][:60]!r}, stands between the column names"
                raise ValueError(f"{said} and the samples. Remove it.")
            return _unique(rows[number], number), number
    if first and _is_comment(lines[first - 1]):
        names = _split(lines[first - 1].lstrip().lstrip("#%/"), separator)
        if are_names(names):
            return _unique(names, first - 1), first - 1
    if first == top:
        said = "holds numbers" if len(numeric) == width else "looks like a sample"
        raise ValueError(f"line {first + 1} {said}. Put a line of column names before it.")
    said = f"line {top + 1} has {len(rows[top])} field(s), but the samples from line {first + 1} on have"
    raise ValueError(
        f"{said} {width}. Put {width} column names, separated as the samples are, on the line before "
        "them; what stands above is then left out."
    )


def _unique(names, line):
    twice = [name for name, often in Counter(names).items() if often > 1 and name]
    if twice:
        raise ValueError(f"line {line + 1} has two columns {twice[0]!r}. Rename one.")
    return [name or f"Unnamed: {number}" for number, name in enumerate(names)]


def _read_table(path, lines, encoding):
    options, line, notes = _layout(lines)
    # "NA" and "null" are somebody's labels.
    options |= {"encoding": encoding, "keep_default_na": False, "na_values": [""], "header": None}
    options |= {"skip_blank_lines": False, "skipinitialspace": True, "index_col": False}
    try:
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            warnings.simplefilter("error", pd.errors.DtypeWarning)
            try:  # in pieces, which takes 170 MB less for 1e6 rows
                table = pd.read_csv(path, **options)
            except pd.errors.DtypeWarning:  # numbers in one piece and text in another: it is all text
                table = pd.read_csv(path, **options, low_memory=False)
    except pd.errors.ParserWarning as error:  # it would drop the fields beyond
        said = f"line {line + 2} has more fields than line {line + 1} has names. Name each column, or"
        raise ValueError(f"{said} remove the fields.") from error
    except pd.errors.EmptyDataError as error:
        raise ValueError("there is a header, but no sample below it.") from error
    except pd.errors.ParserError as error:
        said = f"cannot be read as a table ({str(error).strip()}). Correct this line"
        raise ValueError(f"{said}: it has more fields than line {line + 1} has names.") from error
    filled = np.flatnonzero(table.notna().any(axis=1))  # spreadsheets leave empty lines at the end
    if not len(filled):
        raise ValueError("there is a header, but no sample below it.")
    table = _numbered(table, line + 2)[: filled[-1] + 1]
    for name in table.select_dtypes(exclude="number"):
        if (broken := table[name].astype(str).str.contains("\n", regex=False)).any():
            said = f"in sample {broken.argmax() + 1} {name!r} begins with a quote and ends in another line"
            raise ValueError(f"{said}. Remove the quote, or close it in its line.")
    known, said = _named_as(list(table))
    return table, known, ([f"read as {encoding.upper()}"] if encoding == "utf-16" else []) + notes + said


def _numbered(table, first):
    """Return the table with its lines as the index."""
    return table.set_axis(pd.RangeIndex(first, len(table) + first, name="line"))


def _named_as(names):
    """Return what Sensor Logger's or phyphox' column names say, and notes."""
    if {"time", "seconds_elapsed"} <= set(names):
        channels = [name for name in names if name not in ("time", "seconds_elapsed")]
        return {"time": "seconds_elapsed", "channels": channels}, ["read as a file of Sensor Logger"]
    if names[0] == "Time (s)" and len(names) > 1:
        derived = [name for name in names if name.startswith("Absolute ")]  # from the other columns
        channels = [name for name in names[1:] if name not in derived] or derived
        without = f", without {', '.join(derived)}" * (channels != derived and bool(derived))
        return {"time": names[0], "channels": channels}, [f"read as a file of phyphox{without}"]
    return {}, []


def _empatica(path, lines):
    """Line 1: when it began (seconds since 1970), in each column. Line 2: the rate. Then the samples."""
    rows = [_split(line, ",") for line in lines[:2]]
    if len(rows) < 2 or len(rows[0]) != len(rows[1]) or not all(map(_is_number, rows[0] + rows[1])):
        return None
    begun, rates = ({float(field) for field in row} for row in rows)
    if len(begun) != 1 or len(rates) != 1 or not EPOCH[0] < min(begun) < EPOCH[1] or not 0 < min(rates) < 1e4:
        return None
    names = ["x", "y", "z"] if len(rows[0]) == 3 else [path.stem, *map(str, range(1, len(rows[0])))]
    table = _numbered(pd.read_csv(path, skiprows=2, header=None, names=names[: len(rows[0])]), 3)
    said = f"read as a file of Empatica E4: line 1 is the start, line 2 the rate, {min(rates):g} Hz"
    return table, {"rate": min(rates)}, [said]


def _wisdm(path, lines):
    """Each record is user, activity, time (ns) and three axes, and ends with a semicolon."""
    if len(lines) < 3 or not all(WISDM.match(line) for line in lines[:3]):
        return None
    text = path.read_text("utf-8").replace(",;", ";")
    text = re.sub(r";[ \t]*(?=\S)", "\n", text)  # some lines hold two records
    names = ["user", "activity", "time (ns)", "x", "y", "z"]
    table = pd.read_csv(io.StringIO(text), header=None, names=names, index_col=False, comment=";")
    return _numbered(table, 1), {"time": "time (ns)", "label": "activity", "group": "user"}, ["read as WISDM"]


def _pamap2(path, lines):
    """Time (s), activity, heart rate, and three inertial units of 17 columns, between spaces."""
    rows = [line.split() for line in lines[:3]]
    if len(rows) < 3 or not all(len(row) == 54 and all(map(_is_number, row)) for row in rows):
        return None
    names = [f"{place} {each}" for place in ("hand", "chest", "ankle") for each in IMU]
    table = pd.read_csv(path, sep=r"\s+", header=None, names=["time (s)", "activity", "heart rate", *names])
    channels = [name for name in names if "acc16" in name or "gyro" in name]
    whole = table[channels].notna().all(axis=1)
    said = "read as PAMAP2, acceleration (16 g) and rotation of three places; activity 0 is what lay between"
    said += f"; {(~whole).sum()} samples without a value are left out, as gaps" * (not whole.all())
    known = {"time": "time (s)", "label": "activity", "channels": channels}
    return _numbered(table, 1)[whole.to_numpy()], known, [said]
