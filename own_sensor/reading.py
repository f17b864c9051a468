"""Read and check a recording, from a file, a table or an array."""

from itertools import pairwise
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd

from own_sensor.clock import first_wrong, floats, is_counter, place, read_clock, starts_again
from own_sensor.files import read_file

KINDS = ("label", "group", "recording")
HELD = 50  # samples for which an id or a label stays the same, on average, and a signal does not
CLOCK_WORDS = ("time", "stamp", "epoch", "elapsed")


def read_sensor(
    source,
    rate=None,
    time=None,
    channels=None,
    label=None,
    group=None,
    array=None,
    recording=None,
    resample=None,
):
    """Read and check a recording; return its samples and its unbroken pieces.

    ``source`` is a text file of a table (.csv, .txt, .tsv, .dat, .log), a pandas table, an .npy or .npz file,
    or an array, (samples,) or (samples, channels). Files of Sensor Logger, phyphox, Empatica E4, WISDM and
    PAMAP2 need nothing else. Otherwise give ``rate`` (Hz), or ``time``, which tells the rate: numbers in the
    unit that their name tells, else seconds, or date-times. Give both where the clock's unit is not known, or
    the samples are even and their stamps are not; ``resample`` (Hz) interpolates such samples linearly, and
    over single lost ones.

    ``label`` says what happens in each sample (an activity, a state). ``group`` says who or what is measured
    (a person, a machine), and is never split between training and test. ``recording`` tells recordings
    apart, also those of one group: no window lies in two. These and ``time`` name a column or an array of the
    .npz, or are arrays (samples,). ``channels`` chooses columns, by default all others, or names an array's
    channels. ``array`` chooses the channels' array of an .npz if several are left.

    Returns a dict: "values" ((samples, channels) float32), "level" ((channels,) float64, what was taken off
    channels that float32 is too coarse for, else 0), "channels" (names), "rate" (Hz), "label", "group" and
    "recording" ((samples,) or None), "pieces" ((pieces, 2) int: where each unbroken stretch begins and where
    the next one does), "gaps" ([(line or row after the gap, seconds)]), "lost" (samples that the gaps lack),
    "notes" (sentences on what was found out and not told), "origin" (for messages). A new label, group or
    recording, or a gap, a step of more than 1.5 times the median, begins a new piece. Time may start again
    there. Raises ValueError, which says where and what to do, for whatever of this is missing or cannot be
    read, values that are not finite numbers, a constant channel, a clock, count or id among the channels that
    were not chosen, and a clock that stands still, runs backward, is uneven or tells two rates.
    """
    name = "the table" if isinstance(source, pd.DataFrame) else "the array"
    if isinstance(source, str | Path):
        source, name = Path(source), str(source)
    given = {"time": time, "label": label, "group": group, "recording": recording}
    try:
        for what, hz in (("rate", rate), ("resample", resample)):
            if hz is not None and not (isinstance(hz, Real) and 0 < hz < np.inf):
                raise ValueError(f"{what}={hz!r}. It must be a positive number of samples a second (Hz).")
        sensor = _read(source, rate, given, channels, array, resample)
    except ValueError as error:
        error.args = (f"{name}: {error}",)
        raise
    sensor["origin"]["name"] = name
    return sensor


