import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from sensegen_utils.model.generator import build_generator, load_generator
from sensegen_utils.model.mixture import SIGMA_FLOOR, mixture_nll, probability_space_nll, split_mixture
from sensegen_utils.model.sampling import sample_series


def params_of(weights, means, sigmas):
    """Output of a G with as many components as weights: (1, 1, 3 x components), without floor."""
    return np.concatenate([np.log(weights), means, np.log(sigmas)])[None, None]


def nll(x, params, **options):
    return float(keras.ops.convert_to_numpy(mixture_nll(np.array([[[x]]]), params, **options)).squeeze())


@pytest.mark.parametrize(
    ("layers", "units", "idle", "parameters"),
    [
        (3, 256, True, 1_358_752),
        (3, 256, False, 1_357_000),
        (3, 128, False, 355_528),
        (1, 256, False, 306_376),
    ],
)
def test_parameter_counts_of_the_report(layers, units, idle, parameters):
    assert build_generator(units, layers, idle_dense=idle).count_params() == parameters


@pytest.mark.parametrize("x", [-3.0, 0.2, 1.0, 40.0])
def test_nll_of_one_and_two_gaussians_is_scipys(x):
    one = params_of([1.0], [0.3], [0.5])
    assert nll(x, one, sigma_floor=0) == pytest.approx(-norm.logpdf(x, 0.3, 0.5), rel=1e-9)
    two = params_of([0.3, 0.7], [-1.0, 1.0], [0.2, 2.0])
    density = 0.3 * norm.pdf(x, -1.0, 0.2) + 0.7 * norm.pdf(x, 1.0, 2.0)
    assert nll(x, two, sigma_floor=0) == pytest.approx(-np.log(density), rel=1e-9)


def test_the_floor_is_added_to_sigma_and_bounds_the_nll():
    point_mass = params_of([1.0], [0.0], [1e-30])
    assert nll(0.0, point_mass) == pytest.approx(np.log(SIGMA_FLOOR * np.sqrt(2 * np.pi)), rel=1e-6)
    assert nll(0.1, params_of([1.0], [0.0], [0.5]), sigma_floor=0.5) == pytest.approx(
        -norm.logpdf(0.1, 0, 1.0), rel=1e-6
    )


def test_both_losses_agree_where_float32_can_hold_the_density():
    params = np.random.default_rng(0).normal(size=(2, 7, 72)).astype("float32")
    x = np.random.default_rng(1).normal(size=(2, 7, 1)).astype("float32")
    np.testing.assert_allclose(
        mixture_nll(x, params, sigma_floor=0), probability_space_nll(x, params), rtol=1e-4
    )


def test_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    params, x = rng.normal(size=(1, 1, 9)), np.array([[[0.4]]])
    with tf.GradientTape() as tape:
        watched = tf.constant(params)
        tape.watch(watched)
        loss = mixture_nll(tf.constant(x), watched)
    gradient = tape.gradient(loss, watched).numpy().ravel()
    step = 1e-6
    for i in range(9):
        shift = np.zeros(9)
        shift[i] = step
        numeric = (nll(0.4, params + shift) - nll(0.4, params - shift)) / (2 * step)
        assert gradient[i] == pytest.approx(numeric, abs=1e-6)


@pytest.mark.parametrize("logits", [0.0, 1e4])
@pytest.mark.parametrize("log_sigma", [-80.0, 0.0, 80.0])
@pytest.mark.parametrize("x", [0.0, 1e3, 1e9])
def test_extreme_outputs_keep_value_and_gradient_finite(logits, log_sigma, x):
    params = np.zeros((1, 1, 72), "float32")
    params[..., 3] = logits
    params[..., 48:] = log_sigma
    with tf.GradientTape() as tape:
        watched = tf.constant(params)
        tape.watch(watched)
        loss = mixture_nll(tf.constant([[[x]]], tf.float32), watched)
    assert np.isfinite(loss.numpy()).all()
    assert np.isfinite(tape.gradient(loss, watched).numpy()).all()


def test_the_reports_loss_is_lost_beyond_thirteen_sigmas():
    params = tf.zeros((1, 1, 72))
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = probability_space_nll(tf.constant([[[15.0]]]), params)
    assert np.isinf(loss.numpy()).all()
    assert np.isnan(tape.gradient(loss, params).numpy()).any()


