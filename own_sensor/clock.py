"""Clocks of recordings: their unit, the rate they tell, their gaps, and whether they run evenly."""

import re
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd

from own_sensor.files import EPOCH

GAP = 1.5  # times the median step; a longer step begins a new piece
MIXED = 0.1  # of the rate: what two stretches may differ
STRETCH = 32  # steps on which a rate is measured
UNEVEN = 0.08  # the share of steps a quarter too short from which on a clock is no even one
UNITS = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60, "hours": 3600, "days": 86400}
SPOKEN = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "min": "minutes"}
SPOKEN["epoch"] = "time since 1970"
FASTEST, SLOWEST = 2e4, 1 / 3600.001  # Hz: what is beyond is no rate of a sensor, but another unit
WORDS = {
    "s": "s sec secs second seconds", "ms": "ms msec millis millisecond milliseconds",
    "us": "us µs μs usec micros microsecond microseconds", "ns": "ns nsec nanos nanosecond nanoseconds",
    "min": "min mins minute minutes", "hours": "h hr hrs hour hours", "days": "d day days",
}  # fmt: skip
PARTS_OF = {"m", "u", "µ", "μ", "n", "milli", "micro", "nano"}  # of seconds, where a name is cut between them
UNIT_OF = {word: unit for unit, words in WORDS.items() for word in words.split()}
COUNTERS = {
    "n",
    "sample",
    "samples",
    "sampleid",
    "index",
    "row",
    "counter",
    "count",
    "packet",
    "frame",
    "unnamed",
}
EXAMPLE = "Times are seconds, or date-times of one format, such as 2024-10-27 12:00:00.020."


def place(places, sample):
    """Return the words for a sample's place, such as "line 7"."""
    return f"{places.name} {places[sample]}"


def first_wrong(column, wrong):
    """Say where the first wrong entry is, what it holds, and how many more there are."""
    entry, more = column.iloc[wrong.argmax()], wrong.sum() - 1
    held = "is empty" if pd.isna(entry) or entry == "" else f"holds {str(entry)!r}"
    return f"{place(column.index, wrong.argmax())} {held}" + (f" (and {more} more)" if more else "")


def floats(column):
    """Return float64, NaN where there is no number; true and false, dates and complex are none."""
    column = column if column.dtype.kind in "iuf" else column.astype(str)
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def read_clock(column, name, rate, same, resample=None, borders=()):
    """Return what the clock of a recording tells.

    ``column`` is a Series (samples,) of numbers, date-times or times of day, and ``name`` its name or None.
    ``same`` ((samples - 1,) bool) says which two samples are of one label, group and recording. ``rate`` (Hz)
    decides on the clock's unit where neither name nor size do, and says that the samples are even where the
    clock is not; ``resample`` (Hz) allows an uneven clock too. ``borders`` are columns that may tell the
    recordings apart, for the advice on a clock that starts again: [(name, Series)].

    Returns a dict: "rate" (Hz), "seconds" ((samples,) float64 since the first), "pauses" ((samples - 1,)
    seconds, 0 where there is no gap), "lost" (int, the samples that the gaps lack), "notes". Raises
    ValueError, with the place and what to write, for an unknown unit, and for a clock that runs backward,
    stands still, is uneven, drifts, or mixes two rates.
    """
    called = "the clock" if name is None else f"the clock {name!r}"
    values, units = _values(column, name)
    steps = np.diff(values)
    told = rate or resample
    usual, scale, notes = _usual(steps, same), 1, []
    if usual > 0:
        scale, notes = _scale(usual, units, called, name, rate)
    values, steps = values * scale, steps * scale
    _check_order(steps, same, usual * scale, column.index, called, rate, borders)
    within, usual = steps[same], _usual(steps, same)
    if usual <= 0:
        raise ValueError(f"{called} stands still at most samples, so it tells nothing: leave time out.")
    median, resolution = np.median(within), _resolution(values)
    if _in_turn(within, resolution):
        said = f"the steps of {called} are {within[0]:.3g} s and {within[1]:.3g} s in turn"
        if not told:
            raise ValueError(
                f"{said}: do two devices write into one file? Then keep the rows of one. If it is one "
                f"device, give rate={1 / within.mean():.4g} beside time."
            )
        notes.append(said)
    long = _long(steps, same, median)
    short = same & (steps < 0.75 * _local_median(steps, same) - resolution) | same & (steps <= 0)
    single = long[1:] & ~long[:-1]  # in a stretch of a lower rate, long steps follow each other
    packets = single.sum() > 0.02 * len(within) and steps[long].sum() > 0.5 * within.sum()
    if packets or short.sum() > UNEVEN * len(within):
        # Where gaps are more than one step in a hundred, the quantile is a gap itself.
        longer = within[within > usual]
        longest = 3 * np.median(longer) if len(longer) else np.inf
        gaps = same & (steps > min(np.quantile(within, 0.99) + usual / 2, longest))
        measured = float(f"{1 / steps[same & ~gaps].mean():.6g}")
        if not told:
            _refuse_uneven(steps, short, long, measured, len(within), column.index, called)
        notes.append(
            f"{called} is uneven: " + ("interpolated" if resample else "its stamps only tell the gaps")
        )
        long = gaps
    else:
        _check_one_rate(steps, same, long, column.index, told)
        measured = float(f"{1 / steps[same & ~long].mean():.6g}")
    if rate and abs(rate / measured - 1) > MIXED:
        said = f"rate={rate:g} Hz, but by the time column it is {measured:g} Hz"
        raise ValueError(f"{said}. Correct one of the two, or leave rate out.")
    found = {"rate": float(rate or measured), "seconds": values - values[0], "notes": notes}
    lost = int(np.round(steps[long] * measured - 1).clip(0).sum())
    return found | {"pauses": np.where(long, steps, 0), "lost": lost}


