"""Anybody's sensor, from a CSV file or an array: check it, cut it into windows, divide them into parts."""

import warnings
import zipfile
from itertools import pairwise
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import ShuffleSplit

GAP = 1.5  # times the median step; a longer step begins a new piece
MIXED = 0.1  # of the rate: what two stretches may differ
STRETCH = 32  # steps on which a rate is measured
PARTS = ("train", "validation", "test")


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
    places are called and counted: lines of a .csv from 1, the header, otherwise rows from 0). A new label, a
    new group or a gap, a step of more than 1.5 times the median, begins a new piece. Time may start again
    where label or group change. Raises ValueError, saying where and what to do, for a file that cannot be
    read, a missing column or array, anything that is not a finite number, a constant channel, a clock that
    stands still or runs backward, rates that differ by more than 10 %, an unknown or impossible rate, a
    missing label or group, and an array that looks transposed.
    """
    source = Path(source) if isinstance(source, str) else source
    name = "the table" if isinstance(source, pd.DataFrame) else "the array"
    origin = {"name": str(source) if isinstance(source, Path) else name, "word": "row", "first": 0}
    try:
        return _read(source, rate, {"time": time, "label": label, "group": group}, channels, array, origin)
    except ValueError as error:
        error.args = (f"{origin['name']}: {error}",)
        raise


def cut_windows(sensor, steps, stride=None):
    """Cut what ``read_sensor`` returns into windows of ``steps`` samples that lie in one piece each.

    ``stride`` is from one window's start to the next one's, by default half a window, as in UCI HAR. Returns
    a dict: "x" ((n, steps, channels) float32), "label" ((n,) int, codes into "label_names"; or None), "group"
    ((n,) or None), "start" ((n,) int, the first sample), "label_names" (or None), "channels", "rate" (Hz),
    "skipped" (samples in pieces that are too short; a label that has no other is not in the windows). Raises
    ValueError if no window fits, with the longest that would.
    """
    stride = max(1, steps // 2) if stride is None else stride
    if steps < 1 or stride < 1:
        raise ValueError(f"steps={steps}, stride={stride}: both count samples and are at least 1.")
    lengths, origin, gaps = np.diff(sensor["pieces"])[:, 0], sensor["origin"], len(sensor["gaps"])
    if lengths.max() < steps:
        begin, end = sensor["pieces"][lengths.argmax()]
        raise ValueError(
            f"{origin['name']}: too short for a window of {steps} samples: the longest of {len(lengths)} "
            f"unbroken pieces, {_place(origin, begin)} to {_place(origin, end - 1)}, has {end - begin}. Use "
            f"steps={end - begin} or less" + (f"; {gaps} gaps in time break the recording." if gaps else ".")
        )
    start = np.concatenate([np.arange(begin, end - steps + 1, stride) for begin, end in sensor["pieces"]])
    windows = {"x": sensor["values"][start[:, None] + np.arange(steps)], "start": start}
    windows |= {key: sensor[key] if sensor[key] is None else sensor[key][start] for key in ("label", "group")}
    windows |= {"label_names": None, "channels": sensor["channels"], "rate": sensor["rate"]}
    if windows["label"] is not None:
        names, windows["label"] = np.unique(windows["label"], return_inverse=True)
        windows["label_names"] = names.tolist()
    return windows | {"skipped": int(lengths[lengths < steps].sum())}


def split_by_group(windows, shares=(0.6, 0.2, 0.2), seed=0):
    """Divide what `cut_windows` returns into training, validation and test part, by whole groups.

    ``shares`` are of the number of groups. ``seed`` draws a hundred divisions; the first of those is taken
    from whose parts the fewest labels are missing. Without groups each label's time is divided instead: the
    first share of it is for training, the last for the test (``seed`` changes nothing), and windows across a
    border are dropped, so no sample is in two parts. **Then the held-out numbers are optimistic**: the test
    is of the same person or machine, moments later, not of another one. Returns a dict: "train",
    "validation", "test", each a dict of "x" ((n, steps, channels) float32), "label" ((n,) int codes or None),
    "group" ((n,) or None) and "start" ((n,) int), and "label_names", "channels", "rate", "by" ("group" or
    "time"), "dropped" (windows across a border).

    Raises ValueError for fewer than three groups, for shares that are not three positive numbers of sum 1,
    for a part without windows, for a label that training lacks, and for a channel that is constant in
    training, or all channels in one label.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares={shares}: give three positive numbers of sum 1, such as (0.6, 0.2, 0.2).")
    label = np.zeros(len(windows["x"]), int) if windows["label"] is None else windows["label"]
    by = "time" if windows["group"] is None else "group"
    part = _by_time(windows, label, shares) if by == "time" else _by_group(windows, label, shares, seed)
    if not (counts := np.bincount(part[part >= 0], minlength=3)).all():
        raise ValueError(
            f"{len(part)} windows are too few: {PARTS[counts.argmin()]} would have none. Record more, "
            "shorten the windows, or change the shares."
        )
    training = windows["x"][part == 0]
    for name, spread in zip(windows["channels"], np.ptp(training, axis=(0, 1)), strict=True):
        if not spread:
            raise ValueError(f"Channel {name!r} is constant in all training windows. Leave it out.")
    for code, name in enumerate(windows["label_names"] or []):
        own = training[label[part == 0] == code]
        if not len(own):
            raise ValueError(
                f"No training window has the label {name!r}. Choose groups that hold several labels each, or "
                "another seed, or leave this label out."
            )
        if not np.ptp(own, axis=(0, 1)).any():
            raise ValueError(f"Nothing varies in the training windows of the label {name!r}. Leave it out.")
    fields = {key: windows[key] for key in ("x", "label", "group", "start")}
    parts = {
        name: {key: field if field is None else field[part == number] for key, field in fields.items()}
        for number, name in enumerate(PARTS)
    }
    parts |= {key: windows[key] for key in ("label_names", "channels", "rate")}
    return parts | {"by": by, "dropped": int((part < 0).sum())}


