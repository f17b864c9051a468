"""Synthetic volunteers: windows get a style, styles vary as people do."""

import numpy as np
import pytest

from sensegen_utils.model import people
from sensegen_utils.model.people import draw_style, fit_styles, give_style

SUBJECT, LABEL = np.repeat(np.arange(8), 60), np.tile([1, 2], 240)


def windows_of(spread, channels=6, seed=0):
    """Windows (480, 64, channels) of eight people, who differ by ``spread``."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, spread, (8, 3, channels))[SUBJECT]
    level = np.arange(1, channels + 1) + LABEL[:, None] + own[:, 0] + rng.normal(0, 0.05, (480, channels))
    x = (
        rng.normal(size=(480, 64, channels))
        * np.exp(own[:, 1] + rng.normal(0, 0.05, (480, channels)))[:, None]
    )
    x[:, :, -1] += (own[:, 2, 0])[:, None] * x[:, :, 0]
    return (level[:, None] + x).astype(np.float32)


@pytest.fixture(scope="module")
def styles():
    return fit_styles(windows_of(0.3), LABEL, SUBJECT)


def test_a_symmetric_map_carries_one_covariance_to_the_other():
    rng = np.random.default_rng(0)
    stretch = np.arange(1.0, 6)[:, None]
    source, target = (np.cov(rng.normal(size=(5, 50)) * stretch**power) for power in (1, -1))
    found = people._transport(source, target)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    np.testing.assert_allclose(found @ source @ found.T, target, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2])
def test_without_a_spread_within_people_every_window_gets_the_moments_of_the_style(channels):
    x = windows_of(0.3, channels)
    styles = fit_styles(x, LABEL, SUBJECT)
    styles["maps"] *= 0
    style = draw_style(styles, np.random.default_rng(1))
    given = give_style(x, LABEL, style, styles)
    assert given.shape == x.shape and given.dtype == np.float32
    np.testing.assert_allclose(people._moments(given), style[LABEL - 1], atol=1e-4)


def test_gravity_keeps_its_length_and_takes_the_direction_of_the_style(styles):
    x, still = windows_of(0.3, seed=1), styles | {"maps": 0 * styles["maps"]}
    style = draw_style(styles, np.random.default_rng(1))
    before, after = (each.mean(axis=1)[:, :3] for each in (x, give_style(x, LABEL, style, still)))
    length = np.linalg.norm(before, axis=1)
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), length, rtol=1e-4)
    wanted = style[LABEL - 1][:, :3]
    np.testing.assert_allclose(
        after / length[:, None], wanted / np.linalg.norm(wanted, axis=1)[:, None], atol=1e-4
    )


def test_people_who_do_not_differ_change_nothing():
    x = windows_of(0)
    styles = fit_styles(x, LABEL, SUBJECT)
    given = give_style(x, LABEL, styles["known"].mean(axis=1), styles)
    assert np.abs(given - x).mean() < 0.05 * x.std(axis=1).mean()


def test_styles_vary_as_those_of_the_people_do_and_none_is_one_of_them(styles):
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_style(styles, rng) for _ in range(4000)], axis=1)
    for new, known in zip(drawn, styles["known"], strict=True):
        np.testing.assert_allclose(new.mean(axis=0), known.mean(axis=0), atol=0.03)
        np.testing.assert_allclose(np.cov(new.T), np.cov(known.T), atol=0.03)
    apart = np.abs(drawn[:, :, None] - styles["known"][:, None]).max(axis=(0, 3))
    assert apart.min() > 0.01


def test_windows_of_one_volunteer_belong_together_as_those_of_the_people_do(styles):
    rng, whose, label = np.random.default_rng(0), np.repeat(np.arange(8), 30), np.ones(240, int)
    real = windows_of(0.3)[LABEL == 1]
    nobody = rng.permutation(real)
    groups = [nobody[who == whose] for who in range(8)]
    given = np.concatenate([give_style(x, label[:30], draw_style(styles, rng), styles) for x in groups])

    def share_between(windows):
        moments = people._moments(windows)[:, [*range(6), 6, 12]]  # levels, and the strength of two channels
        means = np.array([moments[who == whose].mean(axis=0) for who in range(8)])
        return (means.var(axis=0) / moments.var(axis=0)).mean()

    assert share_between(nobody) < 0.1 and share_between(real) > 0.6
    assert share_between(given) == pytest.approx(share_between(real), abs=0.15)


def test_what_styles_refuse(styles):
    x = windows_of(0.3)
    with pytest.raises(ValueError, match=r"styles are of labels \[1, 2\], not of all \[2 3\]"):
        give_style(x, LABEL + 1, styles["known"].mean(axis=1), styles)
    with pytest.raises(ValueError, match="two people at least"):
        fit_styles(x, LABEL, np.zeros(480))
    subject = SUBJECT.copy()
    subject[0] = 99
    with pytest.raises(ValueError, match=r"subjects \[99\] have fewer than two windows of 1"):
        fit_styles(x, LABEL, subject)
