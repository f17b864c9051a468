import numpy as np
import pytest
from people import ALL, HELD_OUT, TRAIN, check_distance, check_json_and_same_again

from sensegen_utils.judge import utility


def test_tstr_is_high_for_the_same_process_and_low_for_broken_generators():
    check_distance(lambda who: 1 - utility.tstr(*ALL[who], *HELD_OUT, trees=30)["macro_f1"], set())


def test_results_are_json_and_the_same_again():
    sets = TRAIN[0][:60], TRAIN[1][:60], HELD_OUT[0][:60], HELD_OUT[1][:60]
    check_json_and_same_again(lambda: utility.tstr(*sets, trees=5))


def test_features_are_finite_also_for_constant_windows():
    for channels, expected in ((1, 21), (2, 43), (6, 162)):
        features = utility.activity_features(TRAIN[0][:, :, :channels])
        assert features.shape == (420, expected) and np.isfinite(features).all()
    assert np.isfinite(utility.activity_features(np.zeros((3, 128, 6)))).all()


def test_forest_learns_activities_and_names_them():
    found = utility.tstr(*TRAIN, *HELD_OUT, trees=30)
    assert found["accuracy"] > 0.95 and list(found["f1"]) == list("123456")
    assert found["macro_f1"] == pytest.approx(np.mean(list(found["f1"].values())))
    walkers = TRAIN[1] < 4
    half = utility.tstr(TRAIN[0][walkers], TRAIN[1][walkers], *HELD_OUT, trees=30)
    assert half["accuracy"] < 0.55 and half["f1"]["5"] == 0
    with pytest.raises(ValueError, match="419 labels for 420 windows"):
        utility.tstr(TRAIN[0], TRAIN[1][1:], *HELD_OUT)
