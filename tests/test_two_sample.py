import keras
import numpy as np
import pytest
from people import HELD_OUT, OTHERS, TRAIN, check_json_and_same_again, people

from sensegen_utils.judge import contenders, two_sample
from sensegen_utils.judge.checks import KINDS, held_out
from sensegen_utils.model.discriminator import build_discriminator
from tests.conftest import defined_in

pytestmark = pytest.mark.xdist_group("two samples")  # one network is compiled for all tests


def surrogates(windows, seed):
    """The same spectra and cross-spectra, at random phases."""
    spectrum = np.fft.rfft(windows, axis=1)
    turn = np.exp(2j * np.pi * np.random.default_rng(seed).random((len(windows), spectrum.shape[1], 1)))
    turn[:, [0, -1]] = 1
    return np.fft.irfft(spectrum * turn, axis=1).astype(np.float32)


def ar1(windows, seed):
    """Noise of each window's own mean, variance and correlation of neighbouring samples."""
    mean, deviation = windows.mean(axis=1, keepdims=True), windows.std(axis=1, keepdims=True)
    centred = (windows - mean) / deviation
    memory = (centred[:, 1:] * centred[:, :-1]).mean(axis=1, keepdims=True)
    noise = np.random.default_rng(seed).normal(size=windows.shape)
    for step in range(1, windows.shape[1]):
        noise[:, step] = memory[:, 0] * noise[:, step - 1] + np.sqrt(1 - memory[:, 0] ** 2) * noise[:, step]
    return (mean + deviation * noise).astype(np.float32)


