import os

import numpy as np
import pytest
from people import HELD_OUT, OTHERS, TRAIN, check_json_and_same_again
from sklearn.metrics import roc_auc_score

from sensegen_utils.data.uci_har import load_har
from sensegen_utils.judge import privacy


def textbook_dtw(query, reference, band):
    """Dynamic time warping of two windows (steps, channels) as in the textbook, cell by cell."""
    steps = len(query)
    total = np.full((steps + 1, steps + 1), np.inf)
    total[0, 0] = 0
    for i in range(1, steps + 1):
        for j in range(max(1, i - band), min(steps, i + band) + 1):
            before = min(total[i - 1, j], total[i, j - 1], total[i - 1, j - 1])
            total[i, j] = before + ((query[i - 1] - reference[j - 1]) ** 2).sum()
    return np.sqrt(total[steps, steps])


def test_results_are_json_and_the_same_again():
    def everything():
        real, generated = HELD_OUT[0][:60], TRAIN[0][:60]
        return [
            privacy.nearest_neighbour_ratio(generated, TRAIN[0], real, limit=40),
            privacy.nearest_neighbour_ratio(generated, TRAIN[0], real, band=2, limit=5),
            privacy.membership_inference(np.arange(40), np.arange(40), TRAIN[1][:40], TRAIN[1][:40]),
            privacy.exact_copies(generated, TRAIN[0], shift=1),
        ]

    check_json_and_same_again(everything)


@pytest.mark.parametrize("band", [None, 5])
def test_copies_are_nearer_to_training_and_new_windows_are_not(band):
    limit = 400 if band is None else 30
    copies = privacy.nearest_neighbour_ratio(TRAIN[0], TRAIN[0], HELD_OUT[0], band, limit)
    assert copies["ratio"] < 1e-3 and copies["to_held_out"] > 1
    honest = privacy.nearest_neighbour_ratio(OTHERS[0], TRAIN[0], HELD_OUT[0], band, limit)
    assert honest["ratio"] == pytest.approx(1, abs=0.15)
    few = privacy.nearest_neighbour_ratio(OTHERS[0], TRAIN[0], HELD_OUT[0][:100], band, limit)
    assert few["ratio"] < honest["ratio"]  # so what is honest is found with the same windows


def test_dtw_is_the_textbooks():
    rng = np.random.default_rng(0)
    query, references = rng.normal(size=(12, 2)), rng.normal(size=(4, 12, 2))
    for band in (0, 1, 3, 11, 12, 20):
        for reference in references:
            found = privacy.nearest_dtw(query, reference[None], band)
            assert found == pytest.approx(textbook_dtw(query, reference, band), rel=1e-12)
    for reference in references:
        euclidean = np.linalg.norm(query - reference)
        assert privacy.nearest_dtw(query, reference[None], 0) == pytest.approx(euclidean, rel=1e-12)


@pytest.mark.parametrize("steps", [4, 49, 98, 103, 128])
def test_a_band_is_as_many_steps_wide_as_it_says(steps):
    """The package takes the band as a share of the steps; two spikes meet if they lie within the band."""
    spikes = np.eye(steps)[1:-1, :, None]
    for band in range(steps - 3):
        assert privacy.nearest_dtw(spikes[0], spikes[band][None], band) == 0
        assert privacy.nearest_dtw(spikes[0], spikes[band + 1][None], band) >= 1


@pytest.mark.parametrize("spread", [0.1, 10])
def test_nearest_by_dtw_is_the_least_of_all(spread):
    rng = np.random.default_rng(0)
    levels = spread * rng.normal(size=(600, 1, 2))  # far apart most are ruled out, close together none
    references = levels + rng.normal(size=(600, 12, 2)).cumsum(axis=1)
    for query in references[:5] + 0.1:
        for band in (0, 3):
            least = min(textbook_dtw(query, reference, band) for reference in references)
            assert privacy.nearest_dtw(query, references, band) == pytest.approx(least, rel=1e-12)


def test_membership_inference_is_an_auc_with_volunteers_as_units():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 50)
    nll = rng.normal(size=(2, 400)).round(1)  # with ties
    chance = privacy.membership_inference(*nll, subjects, subjects)
    truth = np.repeat([0, 1], 400)
    assert chance["auc"] == pytest.approx(roc_auc_score(truth, nll.ravel()))
    assert chance["low"] < 0.5 < chance["high"]
    betrayed = privacy.membership_inference(nll[0] - 2, nll[1], subjects, subjects)
    assert betrayed["low"] > 0.85
    people_differ = nll + rng.normal(size=8)[subjects]
    wide = privacy.membership_inference(*people_differ, subjects, subjects)
    assert wide["high"] - wide["low"] > 2 * (chance["high"] - chance["low"])
    with pytest.raises(ValueError, match="at least two volunteers"):
        privacy.membership_inference(*nll, subjects, np.ones(400))
    with pytest.raises(ValueError, match="399 labels for 400 windows"):
        privacy.membership_inference(*nll, subjects[1:], subjects)


def test_copies_are_found_wherever_they_were_cut():
    recording = np.random.default_rng(0).normal(size=(64 * 12, 2)).astype(np.float32)
    training = np.stack([recording[start : start + 128] for start in range(0, 64 * 11, 64)])
    cuts = np.stack([recording[start : start + 128] for start in range(0, 641, 7)])
    assert privacy.exact_copies(cuts, training) == len(cuts) == 92
    assert privacy.exact_copies(cuts, training, shift=0) == 2  # those that begin at 0 and 448
    assert privacy.exact_copies(cuts + 1e-3, training) == 0
    assert privacy.exact_copies(cuts + 1e-3, training, tolerance=2e-3) == 92
    assert privacy.exact_copies(HELD_OUT[0], TRAIN[0], shift=2) == 0
    with pytest.raises(ValueError, match="a shift of 64 leaves nothing"):
        privacy.exact_copies(cuts, training, shift=64)


@pytest.mark.skipif(not os.environ.get("SENSEGEN_HAR_ARCHIVE"), reason="SENSEGEN_HAR_ARCHIVE is unset")
def test_windows_of_test_volunteers_are_no_copies():
    har = load_har()
    train, test = (
        np.stack([har[part]["signals"][f"total_acc_{axis}"] for axis in "xyz"], axis=-1)
        for part in ("train", "test")
    )
    assert privacy.exact_copies(test[::20], train, shift=0) == 0
    assert privacy.exact_copies(train[::20], train, shift=0) == len(train[::20])
