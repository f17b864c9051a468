import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from fast_keras import FastLSTM
from fast_keras.lstm import MAX_BATCH, SMALL_BATCH

pytestmark = pytest.mark.xdist_group("FastLSTM")  # what is compiled for several tests is compiled once

UNITS, FEATURES, BATCH, LARGE = 6, 3, 4, SMALL_BATCH + 8
CUT = 2 * SMALL_BATCH + 1  # odd, and large enough to be cut in two


def pair(dtype="float32", features=FEATURES, **kwargs):
    layers = [kind(UNITS, dtype=dtype, **kwargs) for kind in (keras.layers.LSTM, FastLSTM)]
    for layer in layers:
        layer.build((BATCH, None, features))
    layers[1].set_weights(layers[0].get_weights())
    return layers


def random(*shape, dtype="float32", seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), dtype)


def values_and_gradients(layer, x, states, **kwargs):
    with tf.GradientTape() as tape:
        tape.watch([x, *states])
        outputs = tf.nest.flatten(layer(x, initial_state=states, **kwargs))
        loss = tf.add_n([tf.reduce_sum(o * random(*o.shape, dtype=o.dtype, seed=9)) for o in outputs])
    return outputs, tape.gradient(loss, [x, *states, *(v.value for v in layer.trainable_variables)])


def assert_close(a, b, rtol=1e-5, atol=1e-5):
    for left, right in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=atol)


def takes_fast_path(layer, x, **kwargs):
    kwargs.setdefault("training", False)
    return layer._is_fast(x, kwargs.get("mask"), kwargs["training"])


@pytest.mark.parametrize(
    ("dtype", "batch", "steps"),
    [
        ("float32", BATCH, 1),
        ("float32", LARGE, 20),
        ("float32", CUT, 127),
        ("float64", BATCH, 127),
        ("float64", CUT, 20),  # its halves are a small and a large batch
    ],
)
def test_values_and_all_gradients_equal_the_stock_layer(dtype, batch, steps):
    stock, fast = pair(dtype, return_sequences=True, return_state=True)
    x = random(batch, steps, FEATURES, dtype=dtype)
    states = [random(batch, UNITS, dtype=dtype, seed=s) for s in (1, 2)]
    assert takes_fast_path(fast, x, training=True)
    results = [values_and_gradients(layer, x, states, training=True) for layer in (fast, stock)]
    # A gradient sums thousands of terms that cancel: its rounding goes with its largest entries, not each.
    for left, right in zip(*map(tf.nest.flatten, results), strict=True):
        largest = np.abs(right).max()
        assert np.abs(left - right).max() <= (1e-5 if dtype == "float32" else 1e-13) * max(1, largest)


@pytest.mark.parametrize("batch", [BATCH, LARGE])
def test_saturated_gates_keep_values_and_gradients(batch):
    stock, fast = pair(return_sequences=True, return_state=True)
    x, states = 100 * random(batch, 5, FEATURES), [100 * random(batch, UNITS, seed=s) for s in (1, 2)]
    results = [values_and_gradients(layer, x, states, training=True) for layer in (fast, stock)]
    assert all(np.isfinite(value).all() for value in tf.nest.flatten(results))
    assert_close(*results, rtol=1e-4, atol=0.01)  # gradients reach thousands here


@pytest.mark.parametrize(
    "options",
    [{}, {"return_state": True}, {"go_backwards": True, "return_sequences": True}, {"unroll": True}],
    ids=str,
)
def test_options_equal_the_stock_layer(options):
    stock, fast = pair(**options)
    x, states = random(BATCH, 5, FEATURES), [random(BATCH, UNITS, seed=s) for s in (1, 2)]
    assert_close(values_and_gradients(fast, x, states), values_and_gradients(stock, x, states))
    assert_close(fast(x), stock(x))


def test_initial_weights_and_config_are_those_of_the_stock_layer():
    layers = []
    for kind in (keras.layers.LSTM, FastLSTM):
        keras.utils.set_random_seed(3)
        layers.append(kind(UNITS, stateful=True, name="same"))
        layers[-1].build((BATCH, None, FEATURES))
    stock, fast = layers
    assert stock.get_config() == fast.get_config()
    assert [v.path for v in stock.weights] == [v.path for v in fast.weights]
    assert_close(fast.get_weights(), stock.get_weights(), rtol=0, atol=0)


def test_stateful_layers_carry_their_state_alike():
    stock, fast = pair(stateful=True, return_sequences=True)
    for seed in range(3):
        x = random(BATCH, 5, FEATURES, seed=seed)
        assert_close(fast(x), stock(x))
    assert_close([v.numpy() for v in fast.states], [v.numpy() for v in stock.states])
    fast.reset_state()
    assert not np.any(fast.states[0])


