import numpy as np
import pytest
from people import ALL, HELD_OUT, TRAIN, check_distance, check_json_and_same_again
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from ported.quant import quant_features
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


def test_rocket_learns_activities_sees_time_and_names_adherence():
    found = utility.tstr(*TRAIN, *HELD_OUT, kind="rocket", kernels=504)
    assert found["accuracy"] > 0.95
    shuffled = utility.tstr(*TRAIN, *ALL["shuffled time"], kind="rocket", kernels=504)  # TRTS
    assert shuffled["accuracy"] < found["accuracy"] - 0.2
    asked_wrongly = utility.tstr(*TRAIN, HELD_OUT[0], 7 - HELD_OUT[1], kind="rocket", kernels=504)
    assert asked_wrongly["accuracy"] < 0.1


def test_features_of_intervals_and_convolutions_have_one_row_a_window():
    for channels in (1, 6):
        windows = TRAIN[0][:20, :, :channels]
        quantiles = quant_features(windows)
        assert quantiles.shape == (20, 1160 * channels) and np.isfinite(quantiles).all()
        assert quantiles[:, 0] == pytest.approx(windows[:, :, 0].min(axis=1))
        features = utility.rocket_features(windows, TRAIN[0][:, :, :channels], kernels=504)
        assert features.shape == (20, 504) and 0 <= features.min() <= features.max() <= 1
    assert quant_features(windows[:, :16]).shape[1] < 1160 * 6
    same = utility.rocket_features(windows[:5], TRAIN[0], kernels=504)
    assert (same == features[:5]).all(), "features do not depend on the windows beside them"


def test_ridge_takes_the_penalty_that_is_right_most_often():
    # What tells the classes lies in a direction of little variance, beside features that say nothing: few
    # penalties use it, at the price of a greater squared error than that of weights near zero.
    rng = np.random.default_rng(0)

    def draw(rows):
        labels, level = rng.integers(2, size=rows), rng.normal(size=rows)
        told = level + 0.1 * (2 * labels - 1) + 0.15 * rng.normal(size=rows)
        return np.column_stack([level, told, rng.normal(size=(rows, 150))]), labels

    features, labels = draw(400)
    asked, truth = draw(4000)
    scores = utility.fit_ridge(features, labels, np.arange(400) % 2 == 0, penalties=(1e5, 1, 1e7))(asked)
    near_zero = utility.fit_ridge(features, labels, np.arange(400) % 2 == 0, penalties=(1e5,))(asked)
    target = np.where(truth[:, None] == [0, 1], 1, -1)
    assert ((scores - target) ** 2).mean() > ((near_zero - target) ** 2).mean()
    right, near_zero_right = ((each.argmax(axis=1) == truth).mean() for each in (scores, near_zero))
    assert right > 0.58 and near_zero_right < 0.53


@pytest.mark.parametrize("rows", [40, 400], ids=["fewer rows than features", "more"])
def test_ridge_is_sklearns_with_the_penalty_of_the_held_out_rows(rows):
    rng = np.random.default_rng(0)
    features, other = rng.normal(3, 2, (rows, 60)), rng.normal(3, 2, (30, 60))
    strength = features @ rng.normal(size=60) + rng.normal(0, 5, rows)
    labels = np.digitize(strength, np.quantile(strength, (0.3, 0.6))) + 1
    held = np.arange(rows) % 5 == 0
    scores = utility.fit_ridge(features, labels, held, penalties=(50,))
    scaler = StandardScaler().fit(features)
    theirs = RidgeClassifier(alpha=50).fit(scaler.transform(features), labels)
    assert scores(other) == pytest.approx(theirs.decision_function(scaler.transform(other)), abs=1e-8)
    least = utility.fit_ridge(features, labels, held, penalties=(1e9, 50, 1e12))
    assert least(other) == pytest.approx(scores(other))