def _read(source, rate, given, channels, array, resample):
    fields, known, notes = _fields(source, given["time"] is not None)
    given = {kind: it for kind, it in given.items() if it is not None}
    if "rate" in known and rate and abs(rate / known["rate"] - 1) > 0.01:
        raise ValueError(f"rate={rate:g} Hz, but the file says {known['rate']:g} Hz. Leave rate out.")
    rate = rate or known.get("rate")
    named = isinstance(fields, pd.DataFrame)
    guessed = channels is None and not {"channels", "label"} <= known.keys()
    for kind in ("time", "label", "group"):
        if kind in known:
            given.setdefault(kind, known[kind])
    columns = {kind: _get(fields, it, kind) if isinstance(it, str) else it for kind, it in given.items()}
    taken = [it for it in given.values() if isinstance(it, str)]
    if channels is None and "channels" in known:
        channels = [name for name in known["channels"] if name not in taken]
    table = _channels(fields, [name for name in fields if name not in taken], channels, array)
    samples, places = len(table), table.index
    if samples < 2:
        raise ValueError(f"holds {samples} samples. A recording needs many: at least one window's.")
    for kind, column in columns.items():
        if (shape := np.shape(column)) != (samples,):
            raise ValueError(f"{kind} has shape {shape}. Give one entry for each of {samples} samples.")
        columns[kind] = pd.Series(column).set_axis(places)
    values = _numbers(table)
    names = {kind: _names(columns[kind], kind) for kind in KINDS if kind in columns}
    same = np.ones(samples - 1, bool)
    for column in names.values():
        same &= column[1:] == column[:-1]
    if same.mean() < 0.5:
        first = place(places, (~same).argmax() + 1)
        said = f"label, group or recording change at most samples, first at {first}"
        raise ValueError(f"{said}. Sort by group, then by time; are they columns of measurements?")
    if guessed:
        _check_guessed(table, values, same, "time" in given, named)
        notes = [*notes, *_few_values(table, values)]
    notes = [*notes, *_codes(table, values)]
    unused = [(name, fields[name]) for name in fields if name not in taken] if named else []
    clock = {"rate": rate, "pauses": np.zeros(samples - 1), "lost": 0, "notes": [], "seconds": None}
    if "time" in columns:
        name = given["time"] if isinstance(given["time"], str) else None
        clock = read_clock(columns["time"], name, rate, same, resample, unused)
    elif rate is None:
        raise ValueError("the sampling rate is unknown. Give rate=..., in Hz, or time=..., the timestamps.")
    elif resample:
        raise ValueError("resample needs the times of the samples. Give time=... beside it.")
    else:
        notes = [*notes, *_unused_clocks(unused, table, same, rate)]
    notes = [*notes, *_unused_borders(unused, table)]
    sensor = {"values": values, "rate": float(clock["rate"]), "lost": clock["lost"], "places": places} | names
    sensor |= {"pauses": clock["pauses"], "same": same}
    if resample:
        sensor, said = _resampled(sensor, clock["seconds"], resample, list(names))
        notes = [*notes, said]
    return _finished(sensor, [str(name) for name in table], notes + clock["notes"])


def _finished(sensor, channels, notes):
    """Return what `read_sensor` does."""
    places, pauses, samples = sensor.pop("places"), sensor.pop("pauses"), len(sensor["values"])
    borders = [0, *np.flatnonzero(~sensor.pop("same") | (pauses > 0)) + 1, samples]
    again = (sensor["values"][1:] == sensor["values"][:-1]).all(axis=1).mean()
    if again > 0.05:
        said = f"{again:.0%} of the samples repeat the one before in all channels"
        notes = [*notes, f"{said}: the sensor may measure less often than it is asked"]
    sensor["values"], sensor["level"] = _level_off(sensor["values"])
    for name, level in zip(channels, sensor["level"], strict=True):
        if level:
            notes = [*notes, f"channel {name!r} is kept as its difference from {level:g}"]
    sensor["gaps"] = [(int(places[row + 1]), float(pauses[row])) for row in np.flatnonzero(pauses)]
    if sensor["lost"]:
        notes = [*notes, f"{sensor['lost']} samples are lost in {len(sensor['gaps'])} gaps"]
    sensor |= {"channels": channels, "pieces": np.array(list(pairwise(borders))), "notes": notes}
    return dict.fromkeys(KINDS) | sensor | {"origin": {"places": places}}


def _level_off(values):
    """Return (samples, channels) float32, and the level taken off where float32 is too coarse for it."""
    kept, levels = np.empty(values.shape, np.float32), np.zeros(values.shape[1])
    for number, channel in enumerate(values.T):
        if np.spacing(np.float32(np.abs(channel).max())) > 1e-3 * channel.std():
            levels[number] = np.round(channel.mean())
        kept[:, number] = channel - levels[number]
    return kept, levels


