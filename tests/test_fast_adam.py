"""FastAdam beside Keras's own Adam: the same updates up to rounding, the same files, the same refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fast_keras import FastAdam

STOCK = keras.optimizers.Adam
SCHEDULE = keras.optimizers.schedules.CosineDecay(1e-2, 20)


def network(optimizer, seed=0, **compile_options):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, loss="mse", **compile_options)
    return model


def fit(model, epochs=3):
    x = np.random.default_rng(0).standard_normal((40, 4)).astype("float32")
    y = np.cumsum(x, axis=1)[:, :3]
    return model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0).history["loss"]


def assert_close(ours, theirs, rtol=1e-5):
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
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
    stock, fast = (network(kind(**options)) for kind in (STOCK, FastAdam))
    losses = [fit(model) for model in (stock, fast)]
    assert calls, "the fast update was taken"
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert_close(fast, stock)
    for ours, theirs in zip(fast.optimizer.variables, stock.optimizer.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-7, err_msg=theirs.path)


def test_the_same_seed_gives_the_same_updates():
    first, again = (network(FastAdam(1e-2, global_clipnorm=0.05)) for _ in range(2))
    assert fit(first) == fit(again)
    assert_close(again, first, rtol=0)


@pytest.mark.parametrize("options", [{"clipnorm": 0.1}, {"clipvalue": 0.1}, {"amsgrad": True}], ids=str)
def test_what_it_does_not_cover_is_done_by_keras(options, monkeypatch):
    calls = count_fast_updates(monkeypatch)
    stock, fast = network(STOCK(1e-2, **options)), network(FastAdam(1e-2, **options))
    assert fit(fast) == fit(stock)
    assert not calls


def test_sparse_gradients_are_left_to_keras():
    def embedding(optimizer):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(7, 2)])
        model.compile(optimizer, loss="mse")
        rows = np.arange(40).reshape(8, 5) % 7
        return model.fit(rows, np.ones((8, 5, 2)), epochs=2, shuffle=False, verbose=0).history["loss"]

    assert embedding(FastAdam(1e-2, global_clipnorm=1.0)) == embedding(STOCK(1e-2, global_clipnorm=1.0))


@pytest.mark.parametrize("kinds", [(STOCK, FastAdam), (FastAdam, STOCK)], ids=["from Keras", "to Keras"])
def test_a_training_can_change_between_the_two(kinds, tmp_path):
    first, second = (network(kind(1e-2, global_clipnorm=0.1), seed) for seed, kind in enumerate(kinds))
    whole = network(STOCK(1e-2, global_clipnorm=0.1))
    fit(first)
    first.save(tmp_path / "half.keras")
    second.optimizer.build(second.trainable_variables)
    second.load_weights(tmp_path / "half.keras")
    fit(second)
    fit(whole, epochs=6)
    assert_close(second, whole)


def test_a_saved_model_goes_on_with_it(tmp_path):
    model = network(FastAdam(1e-2, global_clipnorm=0.1))
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
    one = fit(network(FastAdam(1e-2, global_clipnorm=0.1)))
    np.testing.assert_allclose(
        fit(network(FastAdam(1e-2, global_clipnorm=0.1), steps_per_execution=5)), one, rtol=1e-5
    )


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
