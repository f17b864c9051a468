import numpy as np
import pytest

from sensegen_utils.model.discriminator import accuracy_interval, build_discriminator, cut_sequences, labelled


def test_parameter_count_of_the_report():
    assert build_discriminator().count_params() == 70_721


def test_output_is_a_probability():
    scores = build_discriminator().predict(np.random.default_rng(0).normal(size=(5, 30, 1)), verbose=0)
    assert scores.shape == (5, 1) and (scores > 0).all() and (scores < 1).all()


def test_sequences_are_cut_without_overlap_all_rows_of_a_start_together():
    series = np.arange(20).reshape(2, 10)
    np.testing.assert_array_equal(
        cut_sequences(series, 4), [[0, 1, 2, 3], [10, 11, 12, 13], [4, 5, 6, 7], [14, 15, 16, 17]]
    )
    assert cut_sequences(series, 4, stride=1).shape == (14, 4)
    with pytest.raises(ValueError, match="step cannot be zero"):
        cut_sequences(series, 4, stride=0)
    with pytest.raises(ValueError, match="10 steps are too short for sequences of 11"):
        cut_sequences(series, 11)


def test_labels_follow_their_sequences_through_the_shuffle():
    sequences, labels = labelled(np.ones((6, 5)), np.zeros((6, 5)), seed=0)
    np.testing.assert_array_equal(sequences[:, 0], labels)
    assert labels.sum() == 6 and 0 < labels[:6].sum() < 6
    with pytest.raises(ValueError, match="must be balanced"):
        labelled(np.ones((6, 5)), np.zeros((5, 5)), seed=0)


def test_interval_is_wilsons_and_covers_as_often_as_it_says():
    low, high = accuracy_interval(0.9, 50)  # the textbook value of 45 successes in 50
    assert (low, high) == (pytest.approx(0.786, abs=1e-3), pytest.approx(0.957, abs=1e-3))
    # 118 of 184 sequences in four near copies are 29.5 of 46: not 30, which would be told from chance.
    assert accuracy_interval(118 / 184, 46) == pytest.approx((0.497, 0.764), abs=1e-3)
    hits = np.random.default_rng(0).binomial(40, 0.5, 500) / 40
    covered = np.mean([low <= 0.5 <= high for low, high in (accuracy_interval(h, 40) for h in hits)])
    assert 0.91 < covered < 0.99
