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

    ``source`` is a .csv file with a header, a pandas table, an .npy or .npz file, or an array, (samples,) or
    (samples, channels). Give ``rate`` (Hz), or ``time`` (seconds or date-times), which tells the rate.
    ``label`` says what happens in each sample (an activity, a state), ``group`` who or what is measured (a
    person, machine or session): it must not be split between training and test. These three name a column or
    an array of the .npz, or are arrays (samples,). ``channels`` chooses columns, by default all others, or
    names an array's channels. ``array`` chooses the channels' array of an .npz if several are left.

    Returns a dict: "values" ((samples, channels) float32), "channels" (names), "rate" (Hz), "label" and
    "group" ((samples,) or None), "pieces" ((pieces, 2) int: where each unbroken stretch begins and where the
    next one does), "gaps" ([(line or row after the gap, seconds)]), "origin" (for messages). A new label, a
    new group, or a gap, a step of more than 1.5 times the median, begins a new piece. Time may start again
    where label or group change. Raises ValueError, which says where and what to do, for whatever of this is
    missing or cannot be read, values that are not finite numbers, a constant channel, a clock that stands
    still or runs backward, and rates that differ by more than 10 %.
    """
    name = "the table" if isinstance(source, pd.DataFrame) else "the array"
    if isinstance(source, str | Path):
        source, name = Path(source), str(source)
    try:
        sensor = _read(source, rate, {"time": time, "label": label, "group": group}, channels, array)
    except ValueError as error:
        error.args = (f"{name}: {error}",)
        raise
    sensor["origin"]["name"] = name
    return sensor


def _read(source, rate, given, channels, array):
    fields = _fields(source)
    given = {kind: it for kind, it in given.items() if it is not None}
    columns = {kind: _get(fields, it, kind) if isinstance(it, str) else it for kind, it in given.items()}
    taken = [it for it in given.values() if isinstance(it, str)]
    table = _channels(fields, [name for name in fields if name not in taken], channels, array)
    samples, places = len(table), table.index
    if samples < 2:
        raise ValueError(f"holds {samples} samples. A recording needs many: at least one window's.")
    for kind, column in columns.items():
        if (shape := np.shape(column)) != (samples,):
            raise ValueError(f"{kind} has shape {shape}. Give one entry for each of {samples} samples.")
        columns[kind] = pd.Series(column).set_axis(places)
    values = _numbers(table, guessed=channels is None and isinstance(fields, pd.DataFrame))
    names = {kind: _names(columns[kind], kind) for kind in ("label", "group") if kind in columns}
    same = np.ones(samples - 1, bool)
    for column in names.values():
        same &= column[1:] == column[:-1]
    if same.mean() < 0.5:
        said = f"label or group change at most samples, first at {_place(places, (~same).argmax() + 1)}"
        raise ValueError(f"{said}. Sort by group, then by time; are they columns of measurements?")
    rate, pauses = _rate_and_pauses(rate, columns.get("time"), same)
    borders = [0, *np.flatnonzero(~same | (pauses > 0)) + 1, samples]
    gaps = [(int(places[row + 1]), float(pauses[row])) for row in np.flatnonzero(pauses)]
    sensor = {"values": values, "channels": [str(name) for name in table], "rate": rate, "gaps": gaps}
    sensor |= {"pieces": np.array(list(pairwise(borders))), "origin": {"places": places}}
    return {"label": None, "group": None} | names | sensor


def _place(places, sample):
    return f"{places.name} {places[sample]}"


def _fields(source):
    """Return a table of columns, its index the places; or the arrays by name (None for the only one)."""
    if isinstance(source, pd.DataFrame):
        if not source.columns.is_unique:
            raise ValueError(f"two columns {source.columns[source.columns.duplicated()][0]!r}. Rename one.")
        return source.reset_index(drop=True).rename_axis("row")
    if not isinstance(source, Path):
        return {None: np.asarray(source)}
    readers = {".csv": _read_csv, ".npy": _read_arrays, ".npz": _read_arrays}
    if source.suffix.lower() not in readers:
        raise ValueError("of an unknown kind. Save it as .csv, .npy or .npz.")
    if not source.is_file():
        raise ValueError(f"there is no such file in {source.absolute().parent}. Check name and folder.")
    if not source.stat().st_size:
        raise ValueError("the file is empty. Write or copy it again.")
    return readers[source.suffix.lower()](source)


def _read_arrays(path):
    try:
        stored = np.load(path)
        return {None: stored} if isinstance(stored, np.ndarray) else dict(stored)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        said = f"cannot be read as arrays of numbers ({error}). Save it again with numpy."
        raise ValueError(said) from error


def _read_csv(path):
    options = {"encoding": "utf-8-sig", "skip_blank_lines": False, "skipinitialspace": True}
    options |= {"keep_default_na": False, "na_values": [""]}  # "NA" and "null" are somebody's labels
    try:
        _check_header(pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0])
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
    return table.set_axis(pd.RangeIndex(2, len(table) + 2, name="line"))[: filled[-1] + 1]


def _check_header(names):
    if names.isna().all():
        raise ValueError("line 1 is empty. Begin with a line of column names.")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        raise ValueError("columns are not separated by commas. Save it with commas and decimal points.")
    if names.duplicated().any():
        raise ValueError(f"line 1 has two columns {names[names.duplicated()].iloc[0]!r}. Rename one.")
    counted = [*names] == [*map(str, range(len(names)))]  # pandas writes these for columns without names
    if pd.to_numeric(names, errors="coerce").notna().all() and not counted:
        raise ValueError("line 1 holds numbers. Put a line of column names before it.")


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
    table = pd.DataFrame(values.reshape(len(values), -1)).add_prefix("channel ").rename_axis("row")
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


def _numbers(table, guessed):
    """Return (samples, channels) float32; refuse what is no finite number, no channel, or constant."""
    values, wrong = np.empty(table.shape, np.float32), []
    for (name, column), channel in zip(table.items(), values.T, strict=True):
        with np.errstate(over="ignore"):
            channel[:] = _floats(column)
        if not np.isfinite(channel).all():
            wrong.append(f"channel {name!r}, {_first(column, ~np.isfinite(channel))}")
        elif guessed and column.is_monotonic_increasing and column.is_unique:
            said = f"channel {name!r} rises from sample to sample, as a clock or a count of the rows does"
            raise ValueError(f"{said}. Give time={name!r}, or choose the channels: channels=[...].")
        elif not np.ptp(channel):
            where = f"{_place(table.index, 0)} to {_place(table.index, -1)}"
            said = f"channel {name!r} is {channel[0]:g} in every sample, from {where}"
            raise ValueError(f"{said}. Leave it out: there is nothing to learn from it.")
    if wrong:
        raise ValueError(
            f"not a finite number: {'; '.join(wrong)}. Fill these samples, or remove them (with a time "
            "column that makes a gap); name what is no channel as time, label or group, or leave it out."
        )
    return values


def _first(column, wrong):
    """Say where the first wrong entry is, what it holds, and how many more there are."""
    entry, more = column.iloc[wrong.argmax()], wrong.sum() - 1
    held = "is empty" if pd.isna(entry) or entry == "" else f"holds {str(entry)!r}"
    return f"{_place(column.index, wrong.argmax())} {held}" + (f" (and {more} more)" if more else "")


def _names(column, kind):
    """Return (samples,) labels or groups: text without outer spaces, or numbers."""
    missing, numeric = column.isna(), column.dtype.kind in "biuf"
    column = column if numeric else column.astype(str).str.strip()
    missing |= column.eq("")
    if count := missing.sum():
        said = f"{_place(column.index, missing.argmax())} has no {kind} ({count} of {len(missing)} samples)"
        raise ValueError(f'{said}. Fill them, with "none" if that is meant, or remove these samples.')
    return column.to_numpy(dtype=None if numeric else str)


def _seconds(column):
    seconds = _floats(column)
    for options in ({"format": "ISO8601"}, {}):
        if np.isnan(seconds).all():
            with warnings.catch_warnings(action="ignore"):  # what pandas guesses wrong runs backward
                moments = pd.to_datetime(column, errors="coerce", utc=True, **options)
            seconds = ((moments - moments.min()) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    if not np.isfinite(seconds).all():
        said = _first(column, ~np.isfinite(seconds))
        raise ValueError(f"not a time: {said}. Times are seconds, or date-times of one format.")
    return seconds


def _rate_and_pauses(rate, time, same):
    """Return the rate (Hz), and for each two samples the seconds between them if that is a gap, else 0."""
    if rate is None and time is None:
        raise ValueError("the sampling rate is unknown. Give rate=..., in Hz, or time=..., the timestamps.")
    if rate is not None and not (isinstance(rate, Real) and 0 < rate < np.inf):
        raise ValueError(f"rate={rate!r}. It must be a positive number of samples a second (Hz).")
    if time is None:
        return float(rate), np.zeros(len(same))
    steps = np.diff(_seconds(time))
    if (wrong := same & (steps <= 0)).any():
        row = wrong.argmax()
        what = "the same time as" if steps[row] == 0 else f"{-steps[row]:g} s earlier than"
        raise ValueError(
            f"{_place(time.index, row + 1)} is {what} the one before it ({wrong.sum()} such samples). If a "
            "new recording begins there, name a column that tells them apart as group; sort samples that are "
            "out of order, remove doubled ones; if the clock is only coarse, give rate instead of time."
        )
    # A thousandth, for clocks of milliseconds: at 400 Hz their steps are 2 and 3, which is no gap.
    gaps = same & (steps > 1.001 * GAP * np.median(steps[same]))
    _check_one_rate(steps, same, gaps, time.index)
    measured = float(f"{1 / steps[same & ~gaps].mean():.6g}")
    if rate and abs(rate / measured - 1) > MIXED:
        said = f"rate={rate:g} Hz, but by the time column it is {measured:g} Hz"
        raise ValueError(f"{said}. Is the time in seconds? Correct one of the two, or leave rate out.")
    return float(rate or measured), np.where(gaps, steps, 0)


def _check_one_rate(steps, same, gaps, places):
    window, median = {"window": STRETCH, "min_periods": STRETCH // 2}, np.median(steps[same])
    # The mean, because a clock's rounding leaves it alone; a median of 2 and 3 ms would be off by a fifth.
    local = pd.Series(np.where(same & ~gaps, steps, np.nan)).rolling(**window).mean()
    slow = pd.Series(gaps).rolling(STRETCH).mean() > 0.5  # so many gaps are no gaps but a lower rate
    if len(steps) < STRETCH or not (local.max() > (1 + MIXED) * local.min() or slow.any()):
        return
    # The change is where the steps before and after differ most; one gap must not look like it.
    logs = pd.Series(np.log(np.clip(steps, median / 4, 4 * median))).where(same).ffill().bfill()
    before, after = logs.rolling(**window).mean(), logs[::-1].rolling(**window).mean()[::-1].shift(-1)
    differ = (after - before).abs()
    change = int((differ > 0.99 * differ.max()).idxmax())  # the first of several
    said = f"mixed rates: about {np.exp(-before[change]):.3g} Hz before {_place(places, change + 1)}"
    said += f", about {np.exp(-after[change]):.3g} Hz after it"
    raise ValueError(f"{said}. Resample to one rate, or save the stretches apart.")


def cut_windows(sensor, steps, stride=None):
    """Cut what `read_sensor` returns into windows of ``steps`` samples that lie in one piece each.

    ``stride`` is from one window's start to the next one's, by default half a window. Returns a dict: "x"
    ((n, steps, channels) float32), "label" ((n,) int, codes into "label_names"; or None), "group" ((n,) or
    None), "start" ((n,) int, the first sample), "label_names" (those of windows, or None), "channels", "rate"
    (Hz), "skipped" (samples in pieces that are too short). Raises ValueError, with the longest window that
    would fit, if none does.
    """
    stride = max(1, steps // 2) if stride is None else stride
    if steps < 1 or stride < 1:
        raise ValueError(f"steps={steps}, stride={stride}: both count samples and are at least 1.")
    pieces, origin, gaps = sensor["pieces"], sensor["origin"], len(sensor["gaps"])
    lengths = pieces[:, 1] - pieces[:, 0]
    if (longest := lengths.max()) < steps:
        first, end = pieces[lengths.argmax()]
        where = f"{_place(origin['places'], first)} to {_place(origin['places'], end - 1)}"
        broken = f"; {gaps} gaps in time break the recording." if gaps else "."
        raise ValueError(
            f"{origin['name']}: too short for a window of {steps} samples: the longest of {len(lengths)} "
            f"unbroken pieces, {where}, has {longest}. Use steps={longest} or less{broken}"
        )
    start = np.concatenate([np.arange(first, end - steps + 1, stride) for first, end in pieces])
    windows = {"x": sensor["values"][start[:, None] + np.arange(steps)], "start": start, "label_names": None}
    windows |= {key: sensor[key] if sensor[key] is None else sensor[key][start] for key in ("label", "group")}
    if windows["label"] is not None:
        names, windows["label"] = np.unique(windows["label"], return_inverse=True)
        windows["label_names"] = names.tolist()
    windows |= {"channels": sensor["channels"], "rate": sensor["rate"]}
    return windows | {"skipped": int(lengths[lengths < steps].sum())}


def split_by_group(windows, shares=(0.6, 0.2, 0.2), seed=0):
    """Divide what `cut_windows` returns into training, validation and test part, by whole groups.

    ``shares`` are of the number of groups. ``seed`` draws a hundred divisions; the first of those is taken
    from whose parts the fewest labels are missing. Without groups each label's time is divided in order,
    whatever the ``seed``, and windows across a border are dropped, so no sample is in two parts. **Then the
    held-out numbers are optimistic**: the test is of the same person or machine, moments later.

    Returns a dict: "train", "validation", "test" (each a dict of "x", "label", "group" and "start" as in
    `cut_windows`), "label_names", "channels", "rate", "by" ("group" or "time"), "dropped" (windows across a
    border). Raises ValueError for impossible shares, fewer than three groups, a part without windows, and if
    a label is missing, a channel constant, or all channels of one label constant, in training.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares={shares}: give three positive numbers of sum 1, such as (0.6, 0.2, 0.2).")
    label = np.zeros(len(windows["x"]), int) if windows["label"] is None else windows["label"]
    by = "time" if windows["group"] is None else "group"
    part = _by_time(windows, label, shares) if by == "time" else _by_group(windows, label, shares, seed)
    if not (counts := np.bincount(part[part >= 0], minlength=3)).all():
        said = f"{len(part)} windows are too few: {PARTS[counts.argmin()]} would have none"
        raise ValueError(f"{said}. Record more, shorten the windows, or change the shares.")
    _check_training(windows, label, part == 0)
    divided = {"by": by, "dropped": int((part < 0).sum())}
    divided |= {key: windows[key] for key in ("label_names", "channels", "rate")}
    fields = {key: windows[key] for key in ("x", "label", "group", "start")}
    for number, name in enumerate(PARTS):
        divided[name] = {key: it if it is None else it[part == number] for key, it in fields.items()}
    return divided