def test_training_recovers_a_known_mixture():
    rng = np.random.default_rng(0)
    which = rng.random(4000) < 0.25
    x = np.where(which, rng.normal(-1.0, 0.1, 4000), rng.normal(0.5, 0.3, 4000)).astype("float32")
    inputs = keras.Input((1, 1))
    outputs = keras.layers.Dense(6, kernel_initializer=keras.initializers.RandomNormal(seed=3))(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.05), loss=mixture_nll)
    model.fit(np.ones((4000, 1, 1)), x[:, None, None], batch_size=500, epochs=40, verbose=0)
    weights, means, log_sigmas = (
        np.asarray(value).ravel() for value in split_mixture(model(np.ones((1, 1, 1))))
    )
    order = np.argsort(means)
    np.testing.assert_allclose(np.exp(weights)[order], [0.25, 0.75], atol=0.03)
    np.testing.assert_allclose(means[order], [-1.0, 0.5], atol=0.03)
    np.testing.assert_allclose(np.exp(log_sigmas)[order], [0.1, 0.3], rtol=0.1)


def test_save_and_load_without_custom_objects(tmp_path):
    model = build_generator(8, 2, batch_size=4)
    model.compile("adam", loss=mixture_nll)
    x = np.random.default_rng(0).normal(size=(4, 20, 1)).astype("float32")
    model.train_on_batch(x, x)
    model.save(tmp_path / "g.keras")
    loaded = keras.saving.load_model(tmp_path / "g.keras")
    assert loaded.loss is mixture_nll
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_tensorflow_1_initialisation_has_its_limits():
    model = build_generator(256, 1, tf1_initializers=True)
    kernel, recurrent, bias = model.layers[1].get_weights()
    limit = np.sqrt(6 / (1 + 256 + 4 * 256))
    assert np.abs(kernel).max() <= limit and limit * 0.99 < np.abs(recurrent).max() <= limit
    assert bias.sum() == 256  # the forget bias of 1
    dense = model.get_layer("DENSE1").get_weights()[0]
    assert np.abs(dense).max() <= 0.4 + 1e-6  # truncated at two standard deviations


def test_a_standardised_generator_reads_and_draws_in_the_signals_unit(tmp_path):
    mean, deviation, floor = 0.8, 0.3, 1e-2
    plain = build_generator(8, 2, batch_size=4, tf1_initializers=True)
    scaled = build_generator(8, 2, batch_size=4, tf1_initializers=True, mean=mean, deviation=deviation)
    scaled.set_weights(plain.get_weights())
    series = np.random.default_rng(0).normal(mean, deviation, (4, 11, 1)).astype("float32")
    within = (series - mean) / deviation
    nll = mixture_nll(series[:, 1:], scaled(series[:, :-1]), sigma_floor=floor)
    plain_nll = mixture_nll(within[:, 1:], plain(within[:, :-1]), sigma_floor=floor / deviation)
    np.testing.assert_allclose(nll, plain_nll + np.log(deviation), atol=1e-4)

    scaled.save(tmp_path / "g.keras")
    loaded, _ = load_generator(tmp_path / "g.keras")
    how = {"series": 4, "steps": 30, "seed": 0}
    drawn = sample_series(loaded, prefix=series[:, :5, 0], sigma_floor=floor, **how)
    same = sample_series(plain, prefix=within[:, :5, 0], sigma_floor=floor / deviation, **how)
    np.testing.assert_allclose(drawn, mean + deviation * same, atol=1e-3)


def test_log_variances_are_the_sigmas_of_the_public_code():
    plain = build_generator(8, 1, tf1_initializers=True)
    halved = build_generator(8, 1, tf1_initializers=True, log_variance=True)
    halved.set_weights(plain.get_weights())
    x = np.random.default_rng(0).standard_normal((2, 5, 1)).astype("float32")
    logits, means, log_sigmas = np.split(plain(x), 3, axis=-1)
    np.testing.assert_allclose(halved(x), np.concatenate([logits, means, log_sigmas / 2], axis=-1), rtol=1e-6)