def _by_group(windows, label, shares, seed):
    groups, member = np.unique(windows["group"], return_inverse=True)
    if (n := len(groups)) < 3:
        raise ValueError(
            f"Windows of {n} group(s), {', '.join(map(str, groups))}, cannot be divided into three parts. "
            "Record at least three groups, use a finer one (sessions instead of persons), or read the sensor "
            "without group: then time is divided, and the held-out numbers are optimistic."
        )
    first = min(max(round(shares[0] * n), 1), n - 2)
    last = min(max(round(shares[2] * n), 1), n - 1 - first)
    splitter = ShuffleSplit(100, train_size=first, test_size=last, random_state=seed)
    divisions = np.ones((100, n), int)  # validation, if in neither of the two
    for division, (train, test) in zip(divisions, splitter.split(groups), strict=True):
        division[train], division[test] = 0, 2
    holds = pd.crosstab(member, label).to_numpy() > 0
    absent = np.array([(~((divisions == part) @ holds)).sum(axis=1) for part in range(3)])
    # What training lacks cannot be learned, so it comes first.
    return divisions[np.lexsort((absent.sum(axis=0), absent[0]))[0], member]


def _by_time(windows, label, shares):
    part, steps = np.full(len(label), -1), windows["x"].shape[1]
    for code in np.unique(label):
        own = np.flatnonzero(label == code)
        end = np.cumsum(np.r_[steps, np.minimum(steps, np.diff(windows["start"][own]))])
        begin = end - steps  # on the label's own time axis, without what lies between its windows
        edges = np.r_[begin[begin >= steps], end[-1]]  # so that training has at least one window
        borders = [edges[np.abs(edges - share * end[-1]).argmin()] for share in np.cumsum(shares)[:2]]
        for number, (low, high) in enumerate(pairwise([0, *borders, end[-1]])):
            part[own[(begin >= low) & (end <= high)]] = number
    return part


