import numpy as np
import pytest

from sensegen_utils.generator import build_generator
from sensegen_utils.sampling import sample

MEANS, SIGMAS, WEIGHTS = np.array([-1.0, 0.5]), np.array([0.1, 0.3]), np.array([0.25, 0.75])


@pytest.fixture(scope="module")
def fixed_mixture():
    """A G whose output does not depend on its input: every sample comes from the same mixture."""
    model = build_generator(4, 1, components=2)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    *others, _ = model.get_weights()
    model.set_weights([*others, np.concatenate([np.log(WEIGHTS), MEANS, np.log(SIGMAS)])])
    return model


@pytest.fixture(scope="module")
def random_generator():
    return build_generator(16, 2, batch_size=4)


def test_sampled_moments_are_those_of_the_mixture(fixed_mixture):
    drawn = sample(fixed_mixture, series=100, steps=500, seed=1, sigma_floor=0)
    mean = WEIGHTS @ MEANS
    deviation = np.sqrt(WEIGHTS @ (SIGMAS**2 + MEANS**2) - mean**2)
    assert drawn.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(deviation, rel=0.01)
    low = drawn < -0.6  # the two components do not overlap there
    assert low.mean() == pytest.approx(0.25, abs=0.01)
    assert drawn[low].std() == pytest.approx(0.1, rel=0.03)


def test_steps_and_series_are_independent_draws(fixed_mixture):
    drawn = sample(fixed_mixture, series=200, steps=200, seed=1)
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn[1:].ravel(), drawn[:-1].ravel())[0, 1]) < 0.02


def test_equal_seeds_equal_samples(random_generator):
    first = sample(random_generator, 3, 50, seed=7)
    np.testing.assert_array_equal(first, sample(random_generator, 3, 50, seed=7))
    assert (first != sample(random_generator, 3, 50, seed=8)).mean() > 0.99
    assert first.shape == (3, 50) and first.dtype == np.float32


def test_temperatures_narrow_the_samples(fixed_mixture):
    likely = sample(fixed_mixture, 50, 100, seed=1, mixture_temperature=0.01)
    assert likely.mean() == pytest.approx(0.5, abs=0.02)  # only the heavier component is left
    calm = sample(fixed_mixture, 50, 100, seed=1, sigma_temperature=1e-3, sigma_floor=0)
    assert set(np.round(calm, 1).ravel()) == {np.float32(-1.0), np.float32(0.5)}


def test_a_prefix_is_continued_from_its_state(random_generator):
    cold = {"mixture_temperature": 1e-4, "sigma_temperature": 1e-6, "seed": 1}
    start = np.random.default_rng(0).normal(size=(2, 5)).astype("float32")
    whole = sample(random_generator, 2, 30, prefix=start, **cold)
    rest = sample(random_generator, 2, 20, prefix=np.concatenate([start, whole[:, :10]], axis=1), **cold)
    np.testing.assert_allclose(rest, whole[:, 10:], atol=1e-4)


def test_sampling_equals_the_model_run_step_by_step(random_generator):
    cold = {"mixture_temperature": 1e-4, "sigma_temperature": 1e-6, "seed": 1}
    prefix = np.random.default_rng(0).normal(size=(4, 12)).astype("float32")
    for layer in random_generator.layers[1:3]:
        layer.reset_state()
    params = np.asarray(random_generator(prefix[..., None]))[:, -1]
    likeliest = params[:, :24].argmax(axis=1)
    expected = params[np.arange(4), 24 + likeliest]
    np.testing.assert_allclose(
        sample(random_generator, 4, 1, prefix=prefix, **cold)[:, 0], expected, atol=1e-4
    )


def test_clear_errors(random_generator):
    with pytest.raises(ValueError, match="temperatures must be positive"):
        sample(random_generator, 1, 5, seed=0, sigma_temperature=0)
    with pytest.raises(ValueError, match=r"prefix must have shape \(2, at least 1\)"):
        sample(random_generator, 2, 5, seed=0, prefix=np.zeros((3, 4)))
    broken = build_generator(4, 1)
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    with pytest.raises(FloatingPointError, match="series 0 at step 0"):
        sample(broken, 2, 5, seed=0)
