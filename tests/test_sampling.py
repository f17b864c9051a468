import threading
import time

import numpy as np
import psutil
import pytest

from sensegen_utils.model import sampling
from sensegen_utils.model.generator import build_generator
from sensegen_utils.model.sampling import sample_series, sample_to_file
from tests import forks

pytestmark = pytest.mark.xdist_group("forks")
# XLA compiles the sampling for each generator, floor and number of series at once: here are few of all three.
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
    drawn = sample_series(fixed_mixture, series=100, steps=500, seed=1, sigma_floor=0)
    mean = WEIGHTS @ MEANS
    deviation = np.sqrt(WEIGHTS @ (SIGMAS**2 + MEANS**2) - mean**2)
    assert drawn.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(deviation, rel=0.01)
    low = drawn < -0.6  # the two components do not overlap there
    assert low.mean() == pytest.approx(0.25, abs=0.01)
    assert drawn[low].std() == pytest.approx(0.1, rel=0.03)


def test_steps_and_series_are_independent_draws(fixed_mixture):
    drawn = sample_series(fixed_mixture, series=100, steps=500, seed=2, sigma_floor=0)
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn[1:].ravel(), drawn[:-1].ravel())[0, 1]) < 0.02


def test_equal_seeds_equal_samples(random_generator):
    first = sample_series(random_generator, 3, 50, seed=7)
    np.testing.assert_array_equal(first, sample_series(random_generator, 3, 50, seed=7))
    assert (first != sample_series(random_generator, 3, 50, seed=8)).mean() > 0.99
    assert first.shape == (3, 50) and first.dtype == np.float32


def test_the_first_steps_of_a_longer_sample_are_the_same(random_generator):
    longer = sample_series(random_generator, 3, 2 * sampling.STEPS_AT_ONCE + 10, seed=7)
    for steps in (1, sampling.STEPS_AT_ONCE, sampling.STEPS_AT_ONCE + 1):
        np.testing.assert_array_equal(sample_series(random_generator, 3, steps, seed=7), longer[:, :steps])


def test_another_length_is_not_compiled_anew():
    generator, took = build_generator(16, 2, batch_size=4), []
    for steps in (40, 41, 57, sampling.STEPS_AT_ONCE + 9):
        start = time.perf_counter()
        sample_series(generator, 2, steps, seed=7)
        took.append(time.perf_counter() - start)
    assert max(took[1:]) < took[0] / 3, "only the first draw waits for XLA"


def test_blocks_of_series_do_not_depend_on_cores_or_each_other(random_generator, monkeypatch):
    monkeypatch.setattr(sampling, "SERIES_AT_ONCE", 3)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    one_core = sample_series(random_generator, 10, 20, seed=7)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    np.testing.assert_array_equal(sample_series(random_generator, 10, 20, seed=7), one_core)
    np.testing.assert_array_equal(sample_series(random_generator, 6, 20, seed=7), one_core[:6])
    assert np.unique(one_core).size == one_core.size  # no block repeats another's noise


def test_temperatures_narrow_the_samples(fixed_mixture):
    likely = sample_series(fixed_mixture, 100, 100, seed=1, mixture_temperature=0.01, sigma_floor=0)
    assert likely.mean() == pytest.approx(0.5, abs=0.02)  # only the heavier component is left
    calm = sample_series(fixed_mixture, 100, 100, seed=1, sigma_temperature=1e-3, sigma_floor=0)
    assert set(np.round(calm, 1).ravel()) == {np.float32(-1.0), np.float32(0.5)}


def test_a_prefix_is_continued_from_its_state(random_generator):
    cold = {"mixture_temperature": 1e-4, "sigma_temperature": 1e-6, "seed": 1}
    start = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    whole = sample_series(random_generator, 3, 30, prefix=start, **cold)
    rest = sample_series(
        random_generator, 3, 20, prefix=np.concatenate([start, whole[:, :10]], axis=1), **cold
    )
    np.testing.assert_allclose(rest, whole[:, 10:], atol=1e-4)


@pytest.mark.parametrize("known", [1, 12, sampling.STEPS_AT_ONCE + 1, 2 * sampling.STEPS_AT_ONCE + 2])
def test_sampling_equals_the_model_run_step_by_step(random_generator, known):
    cold = {"mixture_temperature": 1e-4, "sigma_temperature": 1e-6, "seed": 1}
    prefix = np.random.default_rng(0).normal(size=(4, known)).astype("float32")
    for layer in random_generator.layers[1:3]:
        layer.reset_state()
    params = np.asarray(random_generator(prefix[..., None]))[:, -1]
    likeliest = params[:, :24].argmax(axis=1)
    expected = params[np.arange(4), 24 + likeliest]
    np.testing.assert_allclose(
        sample_series(random_generator, 4, 1, prefix=prefix, **cold)[:, 0], expected, atol=1e-4
    )