def starts_again(column, name, same):
    """Return (samples - 1,) bool, before which samples a clock falls; nowhere if it is no clock."""
    try:
        return same & (np.diff(_values(column, name)[0]) < 0)
    except ValueError:
        return np.zeros_like(same)


def unit_of(name):
    """Return the unit that a column's name tells, such as "ms" for "epoch (ms)", or None."""
    words = _words(name)
    words += [part + word for part, word in pairwise(words) if part in PARTS_OF]
    found = [UNIT_OF[word] for word in words if word in UNIT_OF]
    return found[-1] if found else None


def is_counter(name):
    """Whether a column's name says that it counts samples."""
    return bool(COUNTERS & {*_words(name), str(name).lower()})


def _words(name):
    return [word.lower() for word in re.findall(r"[A-Z]?[a-zµμ]+|[A-Z]+", str(name))]


def _values(column, name):
    """Return the times as float64 since the first, and what one unit of them may be: {unit: seconds}."""
    kind, units = column.dtype.kind, {"s": 1}
    few = column.iloc[:: max(1, len(column) // 20)].astype(str).str.strip()
    if kind in "iuf" or pd.to_numeric(few, errors="coerce").notna().any():
        numbers = column.to_numpy(np.int64) if kind in "iu" else floats(column)
        units = _units(name, numbers[0])
        values = (numbers - numbers[0]).astype(np.float64)  # the difference first: nanoseconds are exact
    elif few.str.fullmatch(r"\d+(:\d+){1,2}([.,]\d+)?").all():
        text = column.astype(str)
        values = _times_of_day(text)
        if few.iloc[0].count(":") == 1 and not few.str.contains("[.,]").any():
            hours = text.str.partition(":")[0].astype(int).max()
            units = {"min:s": 1, "h:min": 60} if hours < 24 else units
            units = {"min:s": 1} if text.str.partition(":")[2].str.len().max() > 2 else units
    else:
        values = _date_times(column)
    if not np.isfinite(values).all():
        raise ValueError(f"not a time: {first_wrong(column, ~np.isfinite(values))}. {EXAMPLE}")
    return values, units


def _times_of_day(text):
    """Return seconds of h:min:s or min:s; a clock that falls by half a day has passed midnight."""
    short = text.iloc[0].count(":") == 1
    text = text if text.iloc[0].strip() == text.iloc[0] else text.str.strip()
    iso = ("1970-01-01T00:" if short else "1970-01-01T") + text
    moments = pd.to_datetime(iso, format="ISO8601", errors="coerce")
    values = ((moments - pd.Timestamp(0)) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    if np.isnan(values).any():  # hours above 23, or seconds of three digits
        parts = text.str.replace(",", ".").str.split(":", expand=True)
        values = sum(60**n * floats(part) for n, (_, part) in enumerate(reversed([*parts.items()])))
    days = np.cumsum(np.r_[0, np.diff(values) < -43200]) if not short else 0
    return values - values[0] + 86400 * days


def _date_times(column):
    iso, fraction = {"format": "ISO8601", "errors": "coerce", "utc": True}, 0
    if pd.to_datetime(column.iloc[:100], **iso).isna().all():  # another format, slow to try on every row
        del iso["format"]
        column, fraction = _whole_seconds(column.astype(str))  # pandas reads equal ones once
    with warnings.catch_warnings(action="ignore"):  # what pandas guesses wrong runs backward
        moments = pd.to_datetime(column, **iso)
    return ((moments - moments.min()) / pd.Timedelta(seconds=1)).to_numpy(np.float64) + fraction


def _whole_seconds(text):
    """Return date-times without the decimals of their seconds, and these; unless their number varies."""
    found = re.search(r"(?<=:\d\d)([.,])(\d+)(\D*)$", text.iloc[0])
    if found is None:
        return text, 0
    sign, end = -len(found[0]), -len(found[3]) or None
    decimals = pd.to_numeric(text.str[sign + 1 : end], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if np.isnan(decimals).any() or (text.str[sign] != found[1]).any():
        return text, 0
    return text.str.slice_replace(sign, end, ""), decimals / 10 ** len(found[2])


def _units(name, first):
    """Return what one of the clock's unit may be, {unit: seconds}: one if name or size tell it."""
    named, size = unit_of(name), abs(float(first))
    epoch = [unit for unit in ("s", "ms", "us", "ns") if EPOCH[0] < size * UNITS[unit] < EPOCH[1]]
    if named and not (named == "s" and size > EPOCH[1]):
        return {named: UNITS[named]}
    return {"epoch": UNITS[epoch[0]]} | UNITS if epoch else dict(UNITS)


def _scale(usual, units, called, name, rate):
    """Return the seconds in one unit of the clock, and a note if these are not seconds."""
    rates = {unit: 1 / (usual * seconds) for unit, seconds in units.items()}
    if len(units) > 2:  # numbers without a unit in their name
        chosen = [unit for unit, hz in rates.items() if _plausible(unit, hz)]
        if is_counter(name) and abs(usual - 1) < 0.01:
            raise ValueError(
                f"{called[4:]} counts the samples and is no clock. Leave it out of time and channels, and "
                "give rate=..., the samples a second (Hz)."
            )
        if 1.001 < rates["s"] <= FASTEST:
            chosen = ["s"]
        if "epoch" in rates and SLOWEST < rates["epoch"] <= FASTEST:
            # A clock that began with the device is as large after some weeks, in a smaller unit.
            others = [unit for unit in chosen if UNITS[unit] != units["epoch"]]
            chosen = ["epoch", *others] if rates["epoch"] < 0.9 else ["epoch"]
    else:
        chosen = list(units)
    offered = chosen or [unit for unit in rates if unit in SPOKEN]
    said = " or ".join(f"{rates[unit]:.4g} Hz in {SPOKEN.get(unit, unit)}" for unit in offered)
    if rate:
        fits = [unit for unit, hz in rates.items() if abs(np.log(rate / hz)) < 0.25]
        if not fits and len(chosen) != 1:
            raise ValueError(
                f"rate={rate:g} Hz, but the steps of {called} are {usual:g}, which is {said}. Correct one of "
                "the two. If the clock counts ticks, divide it by its ticks a second."
            )
        chosen = fits[:1] or chosen
    if len(chosen) != 1:
        count = "; or it only counts the samples, then leave it out" * (abs(usual - 1) < 0.01)
        raise ValueError(
            f"the unit of {called} is unknown: its steps are {usual:g}, which is {said}{count}. Give the "
            "right rate=... beside time, or name the unit in the column's name, such as 'time (ms)'."
        )
    seconds = units[chosen[0]]
    unit = next((known for known in UNITS if UNITS[known] == seconds), chosen[0])
    spoken = SPOKEN.get(unit, unit) if chosen[0] in UNITS or chosen[0] == "epoch" else chosen[0]
    return seconds, [f"{called} is read in {spoken}"] * (unit != "s" or ":" in chosen[0])


def _plausible(unit, rate):
    slowest = {"s": SLOWEST, "ms": 0.9, "us": 0.9, "ns": 0.9, "days": 0.9}
    return slowest.get(unit, np.inf) <= rate <= FASTEST


def _check_order(steps, same, usual, places, called, rate, borders):
    wrong = same & (steps < 0 if rate else steps <= 0)
    if not wrong.any():
        return
    row, back = wrong.argmax(), same & (steps < 0)
    if steps[row] == 0:
        raise ValueError(
            f"{place(places, row + 1)} is the same time as the one before it ({wrong.sum()} such samples). "
            "If the clock is only coarse, or writes packets, all samples are real: give their "
            f"{f'rate={1 / usual:.4g}' if usual > 0 else 'rate'} beside time. If a new recording begins "
            "there, or two devices write in turn, say which: recording=..."
        )
    known = []
    for name, column in borders:
        new = column.ne(column.shift()).to_numpy()[1:]
        known += [name] if new[back].all() and new.mean() < 0.5 else []
    if known:
        told = f"Column {known[0]!r} changes there: give recording={known[0]!r}"
    else:
        told = "If a new recording begins there, tell them apart by a column or an array: recording=..."
    raise ValueError(
        f"{place(places, row + 1)} is {-steps[row]:g} s earlier than the one before it by {called} "
        f"({back.sum()} such samples). {told}. Sort samples that are out of order."
    )


def _usual(steps, same):
    """Return the usual step: what most steps are, or else their mean without pauses."""
    within = steps[same]
    median, pause = np.median(within), 3 * np.quantile(within, 0.99)  # packets come more often than pauses
    mean = within[within <= pause].mean()
    alike = np.mean(np.abs(within - median) < 0.01 * median) > 0.5 and mean < 2 * median
    return float(median if alike else mean)


def _local_median(steps, same):
    if steps[same].min() >= 0.75 * np.median(steps[same]):  # none is short: no need to look
        return np.zeros(len(steps))
    options = {"window": STRETCH + 1, "center": True, "min_periods": 5}
    return pd.Series(np.where(same, steps, np.nan)).rolling(**options).median().fillna(0).to_numpy()


def _resolution(values):
    """Return the power of ten that all times are multiples of (seconds), or 0."""
    some = values[:2000] - values[0]
    fits = (10.0**-n for n in range(9) if np.abs(some * 10.0**n - np.round(some * 10.0**n)).max() < 0.02)
    return next(fits, 0.0)


def _in_turn(within, resolution):
    """Whether long and short steps take turns, by more than a clock's rounding explains."""
    if len(within) < STRETCH:
        return False
    apart = np.abs(np.diff(within)) > 0.1 * within.mean() + 1.5 * resolution
    return apart.mean() > 0.8 and (np.abs(within[2:] - within[:-2]) < 0.05 * within.mean()).mean() > 0.8


def _long(steps, same, median):
    """Return which steps are gaps: not those that a short step beside them makes up for."""
    # A thousandth, for clocks of milliseconds: at 400 Hz their steps are 2 and 3, which is no gap.
    long = same & (steps > 1.001 * GAP * median)
    padded = np.pad(np.where(same, steps, np.inf), 1, constant_values=np.inf)
    beside = np.minimum(padded[:-2], padded[2:])
    return long & (steps + beside > 2.4 * steps[same & ~long].mean())


def _refuse_uneven(steps, short, long, measured, count, places, called):
    at, rate = int((short | long).argmax()), float(f"{measured:.4g}")
    raise ValueError(
        f"{called} is uneven: {(short | long).sum() / count:.0%} of its steps are far from the usual "
        f"{1 / measured:.3g} s, first at {place(places, at + 1)} ({steps[at]:.3g} s). {_either(rate)}"
    )


def _either(rate):
    return (
        f"If the samples are even and only their stamps are not (packets, a busy phone), give rate={rate:g} "
        f"beside time: the stamps then only tell the gaps. Else give resample={rate:g}: the values are "
        "interpolated linearly between the stamps."
    )


def _check_one_rate(steps, same, gaps, places, told):
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
    if differ.max() < 0.6 * np.log(local.max() / local.min()):
        if told:
            return
        first, last = 1 / local.dropna().iloc[[0, -1]]
        said = f"the rate drifts from {first:.3g} Hz at {place(places, 0)} to {last:.3g} Hz at"
        raise ValueError(f"{said} {place(places, -1)}. {_either(float(f'{1 / median:.4g}'))}")
    change = int((differ > 0.99 * differ.max()).idxmax())  # the first of several
    said = f"mixed rates: about {np.exp(-before[change]):.3g} Hz before {place(places, change + 1)}"
    said += f", about {np.exp(-after[change]):.3g} Hz after it"
    raise ValueError(f"{said}. Save the stretches apart, or bring them to one rate with a low-pass filter.")
