"""The two series that can be made from the windows, and the chunks the generator is trained on."""

import numpy as np

STEP = 64  # samples, half a window: where the next window starts


def window_index_series(windows, rows=4):
    """Return the first ``rows`` rows of the transposed table of windows: (n, 128) -> (rows, n).

    This is the series of the student report: row r is sample r of every window, one window after the other.
    So one step is not 1/50 s but the 64 samples (1.28 s, 0.78 Hz) from one window to the next, and the
    series runs on across the borders of recordings, activities and volunteers.
    """
    return np.ascontiguousarray(windows.T[:rows])


def neighbours(part):
    """Return (n - 1,) booleans: whether windows i and i + 1 are of one subject and one activity."""
    return np.equal(part["subject"][1:], part["subject"][:-1]) & np.equal(
        part["activity"][1:], part["activity"][:-1]
    )


def continues(part):
    """Return (n - 1,) booleans: whether window i + 1 continues window i in one unbroken recording.

    It does where both are of one subject and activity and share half a window exactly in all signals.
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
    starts = np.r_[0, np.flatnonzero(~continues(part)) + 1].tolist()
    return [
        {
            "activity": int(part["activity"][start]),
            "subject": int(part["subject"][start]),
            "windows": slice(start, stop),
            "signals": {name: stitch(windows[start:stop]) for name, windows in part["signals"].items()},
        }
        for start, stop in zip(starts, [*starts[1:], len(part["activity"])], strict=True)
    ]


def of_subjects(part, subjects):
    """Return the windows of some volunteers of a part, in their order: a part of the same form."""
    rows = np.isin(part["subject"], subjects)
    signals = {name: windows[rows] for name, windows in part["signals"].items()}
    return {"signals": signals, "activity": part["activity"][rows], "subject": part["subject"][rows]}


def stack_signals(part, signals):
    """Return the windows of several signals of a part as one array, (n, 128, channels)."""
    return np.stack([part["signals"][signal] for signal in signals], axis=2)


def random_crops(part, signals, rng):
    """Draw for each window of a part one that begins up to half a window later: (n, 128, channels).

    Of the same unbroken recording, so equally many of each volunteer and activity as the part has; a
    recording's last window, which nothing continues, is taken as it is. Each sample of a recording can begin
    a crop, so hardly any two draws repeat one.
    """
    windows = stack_signals(part, signals)
    starts = rng.integers(STEP, size=len(windows)) * np.r_[continues(part), False]
    pairs = np.concatenate([windows, np.roll(windows, -1, axis=0)[:, STEP:]], axis=1)
    return np.take_along_axis(pairs, (starts[:, None] + np.arange(windows.shape[1]))[:, :, None], axis=1)


def training_chunks(series, steps=20):
    """Cut (rows, T) series into inputs and next-value targets, each ((T - 1) // steps * rows, steps, 1).

    Batch b, sequences b * rows to (b + 1) * rows, holds chunk b of every row, so that an LSTM that keeps its
    state from batch to batch reads each row unbroken. What does not fill a chunk at the end is left out.
    Raises ValueError if not one chunk fits.
    """
    rows, length = series.shape
    chunks = (length - 1) // steps
    if chunks < 1:
        raise ValueError(
            f"A series of {length} values is too short for a chunk of {steps} and its next value."
        )

    def cut(values):
        cut_rows = values[:, : chunks * steps].reshape(rows, chunks, steps)
        return cut_rows.swapaxes(0, 1).reshape(chunks * rows, steps, 1)

    return cut(series), cut(series[:, 1:])