def test_clear_errors(random_generator):
    with pytest.raises(ValueError, match="temperatures must be positive"):
        sample_series(random_generator, 1, 5, seed=0, sigma_temperature=0)
    for wrong in (np.nan, 1e-46, np.inf):
        with pytest.raises(ValueError, match="temperatures must be positive"):
            sample_series(random_generator, 1, 5, seed=0, mixture_temperature=wrong)
    with pytest.raises(ValueError, match=r"prefix must have shape \(2, at least 1\)"):
        sample_series(random_generator, 2, 5, seed=0, prefix=np.zeros((3, 4)))
    broken = build_generator(4, 1)
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    with pytest.raises(FloatingPointError, match="series 0 at step 0"):
        sample_series(broken, 2, 5, seed=0)


def test_a_value_that_is_not_finite_is_found_where_it_is(random_generator, monkeypatch):
    monkeypatch.setattr(sampling, "SERIES_AT_ONCE", 3)
    prefix = np.zeros((8, 2))
    prefix[7, 1] = np.nan
    with pytest.raises(FloatingPointError, match="produced nan in series 7 at step 0"):
        sample_series(random_generator, 8, 4, seed=0, prefix=prefix)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_file_holds_what_sample_returns(random_generator, monkeypatch, tmp_path, capsys, suffix):
    monkeypatch.setattr(sampling, "SERIES_AT_ONCE", 3)
    options = {"mixture_temperature": 0.7, "prefix": np.zeros((8, 2)), "sigma_floor": 0}
    path = sample_to_file(tmp_path / "new" / f"drawn{suffix}", random_generator, 8, 20, seed=7, **options)
    assert "100%" in capsys.readouterr().err
    read = np.load(path) if suffix == ".npy" else np.load(path)["samples"]
    np.testing.assert_array_equal(read, sample_series(random_generator, 8, 20, seed=7, **options))
    assert read.dtype == np.float32
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_failed_run_leaves_no_half_file(random_generator, monkeypatch, tmp_path, suffix):
    monkeypatch.setattr(sampling, "SERIES_AT_ONCE", 3)
    prefix = np.zeros((8, 2))
    prefix[7] = np.nan  # only the last block fails, after the others were written
    with pytest.raises(FloatingPointError):
        sample_to_file(tmp_path / f"drawn{suffix}", random_generator, 8, 4, seed=0, prefix=prefix)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(random_generator, tmp_path):
    resource = pytest.importorskip("resource")  # Windows has no limit on the size of files
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"could not write .*drawn\.npy.*Free some space"):
            sample_to_file(tmp_path / "drawn.npy", random_generator, 3, 2000, seed=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_are_numbers(random_generator, tmp_path):
    whole = np.int64(3), np.int64(20)
    path = sample_to_file(
        tmp_path / "drawn.npy", random_generator, *whole, seed=0, sigma_temperature=np.float64(1)
    )
    np.testing.assert_array_equal(np.load(path), sample_series(random_generator, *whole, seed=0))


def test_other_suffixes_are_refused(random_generator, tmp_path):
    with pytest.raises(ValueError, match=r"drawn\.csv must end in \.npy or \.npz"):
        sample_to_file(tmp_path / "drawn.csv", random_generator, 3, 20, seed=0)


def memory_of_more_series(path):
    """The growth of the peak from 4096 series to ten times as many."""

    def watch():
        while True:
            peaks[-1] = max(peaks[-1], psutil.Process().memory_info().rss)
            time.sleep(0.005)

    peaks = [0]
    threading.Thread(target=watch, daemon=True).start()
    generator = build_generator(4, 1, components=2)
    for series in (4096, 40960):
        peaks.append(0)
        sample_to_file(path, generator, series, 256, seed=0)
    return peaks[2] - peaks[1]


def test_memory_does_not_grow_with_the_number_of_series(tmp_path):
    # Watched from inside: what the system counts as a child's peak can be inherited from the parent.
    path = tmp_path / "drawn.npy"
    assert forks.result_of(memory_of_more_series, path) < 20e6
    assert path.stat().st_size > 40e6
