"""Anybody's sensor, from a CSV file or an array: check it and cut it into windows."""

import warnings
import zipfile
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd

GAP = 1.5  # times the median step; a longer step begins a new piece
MIXED = 0.1  # of the rate: what two stretches may differ
STRETCH = 32  # steps on which a rate is measured


def read_sensor(source, rate=None, time=None, channels=None, label=None, group=None, array=None):
    """Read and check a recording; return its samples and its unbroken pieces.

    ``source`` is a .csv file with a header (or a pandas table), or an .npy or .npz file or an array,
    (samples,) or (samples, channels). Either ``rate``, in Hz, is given, or ``time``: seconds or date-times,
    from which the rate is measured. ``label`` says what is measured in each sample (an activity, a state) and
    ``group`` who or what (a person, machine or session): what must not be split between training and test.
    These three name a column of the table or an array of the .npz, or are arrays (samples,) themselves.
    ``channels`` chooses the columns of a table, by default all others, or names the channels of an array.
    ``array`` chooses the channels' array of an .npz if several are left.

    Returns a dict: "values" ((samples, channels) float32), "channels" (names), "rate" (Hz), "label" and
    "group" ((samples,) or None), "pieces" ((pieces, 2) int: where each unbroken stretch begins and where the
    next one does), "gaps" ([(line or row after the gap, seconds)]), "origin" (the source's name, and how its
    places are called and counted: lines of a .csv from 1, the header, otherwise rows from 0).

    A new label, a new group or a gap, a step of more than 1.5 times the median, begins a new piece. Time may
    start again where label or group change. Raises ValueError, saying where and what to do, for a file that
    cannot be read, a column or array that is missing, anything that is not a finite number, a constant
    channel, a clock that stands still or runs backward, rates that differ by more than 10 %, an unknown or
    impossible rate, a missing label or group, and an array that looks transposed.
    """
    fields, origin = _open(source)
    columns = {
        kind: _column(fields, origin, kind, given)
        for kind, given in (("time", time), ("label", label), ("group", group))
        if given is not None
    }
    named = [given for given in (time, label, group) if isinstance(given, str)]
    channels = [channels] if isinstance(channels, str) else channels
    if isinstance(fields, pd.DataFrame):
        table = _channel_columns(fields, origin, channels, named)
    else:
        table = _channel_array(fields, origin, channels, named, array)
    if len(table) < 2:
        _fail(origin, f"holds {len(table)} samples. A recording needs many: at least one window's.")
    for kind, column in columns.items():
        if len(column) != len(table):
            _fail(origin, f"{len(column)} entries of {kind} for {len(table)} samples. Give one for each.")
    values = _numbers(table, origin)
    _check_channels(table, values, origin, found=channels is None and isinstance(fields, pd.DataFrame))
    label, group = (
        _names(columns[kind], origin, kind) if kind in columns else None for kind in ("label", "group")
    )
    same = np.ones(len(values) - 1, bool)
    for names in (label, group):
        if names is not None:
            same &= names[1:] == names[:-1]
    if same.mean() < 0.5:
        first = _place(origin, int((~same).argmax()) + 1)
        _fail(
            origin,
            f"label or group change at most samples, first at {first}. Sort by group, then by time; are they "
            "columns of measurements?",
        )
    rate, gaps = _given_rate(rate, "time" in columns, origin), np.zeros(len(same), bool)
    if "time" in columns:
        steps = np.diff(_seconds(columns["time"], origin))
        _check_clock(steps, same, origin)
        gaps, measured = _gaps(steps, same, origin)
        if rate and abs(rate / measured - 1) > MIXED:
            _fail(
                origin,
                f"rate={rate:g} Hz, but by the time column it is {measured:g} Hz. Is the time in seconds? "
                "Correct one of the two, or leave rate out.",
            )
        rate = rate or measured
    starts = np.r_[0, np.flatnonzero(~same | gaps) + 1]
    return {
        "values": values,
        "channels": [str(name) for name in table.columns],
        "rate": rate,
        "label": label,
        "group": group,
        "pieces": np.column_stack([starts, np.r_[starts[1:], len(values)]]),
        "gaps": [(int(row) + 1 + origin["first"], float(steps[row])) for row in np.flatnonzero(gaps)],
        "origin": origin,
    }


