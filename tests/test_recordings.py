import os

import numpy as np
import pytest

from sensegen_utils import files
from sensegen_utils.data.recordings import (
    continues,
    of_subjects,
    random_crops,
    recordings,
    stack_signals,
    stitch,
    training_chunks,
    unbroken_series,
    window_index_series,
)
from sensegen_utils.data.uci_har import load_har


def windows_of(signal):
    return np.stack([signal[start : start + 128] for start in range(0, len(signal) - 127, 64)])


def part_of(recorded):
    """One signal; ``recorded`` lists (subject, activity, signal at 50 Hz)."""
    cut = [windows_of(signal) for *_, signal in recorded]
    return {
        "signals": {"total_acc_x": np.concatenate(cut)},
        "subject": np.repeat([subject for subject, *_ in recorded], [len(windows) for windows in cut]),
        "activity": np.repeat([activity for _, activity, _ in recorded], [len(windows) for windows in cut]),
    }


def test_window_index_series_steps_from_window_to_window():
    windows = np.arange(10 * 128).reshape(10, 128)
    series = window_index_series(windows, rows=3)
    assert series.shape == (3, 10)
    assert series[2].tolist() == windows[:, 2].tolist()


def test_stitched_windows_are_the_signal_they_were_cut_from():
    signal = np.random.default_rng(0).normal(size=64 * 9)
    assert np.array_equal(stitch(windows_of(signal)), signal)
    assert np.array_equal(stitch(windows_of(signal[:128])), signal[:128])


def test_recordings_end_at_breaks_and_at_borders_of_activity_and_subject():
    rng = np.random.default_rng(0)
    walk = rng.normal(size=64 * 12)
    recorded = [(1, 5, walk[: 64 * 7]), (1, 4, walk[64 * 6 :]), (1, 4, rng.normal(size=192)), (3, 4, walk)]
    found = recordings(part_of(recorded))
    assert [(r["subject"], r["activity"]) for r in found] == [(1, 5), (1, 4), (1, 4), (3, 4)]
    for recording, (*_, signal) in zip(found, recorded, strict=True):
        assert np.array_equal(recording["signals"]["total_acc_x"], signal)
    assert [r["windows"] for r in found] == [slice(0, 6), slice(6, 11), slice(11, 13), slice(13, 24)]


def test_one_differing_signal_is_a_break():
    part = part_of([(1, 5, np.arange(640.0))])
    part["signals"]["body_acc_x"] = part["signals"]["total_acc_x"].copy()
    part["signals"]["body_acc_x"][4, 3] += 1
    assert np.flatnonzero(~continues(part)).tolist() == [3]


def test_training_chunks_continue_each_other_from_batch_to_batch():
    series = np.arange(4 * 7352).reshape(4, 7352)
    inputs, targets = training_chunks(series, steps=20)
    assert inputs.shape == targets.shape == (367 * 4, 20, 1)
    batches = inputs.reshape(367, 4, 20)
    for row in range(4):
        assert np.array_equal(batches[:, row].ravel(), series[row, : 367 * 20])
    assert np.array_equal(targets, inputs + 1)


def test_training_chunks_of_a_series_that_just_fits_and_of_one_that_does_not():
    assert training_chunks(np.zeros((2, 21)), steps=20)[0].shape == (2, 20, 1)
    with pytest.raises(ValueError, match="too short"):
        training_chunks(np.zeros((2, 20)), steps=20)


@pytest.mark.skipif(not os.environ.get("SENSEGEN_HAR_ARCHIVE"), reason="SENSEGEN_HAR_ARCHIVE is unset")
def test_the_official_archive_has_600_and_257_recordings(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DATA", tmp_path)
    har = load_har()
    assert [len(recordings(har[part])) for part in ("train", "test")] == [600, 257]


def test_random_crops_are_of_the_window_s_own_recording():
    one, other = np.arange(128 + 5 * 64.0), 1000 + np.arange(128 + 64.0)
    part = part_of([(1, 1, one), (1, 2, other)])
    series = unbroken_series(part, ["total_acc_x"])
    crops = random_crops(series, series["start"], 128, np.random.default_rng(0))
    assert crops.shape == stack_signals(part, ["total_acc_x"]).shape == (8, 128, 1)
    np.testing.assert_array_equal(np.diff(crops[:, :, 0], axis=1), 1)
    starts = crops[:, 0, 0] - part["signals"]["total_acc_x"][:, 0]
    assert ((starts >= 0) & (starts < 64)).all() and len(np.unique(starts)) > 4
    assert starts[5] == starts[7] == 0
    again = random_crops(series, series["start"], 128, np.random.default_rng(0))
    np.testing.assert_array_equal(crops, again)


def test_unbroken_series_are_the_recordings_one_after_the_other():
    rng = np.random.default_rng(0)
    walk, rest = rng.normal(size=64 * 7), rng.normal(size=192)
    part = part_of([(1, 1, walk), (1, 2, rest), (1, 2, walk[:128]), (2, 2, walk)])
    part["signals"]["body_acc_x"] = -part["signals"]["total_acc_x"]
    series = unbroken_series(part, ("body_acc_x", "total_acc_x"))
    joined = np.concatenate([walk, rest, walk[:128], walk])
    np.testing.assert_array_equal(series["values"], np.column_stack([-joined, joined]))
    assert series["pieces"].tolist() == [[0, 448], [448, 640], [640, 768], [768, 1216]]
    for window, start in zip(part["signals"]["total_acc_x"], series["start"], strict=True):
        np.testing.assert_array_equal(series["values"][start : start + 128, 1], window)


def test_part_of_some_volunteers_keeps_their_order():
    part = part_of([(1, 1, np.arange(192.0)), (2, 2, 500 + np.arange(256.0)), (1, 3, 900 + np.arange(128.0))])
    chosen = of_subjects(part, {1})
    assert chosen["activity"].tolist() == [1, 1, 3] and set(chosen["subject"].tolist()) == {1}
    assert chosen["signals"]["total_acc_x"][:, 0].tolist() == [0, 64, 900]