def _check_training(windows, label, training):
    for name, spread in zip(windows["channels"], np.ptp(windows["x"][training], axis=(0, 1)), strict=True):
        if not spread:
            raise ValueError(f"Channel {name!r} is constant in all training windows. Leave it out.")
    for code, name in enumerate(windows["label_names"] or []):
        own = windows["x"][training & (label == code)]
        if not len(own):
            said = f"No training window has the label {name!r}. Choose groups that hold several labels each"
            raise ValueError(f"{said}, or another seed, or leave this label out.")
        if not np.ptp(own, axis=(0, 1)).any():
            raise ValueError(f"Nothing varies in the training windows of the label {name!r}. Leave it out.")


def _by_group(windows, label, shares, seed):
    """Return (n,) int, the part of each window: 0 for training, 1 for validation, 2 for the test."""
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
    divisions = np.ones((100, n), int)
    for division, (train, test) in zip(divisions, splitter.split(groups), strict=True):
        division[train], division[test] = 0, 2
    holds = pd.crosstab(member, label).to_numpy() > 0
    absent = np.array([(~((divisions == part) @ holds)).sum(axis=1) for part in range(3)])
    # What training lacks cannot be learned, so it comes first.
    return divisions[np.lexsort((absent.sum(axis=0), absent[0]))[0], member]


def _by_time(windows, label, shares):
    """Return the same as `_by_group`, and -1 for a window across a border."""
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