def _resampled(sensor, seconds, rate, kinds):
    """Return the recording on an even grid, linear between the samples of a piece, over one lost at most."""
    if abs(np.log(rate / sensor["rate"])) > np.log(1.25):
        said = (
            f"resample={rate:g} Hz is too far from the clock's {sensor['rate']:.4g} Hz: linear interpolation"
        )
        raise ValueError(
            f"{said} would falsify it. Resample with a filter before (scipy.signal.resample_poly)."
        )
    steps = np.diff(seconds)
    if (twice := sensor["same"] & (steps <= 0)).any():
        where = place(sensor["places"], twice.argmax() + 1)
        raise ValueError(f"{where} repeats a time, so nothing can be interpolated. Give rate=... instead.")
    step = 1 / sensor["rate"]
    wide = (sensor["pauses"] > 2.5 * step) | ~sensor["same"]
    cuts = [0, *np.flatnonzero(wide) + 1, len(seconds)]
    grid, source = [], []
    for first, end in pairwise(cuts):
        count = int((seconds[end - 1] - seconds[first]) * rate + 1e-6) + 1
        grid.append(seconds[first] + np.arange(count) / rate)
        before = np.searchsorted(seconds[first:end], grid[-1] + 1e-9 * step, side="right") - 1
        source.append(first + before)
    values = np.concatenate(
        [
            np.column_stack(
                [np.interp(at, seconds[first:end], channel[first:end]) for channel in sensor["values"].T]
            )
            for at, (first, end) in zip(grid, pairwise(cuts), strict=True)
        ]
    )
    old, border = np.concatenate(source), np.cumsum([len(at) for at in grid])[:-1] - 1
    made = {kind: sensor[kind][old] for kind in kinds} | {"places": sensor["places"][old], "values": values}
    made |= {"same": np.ones(len(old) - 1, bool), "pauses": np.zeros(len(old) - 1), "rate": float(rate)}
    across = np.array(cuts[1:-1], int) - 1  # not old[border]: the grid may end before the last sample
    made["same"][border], made["pauses"][border] = sensor["same"][across], sensor["pauses"][across]
    filled = ((sensor["pauses"] > 0) & ~wide).sum()
    made["lost"] = int(np.round(made["pauses"][made["pauses"] > 0] / step - 1).sum())
    return made, f"interpolated linearly to {rate:g} Hz, over {filled} single lost samples"


def _fields(source, timed):
    """Return the columns, what the file's format says of them, and notes.

    The columns are a table, its index the places; or arrays by name (None for the only one).
    """
    if np.ma.is_masked(source):
        count = np.ma.count_masked(source)
        raise ValueError(f"{count} values are masked. Leave those samples out, and give their times.")
    if isinstance(source, pd.DataFrame):
        if not source.columns.is_unique:
            raise ValueError(f"two columns {source.columns[source.columns.duplicated()][0]!r}. Rename one.")
        index, notes = source.index, []
        if not timed and isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
            raise ValueError(
                "the times in its index are not read. Give table.rename_axis('time').reset_index() with "
                "time='time'; or, if the samples are even, table.reset_index(drop=True) with rate=..."
            )
        if not timed and index.dtype.kind in "iu" and (np.diff(index) > 1).any():
            row = index[np.argmax(np.diff(index) > 1) + 1]
            notes = [f"the table has no row before row {row}: without time, windows cross that place"]
        return source.reset_index(drop=True).rename_axis("row"), {}, notes
    return read_file(source) if isinstance(source, Path) else ({None: np.asarray(source)}, {}, [])


def _get(fields, name, use):
    if name not in fields:
        there = ", ".join(repr(known) for known in fields if known is not None) or "none"
        what = "column" if isinstance(fields, pd.DataFrame) else "array"
        raise ValueError(f"there is no {what} {name!r} for {use}. Those there are: {there}.")
    return fields[name]


