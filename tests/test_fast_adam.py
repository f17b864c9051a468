"""FastAdam beside Keras's own Adam: the same updates up to rounding, the same files, the same refusals."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from fast_keras import FastAdam

pytestmark = pytest.mark.xdist_group("FastAdam")  # what is compiled for several tests is compiled once

STOCK = keras.optimizers.Adam
SCHEDULE = keras.optimizers.schedules.CosineDecay(1e-2, 20)
DATA = np.random.default_rng(0).standard_normal((5, 8, 4)).astype("float32")  # five batches


def train(optimizer, epochs=3):
    """Losses and weights of a small network, trained without Keras's fit, which takes seconds to trace."""
    rng = np.random.default_rng(0)
    shapes = ((4, 16), 16, (16, 3), 3)
    w, b, v, c = weights = [keras.Variable(rng.normal(0, 0.3, shape).astype("float32")) for shape in shapes]
    optimizer.build(weights)

    @tf.function
    def update(x):
        with tf.GradientTape() as tape:
            wrong = tf.tanh(x @ w.value + b.value) @ v.value + c.value - tf.cumsum(x, axis=1)[:, :3]
            loss = tf.reduce_mean(wrong**2)
        optimizer.apply(tape.gradient(loss, [each.value for each in weights]), weights)
        return loss

    losses = [float(update(x)) for _ in range(epochs) for x in DATA]
    optimizer.finalize_variable_values(weights)  # as fit does: for averaged weights
    return losses, [each.numpy() for each in weights]


def network(optimizer, seed=0, **compile_options):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, loss="mse", **compile_options)
    return model


@functools.cache
def compiled(kind):
    """A network that is traced once for all tests, and the values of its variables before training."""
    model = network(kind(1e-2, global_clipnorm=0.1))
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in (*model.weights, *model.optimizer.variables)]


def untrained(kind):
    """That network as it was before training: the same object at each call."""
    model, values = compiled(kind)
    for variable, value in zip((*model.weights, *model.optimizer.variables), values, strict=True):
        variable.assign(value)
    return model


def fit(model, epochs=3):
    x = DATA.reshape(-1, 4)
    y = np.cumsum(x, axis=1)[:, :3]
    return model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0).history["loss"]


def assert_close(ours, theirs, rtol=1e-5):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-6)


def count_fast_updates(monkeypatch):
    """A list that grows whenever the fast update is traced."""
    calls, update = [], FastAdam._update

    def counted(*given):
        calls.append(1)
        return update(*given)

    monkeypatch.setattr(FastAdam, "_update", counted)
    return calls


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 1e-2},
        {"learning_rate": 1e-2, "global_clipnorm": 0.05},
        {"learning_rate": 1e-2, "global_clipnorm": 1e6},
        {"learning_rate": SCHEDULE, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"learning_rate": 1e-2, "use_ema": True, "ema_momentum": 0.9, "global_clipnorm": 0.05},
        {"learning_rate": 1e-2, "weight_decay": 0.1},
        {"learning_rate": 1e-2, "gradient_accumulation_steps": 2},
    ],
    ids=lambda options: " ".join(options),
)
def test_it_updates_as_keras_does(options, monkeypatch):
    calls = count_fast_updates(monkeypatch)
    stock, fast = (kind(**options) for kind in (STOCK, FastAdam))
    (expected, weights), (losses, ours) = train(stock), train(fast)
    assert calls, "the fast update was taken"
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert_close(ours, weights)
    for ours, theirs in zip(fast.variables, stock.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-7, err_msg=theirs.path)


def test_fit_updates_as_with_keras_and_the_same_seed_gives_the_same_updates():
    stock, fast, again = untrained(STOCK), untrained(FastAdam), network(FastAdam(1e-2, global_clipnorm=0.1))
    expected, losses = fit(stock), fit(fast)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert_close(fast.get_weights(), stock.get_weights())
    assert fit(again) == losses
    assert_close(again.get_weights(), fast.get_weights(), rtol=0)


@pytest.mark.parametrize("options", [{"clipnorm": 0.1}, {"clipvalue": 0.1}, {"amsgrad": True}], ids=str)
def test_what_it_does_not_cover_is_done_by_keras(options, monkeypatch):
    calls = count_fast_updates(monkeypatch)
    assert train(FastAdam(1e-2, **options))[0] == train(STOCK(1e-2, **options))[0]
    assert not calls


def test_sparse_gradients_are_left_to_keras():
    def embedding(optimizer):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(7, 2)])
        model.compile(optimizer, loss="mse")
        rows = np.arange(40).reshape(8, 5) % 7
        return model.fit(rows, np.ones((8, 5, 2)), epochs=2, shuffle=False, verbose=0).history["loss"]

    assert embedding(FastAdam(1e-2, global_clipnorm=1.0)) == embedding(STOCK(1e-2, global_clipnorm=1.0))


@functools.cache
def after_six_epochs():
    model = untrained(STOCK)
    fit(model, epochs=6)
    return model.get_weights()


@pytest.mark.parametrize("kinds", [(STOCK, FastAdam), (FastAdam, STOCK)], ids=["from Keras", "to Keras"])
def test_a_training_can_change_between_the_two(kinds, tmp_path):
    whole = after_six_epochs()
    first, second = map(untrained, kinds)
    fit(first)
    first.save(tmp_path / "half.keras")
    second.load_weights(tmp_path / "half.keras")
    fit(second)
    assert_close(second.get_weights(), whole)


def test_a_saved_model_goes_on_with_it(tmp_path):
    model = untrained(FastAdam)
    fit(model)
    model.save(tmp_path / "half.keras")
    loaded = keras.models.load_model(tmp_path / "half.keras")
    assert type(loaded.optimizer) is FastAdam
    assert fit(loaded) == fit(model)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_a_gradient_that_is_not_finite_shows_in_the_weights_as_with_keras(poison, clip):
    broken = []
    for kind in (STOCK, FastAdam):
        variables = [keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones((2, 2), "float32"))]
        optimizer = kind(1e-2, global_clipnorm=clip)
        optimizer.apply([tf.constant([1.0, poison, 1.0]), tf.ones((2, 2))], variables)
        broken.append([np.isfinite(variable.numpy()).tolist() for variable in variables])
    assert broken[0] == broken[1] and not np.all(broken[1][0])


def test_several_updates_a_call_are_the_same_updates():
    several = network(FastAdam(1e-2, global_clipnorm=0.1), steps_per_execution=5)
    np.testing.assert_allclose(fit(several), fit(untrained(FastAdam)), rtol=1e-5)


def test_gradients_may_come_in_another_order():
    moved = []
    for kind in (STOCK, FastAdam):
        variables = [keras.Variable(np.ones(shape, "float32")) for shape in (3, 2)]
        optimizer = kind(1e-2)
        optimizer.build(variables)
        optimizer.apply([tf.ones(2), -tf.ones(3)], variables[::-1])
        moved.append([variable.numpy().tolist() for variable in variables])
    np.testing.assert_allclose(moved[1][0], moved[0][0], rtol=1e-6)
    assert moved[1][0][0] > 1 > moved[1][1][0]
