"""The series that a part of `load_har` can be made into, and the pieces of series that models learn from."""

from itertools import accumulate, pairwise

import numpy as np

from sensegen_utils.data.layout import STEP


def window_index_series(windows, rows=4):
    """Return the first ``rows`` rows of the transposed table of windows: (n, 128) -> (rows, n).

    This is the series of the student report: row r is sample r of every window. So one step is not 1/50 s
    but the 64 samples (1.28 s, 0.78 Hz) from one window to the next, and the series runs on across the
    borders of recordings, activities and volunteers.
    """
    return np.ascontiguousarray(windows.T[:rows])


def neighbours(part):
    """Return (n - 1,) booleans: whether windows i and i + 1 are of one subject and one activity."""
    return (np.diff(part["subject"]) == 0) & (np.diff(part["activity"]) == 0)


def continues(part):
    """Return (n - 1,) booleans: whether window i + 1 continues window i in one unbroken recording.

    It does where they are `neighbours` and share half a window exactly in all signals.
    """
    joined = neighbours(part)
    for windows in part["signals"].values():
        joined &= (windows[:-1, STEP:] == windows[1:, :STEP]).all(axis=1)
    return joined


def stitch(windows):
    """Join windows that overlap by half, (k, 128), to the 50 Hz signal they were cut from, (64 k + 64,)."""
    return np.concatenate([windows[0], windows[1:, STEP:].ravel()])


def recordings(part):
    """Return the unbroken recordings at 50 Hz from which the windows of a part were cut, in their order.

    Each is a dict: "activity", "subject", "windows" (the slice of the part's windows), "signals"
    ({name: (samples,)}, in the part's units).
    """
    borders = [0, *(np.flatnonzero(~continues(part)) + 1).tolist(), len(part["activity"])]
    return [
        {
            **{field: int(part[field][start]) for field in ("activity", "subject")},
            "windows": slice(start, stop),
            "signals": {name: stitch(windows[start:stop]) for name, windows in part["signals"].items()},
        }
        for start, stop in pairwise(borders)
    ]


def of_subjects(part, subjects):
    """Return the windows of some volunteers of a part, in their order: a part of the same form."""
    rows = np.isin(part["subject"], list(subjects))
    signals = {name: windows[rows] for name, windows in part["signals"].items()}
    return {"signals": signals, "activity": part["activity"][rows], "subject": part["subject"][rows]}


def stack_signals(part, signals):
    """Return the windows of several signals of a part as one array, (n, 128, channels)."""
    return np.stack([part["signals"][signal] for signal in signals], axis=2)


def unbroken_series(part, signals):
    """Join the recordings of a part, one after the other, to what `random_crops` takes.

    Returns a dict: "values" ((samples, channels) of the chosen signals), "pieces" ((recordings, 2) int: where
    each begins and where the next one does), "start" ((n,) int: where each window of the part begins).
    """
    found = recordings(part)
    values = np.concatenate([np.column_stack([each["signals"][name] for name in signals]) for each in found])
    lengths = [STEP * (1 + each["windows"].stop - each["windows"].start) for each in found]
    pieces = np.array(list(pairwise(accumulate(lengths, initial=0))))
    start = np.concatenate([np.arange(first, end - STEP, STEP) for first, end in pieces])
    return {"values": values, "pieces": pieces, "start": start}


def random_crops(series, start, steps, rng):
    """Draw for each window one that begins later, before the next window does: (n, steps, channels).

    ``series`` is what `unbroken_series` or `own_sensor.read_sensor` returns. ``start`` ((n,) int, rising) is
    where the windows of ``steps`` samples begin that may be used. A crop lies within these windows and within
    one piece, so it has its window's label and group. A window that no other continues is taken as it is.
    Each sample can begin a crop: hardly any two draws repeat one.
    """
    piece = np.searchsorted(series["pieces"][:, 0], start, side="right")
    ahead = np.diff(start, append=start[-1] + steps)
    joined = (np.diff(piece, append=-1) == 0) & (ahead <= steps)
    start = start + rng.integers(ahead) * joined
    return series["values"][start[:, None] + np.arange(steps)]


def training_chunks(series, steps=20):
    """Cut (rows, T) series into inputs and next-value targets, each ((T - 1) // steps * rows, steps, 1).

    Batch b, sequences b * rows to (b + 1) * rows, holds chunk b of every row: a stateful LSTM reads each row
    unbroken. What does not fill a chunk at the end is left out. Raises ValueError if not one chunk fits.
    """
    rows, length = series.shape
    chunks = (length - 1) // steps
    if chunks < 1:
        raise ValueError(f"{length} values are too short for a chunk of {steps} and its next value.")
    cut = (values[:, : chunks * steps].reshape(rows, chunks, steps) for values in (series, series[:, 1:]))
    return tuple(values.swapaxes(0, 1).reshape(-1, steps, 1) for values in cut)