def _read(source, rate, given, channels, array, origin):
    fields = _fields(source, origin)
    given = {kind: it for kind, it in given.items() if it is not None}
    named = {kind: _get(fields, it, kind) if isinstance(it, str) else it for kind, it in given.items()}
    left = [name for name in fields if name not in [it for it in given.values() if isinstance(it, str)]]
    table = _channels(fields, left, channels, array)
    if len(table) < 2:
        raise ValueError(f"holds {len(table)} samples. A recording needs many: at least one window's.")
    for kind, column in named.items():
        if (shape := np.shape(column)) != (len(table),):
            raise ValueError(f"{kind} has shape {shape}. Give one entry for each of {len(table)} samples.")
        named[kind] = pd.Series(column).reset_index(drop=True)
    values = _numbers(table, origin, guessed=channels is None and isinstance(fields, pd.DataFrame))
    names = {kind: _names(named[kind], kind, origin) for kind in ("label", "group") if kind in named}
    same, gaps, steps = np.ones(len(values) - 1, bool), np.zeros(len(values) - 1, bool), None
    for column in names.values():
        same &= column[1:] == column[:-1]
    if same.mean() < 0.5:
        raise ValueError(
            f"label or group change at most samples, first at {_place(origin, (~same).argmax() + 1)}. Sort "
            "by group, then by time; are they columns of measurements?"
        )
    if rate is None and "time" not in named:
        raise ValueError("the sampling rate is unknown. Give rate=..., in Hz, or time=..., the timestamps.")
    if rate is not None and not (isinstance(rate, Real) and 0 < rate < np.inf):
        raise ValueError(f"rate={rate!r}. It must be a positive number of samples a second (Hz).")
    if "time" in named:
        steps = np.diff(_seconds(named["time"], origin))
        gaps, measured = _gaps(steps, same, origin)
        if rate and abs(rate / measured - 1) > MIXED:
            raise ValueError(
                f"rate={rate:g} Hz, but by the time column it is {measured:g} Hz. Is the time in seconds? "
                "Correct one of the two, or leave rate out."
            )
        rate = rate or measured
    starts = np.r_[0, np.flatnonzero(~same | gaps) + 1]
    pieces = np.column_stack([starts, np.r_[starts[1:], len(values)]])
    gaps = [(int(row) + 1 + origin["first"], float(steps[row])) for row in np.flatnonzero(gaps)]
    sensor = {"values": values, "rate": float(rate), "pieces": pieces, "gaps": gaps, "origin": origin}
    sensor |= {"channels": [str(name) for name in table.columns], "label": None, "group": None}
    return sensor | names


def _place(origin, sample):
    return f"{origin['word']} {sample + origin['first']}"


def _fields(source, origin):
    """Return a table of columns, or the arrays by name (None for the only one)."""
    if isinstance(source, pd.DataFrame):
        if not source.columns.is_unique:
            raise ValueError(f"two columns {source.columns[source.columns.duplicated()][0]!r}. Rename one.")
        return source.reset_index(drop=True)
    if not isinstance(source, Path):
        return {None: np.asarray(source)}
    kind = source.suffix.lower()
    if kind not in (".csv", ".npy", ".npz"):
        raise ValueError("of an unknown kind. Save it as .csv, .npy or .npz.")
    if not source.is_file():
        raise ValueError(f"there is no such file in {source.absolute().parent}. Check name and folder.")
    if not source.stat().st_size:
        raise ValueError("the file is empty. Write or copy it again.")
    if kind == ".csv":
        origin |= {"word": "line", "first": 2}
        return _read_csv(source)
    try:
        with source.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            return dict(stored) if kind == ".npz" else {None: stored}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        said = f"cannot be read as arrays of numbers ({error}). Save it again with numpy."
        raise ValueError(said) from error