class TestJudges:
    walks = [x[y < 4][:, :, :1] for x, y in (TRAIN, HELD_OUT, OTHERS, people(420, 4))]

    def test_the_reports_judge_is_d_with_as_many_inputs_as_channels(self, monkeypatch):
        built = []

        def build(**size):
            built.append(build_discriminator(**size))
            return built[-1]

        monkeypatch.setattr(two_sample, "build_discriminator", build)
        monkeypatch.setattr(keras.Model, "fit", lambda *data, **settings: None)
        for channels in (1, 6):
            sets = [x[:20, :, :channels] for x in (TRAIN[0], OTHERS[0], HELD_OUT[0], OTHERS[0][20:])]
            two_sample.judge("report", *sets, epochs=1)
        assert [w.shape for w in built[0].weights] == [w.shape for w in build_discriminator().weights]
        assert {model.count_params() for model in built} == {70_721, 70_721 + 5 * 4 * 128}
        assert float(built[0].optimizer.learning_rate) == pytest.approx(3e-4)

    def test_the_strong_judge_catches_fakes_that_have_the_right_spectra(self):
        real, test_real, source, test_source = self.walks
        fakes = surrogates(source, 0), surrogates(test_source, 1)
        verdict = two_sample.judge("cnn", real, fakes[0], test_real, fakes[1], epochs=8)
        assert verdict["accuracy"] > 0.9 and verdict["auc"] > 0.95
        assert verdict["score"] == pytest.approx(verdict["accuracy"] - 0.5)

    @pytest.mark.parametrize("kind", ["rocket", "quant", "trees"])
    def test_the_strong_members_catch_right_moments_and_not_real_people(self, kind):
        real, test_real, source, test_source = self.walks
        fakes = ar1(source, 0), ar1(test_source, 1)
        caught = two_sample.judge(kind, real, fakes[0], test_real, fakes[1], kernels=504)
        assert caught["accuracy"] > 0.9 and caught["training_accuracy"] > 0.95 and caught["auc"] > 0.95
        like = two_sample.judge(kind, real, source, test_real, test_source, kernels=504)
        assert like["score"] < 0.1
        few = [x[:60] for x in (real, source, test_real, test_source)]
        assert two_sample.judge(kind, *few, kernels=504) == two_sample.judge(kind, *few, kernels=504)

    def test_no_judge_tells_real_from_real_and_the_same_seed_says_the_same(self):
        real, test_real, source, test_source = self.walks
        for kind in ("cnn", "features"):
            verdicts = [
                two_sample.judge(kind, real, source, test_real, test_source, epochs=2) for _ in range(2)
            ]
            assert verdicts[0] == verdicts[1]
            assert verdicts[0]["score"] < 0.1 and abs(verdicts[0]["auc"] - 0.5) < 0.1

    def test_the_accuracy_of_a_volunteer_is_that_of_its_rows(self):
        real, test_real, source, test_source = (x[:60] for x in self.walks)
        fake = np.concatenate(
            [ar1(test_source[:30], 1), test_source[30:]]
        )  # the fakes of volunteer 2 are real
        whose = np.repeat([1, 2], 30)
        sets = real, ar1(source, 0), test_real, fake
        found = two_sample.judge("features", *sets, test_subject=whose)
        people = found["by_volunteer"]
        assert people["1"] > 0.9 and abs(people["2"] - 0.5) < 0.1
        assert found["accuracy"] == pytest.approx((people["1"] + people["2"]) / 2)
        both = two_sample.judge("features", *sets, test_subject=np.stack([whose, whose[::-1] + 2]))
        assert both["by_volunteer"] == people | {"3": people["2"], "4": people["1"]}
        assert "by_volunteer" not in two_sample.judge("features", *sets)

    def test_across_people_every_volunteer_is_asked_once_about_what_others_taught(self, monkeypatch):
        real, fake, subject = TRAIN[0][:60, :, :1], ar1(OTHERS[0][:60, :, :1], 0), np.repeat([1, 2, 3, 4], 15)
        told, judge = [], two_sample.judge
        monkeypatch.setattr(two_sample, "judge", lambda *a, **how: told.append(a) or judge(*a, **how))
        found = two_sample.judge_across("features", real, fake, subject)
        assert sorted(found["by_volunteer"]) == ["1", "2", "3", "4"] and found["accuracy"] > 0.8
        assert found["accuracy"] == pytest.approx(np.mean(list(found["by_volunteer"].values())))
        assert found["score"] == pytest.approx(found["accuracy"] - 0.5) and len(told) == 3
        for _, taught, taught_fake, asked, _, known, whose in told:
            assert len(taught) == len(taught_fake) == len(known) and not set(known) & set(whose)
            assert len(taught) + len(asked) == 60
        like = two_sample.judge_across("features", real, HELD_OUT[0][:60, :, :1], subject)
        assert like["score"] < 0.2

    def test_a_judge_that_did_not_learn_shows_in_its_training_accuracy(self):
        real, test_real, *_ = self.walks
        fakes = [contenders.shuffled_time(x, np.ones(len(x)), {1: len(x)})[0] for x in self.walks[2:]]
        lazy = two_sample.judge("report", real, fakes[0], test_real, fakes[1], epochs=1)
        assert lazy["score"] < 0.3 and lazy["training_accuracy"] < 0.8
        able = two_sample.judge("features", real, fakes[0], test_real, fakes[1])
        assert able["score"] > 0.45 and able["training_accuracy"] > 0.95

    def test_judges_are_blind_to_copies(self):
        real, test_real, source, _ = self.walks
        assert two_sample.judge("features", real, real[::-1], test_real, source)["training_accuracy"] == 0.5

    def test_whole_volunteers_are_kept_for_early_stopping(self):
        subject = np.repeat(np.arange(10), 7)
        held = held_out(70, subject, seed=0)
        assert held.sum() == 14 and len(np.unique(subject[held])) == 2
        assert held_out(70, None, seed=0).sum() == 14

    def test_what_judges_refuse(self):
        real, fake = TRAIN[0][:20], TRAIN[0][20:40]
        with pytest.raises(ValueError, match="20 real and 19 fake windows: the two must be balanced"):
            two_sample.judge("features", real, fake[1:], real, fake)
        with pytest.raises(ValueError, match="20 real and 19 fake windows: the two must be balanced"):
            two_sample.judge("features", real, fake, real, fake[1:])
        with pytest.raises(
            ValueError, match="Unknown judge 'resnet'. There are: rocket, quant, trees, features, cnn, report"
        ):
            two_sample.judge("resnet", real, fake, real, fake)
        with pytest.raises(ValueError, match="at least two volunteers"):
            two_sample.judge("cnn", real, fake, real, fake, subject=np.ones(20))
        with pytest.raises(ValueError, match="19 subjects for 20 real windows"):
            two_sample.judge("cnn", real, fake, real, fake, subject=np.ones(19))
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[20, 19, 20\]"):
            two_sample.judge_across("features", real, fake[1:], np.arange(20))

    def test_a_paired_test_sees_what_holds_for_every_volunteer_only(self):
        (paired_p,) = defined_in("08c", "paired_p", np=np)
        theirs = {str(who): 0.5 + 0.01 * who for who in range(9)}
        ours = {who: accuracy + 0.1 for who, accuracy in theirs.items()}
        assert paired_p(ours, theirs) == 1 / 512 and paired_p(theirs, ours) == 1
        mixed = {who: accuracy + 0.1 * (-1) ** int(who) for who, accuracy in theirs.items()}
        assert paired_p(mixed, theirs) > 0.3
        assert list(KINDS)[-1] == "report" and len(KINDS) == 6

    def test_results_are_json_and_the_same_again(self):
        sets = HELD_OUT[0][:60], TRAIN[0][:60], OTHERS[0][:60], TRAIN[0][60:120]
        check_json_and_same_again(lambda: two_sample.judge("features", *sets))