def cut_windows(sensor, steps, stride=None):
    """Cut what ``read_sensor`` returns into windows of ``steps`` samples that lie in one piece each.

    ``stride`` is from one window's start to the next one's, by default half a window, as in UCI HAR.

    Returns a dict: "x" ((n, steps, channels) float32), "label" ((n,) int, codes into "label_names"; or None),
    "group" ((n,) or None), "start" ((n,) int, the first sample), "label_names" (or None), "channels", "rate"
    (Hz), "skipped" (samples in pieces that are too short; a label that has no other is not in the windows).
    Raises ValueError if no window fits, with the longest that would.
    """
    stride = max(1, steps // 2) if stride is None else stride
    if steps < 1 or stride < 1:
        raise ValueError(f"steps={steps}, stride={stride}: both count samples and are at least 1.")
    lengths = np.diff(sensor["pieces"])[:, 0]
    if lengths.max() < steps:
        begin, end = sensor["pieces"][lengths.argmax()]
        _fail(
            sensor["origin"],
            f"too short for a window of {steps} samples: the longest of {len(lengths)} unbroken pieces, "
            f"{_place(sensor['origin'], begin)} to {_place(sensor['origin'], end - 1)}, has {end - begin}. "
            f"Use steps={end - begin} or less"
            + (f"; {len(sensor['gaps'])} gaps in time break the recording." if sensor["gaps"] else "."),
        )
    start = np.concatenate([np.arange(begin, end - steps + 1, stride) for begin, end in sensor["pieces"]])
    label, names = None, None
    if sensor["label"] is not None:
        names, label = np.unique(sensor["label"][start], return_inverse=True)
        names = names.tolist()
    return {
        "x": sensor["values"][start[:, None] + np.arange(steps)],
        "label": label,
        "group": None if sensor["group"] is None else sensor["group"][start],
        "start": start,
        "label_names": names,
        "channels": sensor["channels"],
        "rate": sensor["rate"],
        "skipped": int(lengths[lengths < steps].sum()),
    }


def random_crops(sensor, part, rng):
    """Draw for each window of a part one that begins up to a stride later: float32 (n, steps, channels).

    ``part`` is one of those of `split_by_group`, of windows cut from ``sensor``. Each crop lies within the
    samples of the part and within one unbroken piece, so it has its window's label and group; where no window
    of the part continues a window, that one is taken as it is.
    """
    steps, start = part["x"].shape[1], part["start"]
    piece = np.searchsorted(sensor["pieces"][:, 0], start, side="right")
    ahead = np.diff(start)
    room = np.where((np.diff(piece) == 0) & (ahead <= steps), ahead, 1)
    start = start + np.r_[rng.integers(room), 0]
    return sensor["values"][start[:, None] + np.arange(steps)]


def _fail(origin, what):
    raise ValueError(f"{origin['name']}: {what}")


def _place(origin, sample):
    return f"{origin['word']} {sample + origin['first']}"


def _open(source):
    """Return the columns (a table), or the arrays by name (None for the only one), and the origin."""
    rows = {"word": "row", "first": 0}
    if isinstance(source, pd.DataFrame):
        origin = {"name": "the table", **rows}
        if not source.columns.is_unique:
            _fail(origin, f"two columns {source.columns[source.columns.duplicated()][0]!r}. Rename one.")
        return source.reset_index(drop=True), origin
    if not isinstance(source, str | Path):
        return {None: np.asarray(source)}, {"name": "the array", **rows}
    path = Path(source)
    origin = {"name": str(path), **rows}
    kind = path.suffix.lower()
    if kind not in (".csv", ".npy", ".npz"):
        _fail(origin, "of an unknown kind. Save it as .csv, .npy or .npz.")
    if not path.is_file():
        _fail(origin, f"there is no such file in {path.absolute().parent}. Check name and folder.")
    if not path.stat().st_size:
        _fail(origin, "the file is empty. Write or copy it again.")
    if kind == ".csv":
        origin |= {"word": "line", "first": 2}
        return _read_csv(path, origin), origin
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            return dict(stored) if kind == ".npz" else {None: stored}, origin
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        _fail(origin, f"cannot be read as arrays of numbers ({error}). Save it again with numpy.")


def _read_csv(path, origin):
    options = {"encoding": "utf-8-sig", "skip_blank_lines": False, "skipinitialspace": True}
    options |= {"keep_default_na": False, "na_values": [""]}  # "NA" and "null" are somebody's labels
    try:
        names = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0]
        if names.isna().all():
            _fail(origin, "line 1 is empty. Begin with a line of column names.")
        if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
            _fail(origin, "the columns are not separated by commas. Save it with commas and decimal points.")
        if names.duplicated().any():
            _fail(origin, f"line 1 has two columns {names[names.duplicated()].iloc[0]!r}. Rename one.")
        numeric = pd.to_numeric(names, errors="coerce").notna().all()
        if numeric and names.tolist() != [str(number) for number in range(len(names))]:
            _fail(origin, "line 1 holds numbers. Put a line of column names before it.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it would drop the fields beyond
            table = pd.read_csv(path, index_col=False, low_memory=False, **options)
    except pd.errors.ParserWarning:
        _fail(origin, "line 2 has more fields than line 1 has names. Name each column, or remove the fields.")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        _fail(origin, f"cannot be read as a table in UTF-8 ({error}). Correct this line or save it again.")
    filled = np.flatnonzero(table.notna().any(axis=1))  # spreadsheets leave empty lines at the end
    if not len(filled):
        _fail(origin, "there is a header, but no sample below it.")
    return table.iloc[: filled[-1] + 1]


def _get(fields, origin, name, use):
    if name not in fields:
        there = ", ".join(repr(known) for known in fields if known is not None) or "none"
        what = "column" if isinstance(fields, pd.DataFrame) else "array"
        _fail(origin, f"there is no {what} {name!r} for {use}. Those there are: {there}.")
    return fields[name]


def _column(fields, origin, kind, given):
    if isinstance(given, str):
        given = _get(fields, origin, given, kind)
    if np.ndim(given) != 1:
        _fail(origin, f"the {kind} has shape {np.shape(given)}. Give one entry for each sample.")
    return pd.Series(given).reset_index(drop=True)


def _channel_columns(fields, origin, channels, named):
    if channels is None:
        channels = [name for name in fields if name not in named]
    if not len(channels):
        _fail(origin, "no column is left for the channels. Name them: channels=[...].")
    return pd.DataFrame({name: _get(fields, origin, name, "channels") for name in channels})


def _channel_array(fields, origin, channels, named, array):
    if array is None:
        left = [name for name in fields if name not in named]
        if len(left) != 1:
            shapes = ", ".join(f"{name!r} {fields[name].shape}" for name in left) or "none"
            _fail(origin, f"which array holds the channels? Choose one with array=...: {shapes}.")
        array = left[0]
    values = _get(fields, origin, array, "channels")
    if values.ndim not in (1, 2) or not values.size:
        _fail(origin, f"shape {values.shape}. It must be (samples,) or (samples, channels), and not empty.")
    if values.dtype.kind not in "iuf":
        _fail(origin, f"its type is {values.dtype}. Channels are integers or floating-point numbers.")
    values = values.reshape(len(values), -1)
    samples, count = values.shape
    if count > samples:
        _fail(origin, f"{count} channels of {samples} samples each. Is it transposed? Then give array.T.")
    if channels is None:
        channels = [f"channel {number}" for number in range(count)]
    if len(channels) != count:
        _fail(origin, f"{len(channels)} names for {count} channels.")
    return pd.DataFrame(values, columns=channels)


def _floats(column):
    """Return float64, NaN where there is no number; true and false, dates and complex are none."""
    column = column if column.dtype.kind in "iuf" else column.astype(str)
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _numbers(table, origin):
    """Return (samples, channels) float32; all that is no finite number is an error."""
    values, bad = np.empty(table.shape, np.float32), []
    for index, (name, column) in enumerate(table.items()):
        with np.errstate(over="ignore"):
            values[:, index] = _floats(column)
        if wrong := _first(column, ~np.isfinite(values[:, index]), origin):
            bad.append(f"channel {name!r}, {wrong}")
    if bad:
        _fail(
            origin,
            f"not a finite number: {'; '.join(bad)}. Fill these samples, or remove them (with a time column "
            "that makes a gap); what is no channel is to be named as time, label or group, or left out.",
        )
    return values


def _first(column, wrong, origin):
    """Say where the first wrong entry is, what it holds, and how many more there are; "" if there is none."""
    if not wrong.any():
        return ""
    row, more = wrong.argmax(), int(wrong.sum()) - 1
    entry = column.iloc[row]
    held = "is empty" if pd.isna(entry) or entry == "" else f"holds {str(entry)!r}"
    return f"{_place(origin, row)} {held}" + (f" (and {more} more)" if more else "")


def _names(column, origin, kind):
    """Return (samples,) labels or groups: text without outer spaces, or numbers."""
    missing = column.isna().to_numpy()
    if column.dtype.kind not in "biuf":
        column = column.astype(str).str.strip()
        missing = missing | (column.to_numpy() == "")
    if missing.any():
        _fail(
            origin,
            f"{_place(origin, missing.argmax())} has no {kind} ({missing.sum()} of {len(missing)} samples). "
            'Fill them, with "none" if that is meant, or remove these samples.',
        )
    return column.to_numpy() if column.dtype.kind in "biuf" else column.to_numpy(dtype=str)


def _check_channels(table, values, origin, found):
    for name, column in table.items():
        if found and column.is_monotonic_increasing and column.is_unique:
            _fail(
                origin,
                f"channel {name!r} rises from sample to sample, as a clock or a count of the rows does. Give "
                f"time={name!r}, or choose the channels: channels=[...].",
            )
    constant = np.flatnonzero(np.ptp(values, axis=0) == 0)
    if len(constant):
        name = table.columns[constant[0]]
        _fail(
            origin,
            f"channel {name!r} is {values[0, constant[0]]:g} in every sample, from {_place(origin, 0)} to "
            f"{_place(origin, len(values) - 1)}. Leave it out: there is nothing to learn from it.",
        )


def _given_rate(rate, timed, origin):
    if rate is None:
        if not timed:
            _fail(origin, "the sampling rate is unknown. Give rate=..., in Hz, or time=..., the timestamps.")
        return None
    if not isinstance(rate, Real) or not 0 < rate < np.inf:
        _fail(origin, f"rate={rate!r}. It must be a positive number of samples a second (Hz).")
    return float(rate)


def _seconds(column, origin):
    seconds = _floats(column)
    if np.isnan(seconds).all():
        moments = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
        if moments.isna().all():
            # What it guesses wrong runs backward, and is found.
            with warnings.catch_warnings(action="ignore"):
                moments = pd.to_datetime(column, errors="coerce", utc=True)
        seconds = ((moments - moments.min()) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    if wrong := _first(column, ~np.isfinite(seconds), origin):
        _fail(origin, f"not a time: {wrong}. Times are seconds, or date-times of one format.")
    return seconds


def _check_clock(steps, same, origin):
    wrong = same & (steps <= 0)
    if wrong.any():
        row = int(wrong.argmax()) + 1
        what = "the same time as" if steps[row - 1] == 0 else f"{-steps[row - 1]:g} s earlier than"
        _fail(
            origin,
            f"{_place(origin, row)} is {what} the one before it ({wrong.sum()} such samples). If a new "
            "recording begins there, name a column that tells them apart as group; sort samples that are out "
            "of order, remove doubled ones; if the clock is only coarse, give rate instead of time.",
        )


def _gaps(steps, same, origin):
    """Return (steps,) booleans, where a gap is, and the rate (Hz) of the other steps."""
    # A thousandth, for clocks of milliseconds: at 400 Hz their steps are 2 and 3, which is no gap.
    gaps = same & (steps > 1.001 * GAP * np.median(steps[same]))
    usual = pd.Series(np.where(same & ~gaps, steps, np.nan))
    # The mean, because a clock's rounding leaves it alone; a median of 2 and 3 ms would be off by a fifth.
    local = usual.rolling(STRETCH, min_periods=STRETCH // 2).mean()
    slow = pd.Series(gaps).rolling(STRETCH).mean() > 0.5  # so many gaps are no gaps but a lower rate
    if len(steps) >= STRETCH and (local.max() > (1 + MIXED) * local.min() or slow.any()):
        _fail_mixed(steps, same, origin)
    return gaps, float(f"{1 / usual.mean():.6g}")


def _fail_mixed(steps, same, origin):
    # The change is where the steps before and after differ most; one gap must not look like it.
    median = np.median(steps[same])
    steps = pd.Series(np.log(np.clip(steps, median / 4, 4 * median))).where(same).ffill().bfill()
    before = steps.rolling(STRETCH, min_periods=STRETCH // 2).mean()
    after = steps[::-1].rolling(STRETCH, min_periods=STRETCH // 2).mean()[::-1].shift(-1)
    differ = (after - before).abs()
    change = int((differ > 0.99 * differ.max()).idxmax())  # the first of several
    _fail(
        origin,
        f"mixed rates: about {np.exp(-before[change]):.3g} Hz before {_place(origin, change + 1)}, about "
        f"{np.exp(-after[change]):.3g} Hz after it. Resample to one rate, or save the stretches in files "
        "of their own.",
    )