def _read_csv(path):
    options = {"encoding": "utf-8-sig", "skip_blank_lines": False, "skipinitialspace": True}
    options |= {"keep_default_na": False, "na_values": [""]}  # "NA" and "null" are somebody's labels
    try:
        names = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0]
        if names.isna().all():
            raise ValueError("line 1 is empty. Begin with a line of column names.")
        if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
            raise ValueError("columns are not separated by commas. Save it with commas and decimal points.")
        if names.duplicated().any():
            raise ValueError(f"line 1 has two columns {names[names.duplicated()].iloc[0]!r}. Rename one.")
        if pd.to_numeric(names, errors="coerce").notna().all() and [*names] != [*map(str, range(len(names)))]:
            raise ValueError("line 1 holds numbers. Put a line of column names before it.")
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            table = pd.read_csv(path, index_col=False, low_memory=False, **options)
    except pd.errors.ParserWarning as error:  # it would drop the fields beyond
        said = "line 2 has more fields than line 1 has names. Name each column, or remove the fields."
        raise ValueError(said) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        said = f"cannot be read as a table in UTF-8 ({error}). Correct this line or save it again."
        raise ValueError(said) from error
    filled = np.flatnonzero(table.notna().any(axis=1))  # spreadsheets leave empty lines at the end
    if not len(filled):
        raise ValueError("there is a header, but no sample below it.")
    return table.iloc[: filled[-1] + 1]


def _get(fields, name, use):
    if name not in fields:
        there = ", ".join(repr(known) for known in fields if known is not None) or "none"
        what = "column" if isinstance(fields, pd.DataFrame) else "array"
        raise ValueError(f"there is no {what} {name!r} for {use}. Those there are: {there}.")
    return fields[name]


def _channels(fields, left, channels, array):
    """Return the channels as a table, from the columns or the array that are named or left."""
    channels = [channels] if isinstance(channels, str) else channels
    if isinstance(fields, pd.DataFrame):
        channels = left if channels is None else channels
        if not len(channels):
            raise ValueError("no column is left for the channels. Name them: channels=[...].")
        return pd.DataFrame({name: _get(fields, name, "channels") for name in channels})
    if array is None and len(left) != 1:
        shapes = ", ".join(f"{name!r} {fields[name].shape}" for name in left) or "none"
        raise ValueError(f"which array holds the channels? Choose one with array=...: {shapes}.")
    values = _get(fields, left[0] if array is None else array, "channels")
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"shape {values.shape}. It must be (samples,) or (samples, channels), not empty.")
    if values.dtype.kind not in "iuf":
        raise ValueError(f"its type is {values.dtype}. Channels are integers or floating-point numbers.")
    table = pd.DataFrame(values.reshape(len(values), -1)).add_prefix("channel ")
    samples, count = table.shape
    if count > samples:
        raise ValueError(f"{count} channels of {samples} samples each. Is it transposed? Then give array.T.")
    if channels is not None and len(channels) != count:
        raise ValueError(f"{len(channels)} names for {count} channels.")
    return table if channels is None else table.set_axis(channels, axis=1)


def _floats(column):
    """Return float64, NaN where there is no number; true and false, dates and complex are none."""
    column = column if column.dtype.kind in "iuf" else column.astype(str)
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _numbers(table, origin, guessed):
    """Return (samples, channels) float32; refuse what is no finite number, no channel, or constant."""
    values, wrong = np.empty(table.shape, np.float32), []
    for (name, column), channel in zip(table.items(), values.T, strict=True):
        with np.errstate(over="ignore"):
            channel[:] = _floats(column)
        if not np.isfinite(channel).all():
            wrong.append(f"channel {name!r}, {_first(column, ~np.isfinite(channel), origin)}")
        elif guessed and column.is_monotonic_increasing and column.is_unique:
            raise ValueError(
                f"channel {name!r} rises from sample to sample, as a clock or a count of the rows does. Give "
                f"time={name!r}, or choose the channels: channels=[...]."
            )
        elif not np.ptp(channel):
            raise ValueError(
                f"channel {name!r} is {channel[0]:g} in every sample, from {_place(origin, 0)} to "
                f"{_place(origin, len(channel) - 1)}. Leave it out: there is nothing to learn from it."
            )
    if wrong:
        raise ValueError(
            f"not a finite number: {'; '.join(wrong)}. Fill these samples, or remove them (with a time "
            "column that makes a gap); name what is no channel as time, label or group, or leave it out."
        )
    return values