@pytest.mark.parametrize("shape", [(BATCH, None, FEATURES), (None, None, FEATURES)])
def test_shapes_may_be_unknown_when_traced(shape):
    stock, fast = pair(return_sequences=True)

    @tf.function(input_signature=[tf.TensorSpec(shape)])
    def gradients(x):
        with tf.GradientTape() as tape:
            y = fast(x)
        return [y, *tape.gradient(y, [v.value for v in fast.trainable_variables])]

    for steps in (3, 7):
        x = random(BATCH, steps, FEATURES)
        with tf.GradientTape() as tape:
            y = stock(x)
        assert_close(gradients(x), [y, *tape.gradient(y, [v.value for v in stock.trainable_variables])])


@pytest.mark.parametrize(
    "options, batch, dtype, call",
    [
        ({}, BATCH, "float32", {"mask": tf.constant([[True, True, False, False]] * BATCH)}),
        ({"dropout": 0.5}, BATCH, "float32", {"training": True}),
        ({"recurrent_dropout": 0.5}, BATCH, "float32", {"training": True}),
        ({"activation": "relu"}, BATCH, "float32", {}),
        ({"recurrent_activation": "hard_sigmoid"}, BATCH, "float32", {}),
        ({"use_bias": False}, BATCH, "float32", {}),
        ({}, BATCH, "mixed_bfloat16", {}),
        ({}, SMALL_BATCH + 1, "float32", {}),
        ({}, MAX_BATCH + 1, "float32", {"training": True}),
    ],
    ids=str,
)
def test_what_it_does_not_cover_runs_in_the_stock_layer(options, batch, dtype, call):
    stock, fast = pair(dtype, seed=1, **options)
    x = random(batch, 4, FEATURES)
    assert not takes_fast_path(fast, x, **call)
    np.testing.assert_array_equal(tf.cast(fast(x, **call), "float32"), tf.cast(stock(x, **call), "float32"))


def test_dropout_does_not_matter_outside_of_training():
    stock, fast = pair(dropout=0.5)
    x = random(BATCH, 4, FEATURES)
    assert takes_fast_path(fast, x)
    assert_close(fast(x), stock(x))


def stacked(kind, seed=5, batch=BATCH, **compile_options):
    keras.utils.set_random_seed(seed)
    layers = [kind(UNITS, return_sequences=True, stateful=True) for _ in range(2)]
    model = keras.Sequential([keras.Input(batch_shape=(batch, 8, 1)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=1.0), loss="mse", **compile_options)
    return model


@functools.cache
def compiled(kind, batch):
    """A network that is traced once for all tests, and the values of its variables before training."""
    model = stacked(kind, batch=batch)
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]


def untrained(kind, batch=BATCH):
    """That network as it was before training: the same object at each call."""
    model, values = compiled(kind, batch)
    for variable, value in zip((*model.variables, *model.optimizer.variables), values, strict=True):
        variable.assign(value)
    for layer in model.layers[:2]:
        layer.reset_state()  # the carried state is none of the model's variables
    return model


def fit(model):
    batch = model.input_shape[0]
    x = random(batch * 5, 8, 1).numpy()
    return model.fit(x, np.cumsum(x, 1), batch_size=batch, epochs=2, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize("batch", [BATCH, CUT])
def test_training_follows_the_stock_layer_and_repeats_to_the_bit(batch):
    stock, fast = (untrained(kind, batch) for kind in (keras.layers.LSTM, FastLSTM))
    losses = [fit(model) for model in (stock, fast)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert_close(fast.get_weights(), stock.get_weights(), atol=1e-4)
    trained = fast.get_weights()
    again = stacked(FastLSTM) if batch == BATCH else untrained(FastLSTM, batch)  # once, a new one
    assert fit(again) == losses[1]
    assert_close(again.get_weights(), trained, rtol=0, atol=0)


@pytest.mark.parametrize("batch", [BATCH, CUT])
def test_training_works_with_a_whole_model_compiled_and_several_steps_per_call(batch):
    losses = fit(stacked(FastLSTM, batch=batch, jit_compile=True, steps_per_execution=5))
    np.testing.assert_allclose(losses, fit(untrained(FastLSTM, batch)), rtol=1e-4)


@pytest.mark.parametrize("kinds", [(keras.layers.LSTM, FastLSTM), (FastLSTM, keras.layers.LSTM)])
def test_weight_files_are_interchangeable_with_the_stock_layer(kinds, tmp_path):
    saved, loaded = stacked(kinds[0], seed=1), stacked(kinds[1], seed=2)
    saved.save_weights(tmp_path / "w.weights.h5")
    loaded.load_weights(tmp_path / "w.weights.h5")
    assert_close(loaded.get_weights(), saved.get_weights(), rtol=0, atol=0)


def test_a_saved_model_loads_as_the_fast_layer(tmp_path):
    model = untrained(FastLSTM)
    fit(model)
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    assert isinstance(loaded.layers[0], FastLSTM)
    for layer in model.layers[:2]:
        layer.reset_state()  # a file holds no carried state
    assert fit(loaded) == fit(model)