def _channels(fields, left, channels, array):
    """Return the channels as a table, from the columns or the array that are named or left."""
    channels = [channels] if isinstance(channels, str) else channels
    if channels is not None and len(set(channels)) < len(channels):
        raise ValueError(f"channels={list(channels)} names one of them twice.")
    if isinstance(fields, pd.DataFrame):
        if array is not None:
            raise ValueError(f"array={array!r} names an array of an .npz, and this is a table: leave it out.")
        channels = left if channels is None else channels
        if not len(channels):
            raise ValueError("no column is left for the channels. Name them: channels=[...].")
        return pd.DataFrame({name: _get(fields, name, "channels") for name in channels}, copy=False)
    if array is None and len(left) != 1:
        shapes = ", ".join(f"{name!r} {fields[name].shape}" for name in left) or "none"
        raise ValueError(f"which array holds the channels? Choose one with array=...: {shapes}.")
    values = _get(fields, left[0] if array is None else array, "channels")
    if values.ndim == 3 and values.size:
        n, steps, count = values.shape
        raise ValueError(
            f"shape {values.shape}. Are these {n} windows of {steps} samples? Then give "
            f"array.reshape(-1, {count}) with recording=numpy.repeat(numpy.arange({n}), {steps})."
        )
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"shape {values.shape}. It must be (samples,) or (samples, channels), not empty.")
    if values.dtype.kind not in "iuf":
        said = f"its type is {values.dtype}. Channels are integers or floating-point numbers"
        raise ValueError(f"{said}: give array.astype(float).")
    table = pd.DataFrame(values.reshape(len(values), -1)).add_prefix("channel ").rename_axis("row")
    samples, count = table.shape
    if count > samples:
        raise ValueError(f"{count} channels of {samples} samples each. Is it transposed? Then give array.T.")
    if channels is not None and len(channels) != count:
        raise ValueError(f"{len(channels)} names for {count} channels.")
    return table if channels is None else table.set_axis(channels, axis=1)


def _numbers(table):
    """Return (samples, channels) float64; refuse what is no finite number, constant, or no sample."""
    values, wrong, constant = np.empty(table.shape, order="F"), [], []
    for (name, column), channel in zip(table.items(), values.T, strict=True):
        channel[:] = floats(column)
        unfit = ~(np.abs(channel) <= np.finfo(np.float32).max)
        if unfit.any():
            wrong.append(f"channel {name!r}, {first_wrong(column, unfit)}")
        elif not np.ptp(channel):
            constant.append((str(name), f"channel {name!r} is {channel[0]:g} in every sample"))
        else:
            _check_first(name, channel, table.index)
    if wrong:
        raise ValueError(
            f"not a finite number: {'; '.join(wrong)}. Fill these samples, or remove them (with a time "
            "column that makes a gap); name what is no channel as time, label, group or recording, or "
            "leave it out."
        )
    if constant:
        where = f"{place(table.index, 0)} to {place(table.index, -1)}"
        it = "them" if len(constant) > 1 else "it"
        said = f"{'; '.join(told for _, told in constant)}, from {where}"
        said += f". Leave {it} out: there is nothing to learn from {it}"
        raise ValueError(f"{said}.{_chosen(table, [name for name, _ in constant])}")
    return values