class TestLogOdds:
    train, held_out, others = ((x[:, :, :3], y) for x, y in (TRAIN, HELD_OUT, OTHERS))
    volunteers = np.arange(len(TRAIN[0])) % 7

    def test_they_are_the_odds_of_people_whom_they_have_not_met(self):
        # Two thirds of the fakes are people, the others broken: a fake that looks real has odds of 3 / 2.
        (theirs, label), (x, y) = self.others, self.held_out
        fake = np.where((np.arange(len(theirs)) % 3 == 0)[:, None, None], ar1(theirs, 0), theirs)
        odds = two_sample.fit_log_odds(*self.train, fake, label, self.volunteers, folds=2)
        people, broken = odds(x, y), odds(ar1(x, 1), y)
        assert people.shape == (len(x),)
        assert np.median(people) == pytest.approx(np.log(1.5), abs=0.3) and np.median(broken) < -1

    def test_the_same_seed_gives_the_same_odds(self):
        few = [each[:90] for each in (*self.train, *self.others, self.volunteers)]
        first, again = (two_sample.fit_log_odds(*few, folds=2)(*self.held_out) for _ in range(2))
        np.testing.assert_array_equal(first, again)

    def test_where_nothing_can_be_told_nothing_is_preferred(self):
        odds = two_sample.fit_log_odds(*self.train, *self.others, self.volunteers, folds=2)
        assert np.abs(odds(*self.held_out)).max() < 0.7

    def test_it_knows_what_was_asked_for(self):
        # A walk where rest was asked for is as real as any, but not as an answer.
        (theirs, label), (x, y) = self.others, self.held_out
        odds = two_sample.fit_log_odds(*self.train, theirs, np.roll(label, 1), self.volunteers, folds=2)
        assert (odds(x, y) > odds(x, np.roll(y, 1))).mean() > 0.9
        with pytest.raises(ValueError, match=r"7\]: the discriminator knows only \[1, 2, 3"):
            odds(x, y + 1)

    def test_what_it_refuses(self):
        with pytest.raises(ValueError, match="two volunteers at least"):
            two_sample.fit_log_odds(*TRAIN, *OTHERS, np.zeros(len(TRAIN[0])))
        with pytest.raises(ValueError, match="3 labels for 420 windows"):
            two_sample.fit_log_odds(TRAIN[0], TRAIN[1][:3], *OTHERS, self.volunteers)
