import numpy as np
import pytest

from ported import timegan_scores
from tests.people import ALL, HELD_OUT, TRAIN

SHORT = {name: windows[:, :24] for name, (windows, _) in ALL.items()}  # as in TimeGAN's own examples


def test_discriminative_score_catches_noise_and_not_its_like():
    noise, like, again = (
        timegan_scores.discriminative_score(SHORT["train"], SHORT[name], iterations)
        for name, iterations in (("white noise", 800), ("others", 100), ("others", 100))
    )
    assert noise["score"] > 0.25 and noise["training_accuracy"] > 0.75
    assert like["score"] < 0.1 and like == again
    assert like["score"] == pytest.approx(abs(0.5 - like["accuracy"]))


def test_predictive_score_is_worse_after_noise():
    like, again, noise = (
        timegan_scores.predictive_score(HELD_OUT[0][:, :24], SHORT[name], 200)
        for name in ("train", "train", "white noise")
    )
    assert 0 < like < noise < 1 and like == again


def test_initial_weights_are_tensorflow_1s():
    kernel, recurrent, bias = timegan_scores._network(6, 3).layers[1].get_weights()
    assert kernel.shape == (6, 9) and recurrent.shape == (3, 9)
    assert bias.tolist() == [1] * 6 + [0] * 3
    assert np.abs(kernel[:, :6]).max() < np.sqrt(6 / 15) and np.abs(kernel[:, 6:]).max() < np.sqrt(6 / 12)


def test_one_channel_and_unequal_numbers_are_refused():
    one = TRAIN[0][:, :, :1]
    for score in (timegan_scores.discriminative_score, timegan_scores.predictive_score):
        with pytest.raises(ValueError, match="not defined for one channel"):
            score(one, one)
    with pytest.raises(ValueError, match="must be balanced"):
        timegan_scores.discriminative_score(TRAIN[0], TRAIN[0][1:])