def _check_first(name, channel, places):
    """Refuse a start time or a rate that some devices write above the samples."""
    rest = channel[3:][:: max(1, len(channel) // 10_000)]
    if len(rest) < 20:
        return
    low, middle, high = np.percentile(rest, [1, 50, 99])
    far = np.abs(channel[:3] - middle) / ((high - low) or np.ptp(rest) or np.inf)
    if far.max() > 1e4:
        row = far.argmax()
        raise ValueError(
            f"{place(places, row)} holds {channel[row]:g} in channel {name!r}, {far[row]:.1g} times as far "
            "off as the other samples are. Is it a start time? Remove this line, and the next one if that "
            "is a rate."
        )


def _chosen(table, without):
    left = [name for name in table if str(name) not in without]
    return f" Choose the channels: channels={left}." if left else ""


def _few_values(table, values):
    """Return notes on channels that nobody chose and that hold few whole numbers, each for some samples."""
    notes = []
    for name, channel in zip(table, values.T, strict=True):
        if (np.diff(channel) == 0).mean() <= 0.5:  # a signal: to sort it takes long
            continue
        kinds = np.unique(channel)
        if len(kinds) <= 12 and (kinds == np.round(kinds)).all():
            said = f"channel {name!r} holds only {len(kinds)} whole numbers"
            notes.append(f"{said}: if they say what happens, name it as label")
    return notes


def _codes(table, values):
    """Return notes on a value that comes again far from all others, as a code for "missing" does."""
    notes = []
    for name, channel in zip(table, values.T, strict=True):
        low, high = np.percentile(channel, [1, 99])
        for code in (channel.min(), channel.max()):
            often = int((channel == code).sum())
            if often > 1 and max(low - code, code - high) > 50 * (high - low) > 0:
                said = f"channel {name!r} holds {code:g} in {often} samples, far from all others"
                notes.append(f"{said}: if it stands for a missing value, remove these samples")
    return notes


def _check_guessed(table, values, same, has_time, named):
    """Refuse columns that nobody chose as channels and that a clock, a count or an id would fill."""
    said, without, advised = [], [], None
    for name, channel in zip(table, values.T, strict=True):
        steps = np.diff(channel)
        up, down = (steps > 0).sum(), (steps < 0).sum()
        whole = (channel == np.round(channel)).all()
        if not (steps[same] != 0).any() or (whole and up + down < len(steps) / HELD):
            said.append(
                f"channel {name!r} keeps one value for long (it changes {up + down} times, first at "
                f"{place(table.index, (steps != 0).argmax() + 1)}), as an id, a label or whole seconds do: "
                "name it as group, recording or label"
            )
        elif max(up, down) >= max(2, 20 * min(up, down)):
            way, again = "rises" if up > down else "falls", min(up, down)
            again = f" and starts again {again} times" * bool(again)
            said.append(
                f"channel {name!r} {way} from sample to sample{again}, as a clock or a count of the rows does"
            )
            counts = is_counter(name) or (np.abs(steps) == 1).mean() > 0.9
            if up > max(down, 0.5 * len(steps)) and not counts:
                advised = name if advised is None else advised
        else:
            continue
        without.append(str(name))
    if said:
        if not named:
            raise ValueError(
                f"{'; '.join(said)}. Give the array without it, such as array[:, 1:], and it as time, "
                "label, group or recording. If it is a channel, name them all: channels=[...]."
            )
        clock = f" Give time={advised!r}, or leave it out." if advised is not None and not has_time else ""
        raise ValueError(f"{'; '.join(said)}.{clock}{_chosen(table, without)}")


def _unused_clocks(unused, table, same, rate):
    """Return notes on clocks that nobody named and that tell another rate than ``rate``, or gaps.

    Refuse to read on where one starts again: windows would cross recordings.
    """
    notes = []
    for name, column in unused:
        spoken = str(name).lower()
        if name in table or not any(word in spoken for word in CLOCK_WORDS):
            continue
        try:
            clock = read_clock(column, name, None, same)
        except ValueError as error:
            back = starts_again(column, name, same)
            if not back.any():  # no clock, or of an unknown unit, or uneven: rate= says what it does not
                continue
            raise ValueError(
                f"the clock {name!r} starts again at {place(table.index, back.argmax() + 1)} ({back.sum()} "
                f"times): windows would cross recordings. Give time={name!r}, or what tells them "
                "apart: recording=..."
            ) from error
        told = [f"{(clock['pauses'] > 0).sum()} gaps"] * bool(clock["pauses"].any())
        told += [f"{clock['rate']:.4g} Hz, not {rate:g}"] * (abs(rate / clock["rate"] - 1) > 0.01)
        if told:
            notes.append(
                f"the clock {name!r} is not used, and tells {' and '.join(told)}: give time={name!r}"
            )
    return notes


def _unused_borders(unused, table):
    """Return notes on columns that nobody named and that look like ids."""
    notes = []
    for name, column in unused:
        changes = int(column.ne(column.shift()).sum()) - 1
        if name not in table and 0 < changes < len(column) / HELD:
            said = f"column {name!r} is not used and changes {changes} times"
            notes.append(f"{said}: if it tells people or recordings apart, name it as group or recording")
    return notes


def _names(column, kind):
    """Return (samples,) labels, groups or recordings: text without outer spaces, or numbers."""
    numeric = column.dtype.kind in "biuf"
    codes, kinds = pd.factorize(column)
    missing = codes < 0
    if not numeric:
        texts = [each.decode() if isinstance(each, bytes) else str(each) for each in kinds]
        kinds = np.array([each.strip() for each in texts], dtype=str)
        missing |= np.isin(codes, np.flatnonzero(np.isin(np.char.lower(kinds), ["", "nan"])))
    if count := missing.sum():
        first = missing.argmax()
        held = f" (it holds {str(column.iloc[first])!r})" * (str(column.iloc[first]).strip() == "NaN")
        said = f"{place(column.index, first)} has no {kind} ({count} of {len(missing)} samples){held}"
        raise ValueError(f'{said}. Fill them, with "none" if that is meant, or remove these samples.')
    return np.asarray(kinds)[codes]