def _first(column, wrong, origin):
    """Say where the first wrong entry is, what it holds, and how many more there are."""
    entry, more = column.iloc[wrong.argmax()], wrong.sum() - 1
    held = "is empty" if pd.isna(entry) or entry == "" else f"holds {str(entry)!r}"
    return f"{_place(origin, wrong.argmax())} {held}" + (f" (and {more} more)" if more else "")


def _names(column, kind, origin):
    """Return (samples,) labels or groups: text without outer spaces, or numbers."""
    missing, numeric = column.isna(), column.dtype.kind in "biuf"
    column = column if numeric else column.astype(str).str.strip()
    missing |= column.eq("")
    if missing.any():
        raise ValueError(
            f"{_place(origin, missing.argmax())} has no {kind} ({missing.sum()} of {len(missing)} samples). "
            'Fill them, with "none" if that is meant, or remove these samples.'
        )
    return column.to_numpy(dtype=None if numeric else str)


def _seconds(column, origin):
    seconds = _floats(column)
    for options in ({"format": "ISO8601"}, {}):
        if np.isnan(seconds).all():
            with warnings.catch_warnings(action="ignore"):  # what pandas guesses wrong runs backward
                moments = pd.to_datetime(column, errors="coerce", utc=True, **options)
            seconds = ((moments - moments.min()) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    if not np.isfinite(seconds).all():
        said = _first(column, ~np.isfinite(seconds), origin)
        raise ValueError(f"not a time: {said}. Times are seconds, or date-times of one format.")
    return seconds


def _gaps(steps, same, origin):
    """Check the clock; return (steps,) booleans, where a gap is, and the rate (Hz) of the other steps."""
    if (wrong := same & (steps <= 0)).any():
        row = wrong.argmax()
        what = "the same time as" if steps[row] == 0 else f"{-steps[row]:g} s earlier than"
        raise ValueError(
            f"{_place(origin, row + 1)} is {what} the one before it ({wrong.sum()} such samples). If a new "
            "recording begins there, name a column that tells them apart as group; sort samples that are out "
            "of order, remove doubled ones; if the clock is only coarse, give rate instead of time."
        )
    # A thousandth, for clocks of milliseconds: at 400 Hz their steps are 2 and 3, which is no gap.
    median, window = np.median(steps[same]), {"window": STRETCH, "min_periods": STRETCH // 2}
    gaps = same & (steps > 1.001 * GAP * median)
    usual = pd.Series(np.where(same & ~gaps, steps, np.nan))
    # The mean, because a clock's rounding leaves it alone; a median of 2 and 3 ms would be off by a fifth.
    local = usual.rolling(**window).mean()
    slow = pd.Series(gaps).rolling(STRETCH).mean() > 0.5  # so many gaps are no gaps but a lower rate
    if len(steps) < STRETCH or not (local.max() > (1 + MIXED) * local.min() or slow.any()):
        return gaps, float(f"{1 / usual.mean():.6g}")
    # The change is where the steps before and after differ most; one gap must not look like it.
    logs = pd.Series(np.log(np.clip(steps, median / 4, 4 * median))).where(same).ffill().bfill()
    before, after = logs.rolling(**window).mean(), logs[::-1].rolling(**window).mean()[::-1].shift(-1)
    differ = (after - before).abs()
    change = int((differ > 0.99 * differ.max()).idxmax())  # the first of several
    raise ValueError(
        f"mixed rates: about {np.exp(-before[change]):.3g} Hz before {_place(origin, change + 1)}, about "
        f"{np.exp(-after[change]):.3g} Hz after it. Resample to one rate, or save the stretches apart."
    )
