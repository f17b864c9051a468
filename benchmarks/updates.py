"""One training update of G, as TensorFlow does it in several ways: the contenders of `benchmarks.training`.

Each maker takes a configuration (batch, steps, units, layers, updates) and returns a function that makes so
many updates and returns their mean loss.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from fast_keras import FastAdam, FastLSTM
from sensegen_utils.model.mixture import COMPONENTS, mixture_nll

HIDDEN, LEARNING_RATE, CLIP = 128, 3e-4, 0.1
EPSILON = 1e-12  # Adam's; PyTorch adds it at another place, and so small it cannot show


def data(config):
    """Inputs and targets of all updates of one call, (updates x batch, steps, 1)."""
    shape = (2, config["updates"] * config["batch"], config["steps"], 1)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def keras_model(config, lstm, adam=keras.optimizers.Adam):
    """G with the given kinds of LSTM layer and optimizer, compiled as the trainings compile it."""
    keras.utils.set_random_seed(0)
    inputs = hidden = keras.Input(batch_shape=(config["batch"], config["steps"], 1))
    for _ in range(config["layers"]):
        hidden = lstm(config["units"], return_sequences=True, stateful=True)(hidden)
    hidden = keras.layers.Dense(HIDDEN, activation="sigmoid")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3 * COMPONENTS)(hidden))
    optimizer = adam(LEARNING_RATE, epsilon=EPSILON, global_clipnorm=CLIP)
    model.compile(optimizer, loss=mixture_nll, steps_per_execution=config["updates"])
    return model


def keras_fit(config, *kinds):
    """Contender: Keras's own fit; the function returned makes all updates, returns their mean loss."""
    model, (inputs, targets) = keras_model(config, *kinds), data(config)
    options = {"batch_size": config["batch"], "shuffle": False, "verbose": 0}
    return lambda: model.fit(inputs, targets, **options).history["loss"][0]


def stock_unrolled(units, **options):
    """Keras's layer with its loop written out in the graph: no loop overhead, a long compilation."""
    return keras.layers.LSTM(units, unroll=True, **options)


def tensorflow_1(config):
    """Contender: the way of the public code, a TensorFlow 1 graph unrolled and fed from Python."""
    weights, (inputs, targets) = keras_model(config, keras.layers.LSTM).get_weights(), data(config)
    batch, v1 = config["batch"], tf.compat.v1
    with tf.Graph().as_default():
        variables = [v1.Variable(w) for w in weights]
        x, y = (v1.placeholder(tf.float32, (batch, config["steps"], 1)) for _ in range(2))
        state_shape = (config["layers"], 2, batch, config["units"])
        fed, states, sequence = v1.placeholder(tf.float32, state_shape), [], tf.unstack(x, axis=1)
        for layer in range(config["layers"]):
            (kernel, recurrent, bias), (h, c) = variables[3 * layer : 3 * layer + 3], tf.unstack(fed[layer])
            joint, hidden = tf.concat([kernel, recurrent], 0), []
            for value in sequence:
                i, f, g, o = tf.split(tf.concat([value, h], 1) @ joint + bias, 4, axis=1)
                c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
                h = tf.sigmoid(o) * tf.tanh(c)
                hidden.append(h)
            sequence, states = hidden, [*states, (h, c)]
        hidden = tf.sigmoid(tf.stack(sequence, axis=1) @ variables[-4] + variables[-3])
        loss = tf.reduce_mean(mixture_nll(y, hidden @ variables[-2] + variables[-1]))
        gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), CLIP)
        adam = v1.train.AdamOptimizer(LEARNING_RATE, epsilon=EPSILON)
        fetches = loss, tf.stack(states), adam.apply_gradients(zip(gradients, variables, strict=True))
        session = v1.Session()
        session.run(v1.global_variables_initializer())
    carried = {"state": np.zeros(state_shape, np.float32)}

    def run():
        losses = []
        for rows in np.split(np.arange(len(inputs)), config["updates"]):
            feed = {x: inputs[rows], y: targets[rows], fed: carried["state"]}
            loss_now, carried["state"], _ = session.run(fetches, feed)
            losses.append(loss_now)
        return float(np.mean(losses))

    return run


def products(config):
    """All matrix products of one update, ``(how often in sequence, rows, inner, columns)``."""
    batch, steps, units = config["batch"], config["steps"], config["units"]
    rows, gates, listed = batch * steps, 4 * units, []
    for layer in range(config["layers"]):
        features = units if layer else 1
        listed += [(1, rows, features, gates), (steps, batch, units, gates)]
        listed += [(steps, batch, gates, units), (1, features, rows, gates), (1, units, rows, gates)]
        listed += [(1, rows, gates, units)] if layer else []  # no gradient goes to the data
    for n, m in ((units, HIDDEN), (HIDDEN, 3 * COMPONENTS)):
        listed += [(1, rows, n, m), (1, n, rows, m), (1, rows, m, n)]
    return listed


def flop_per_update(config):
    """Multiplications and additions of the matrix products of one update."""
    return sum(2 * times * rows * inner * columns for times, rows, inner, columns in products(config))


def bare_products(config):
    """The floor: the matrix products of an update and nothing else, each as TensorFlow does it fastest."""

    @tf.function(jit_compile=tf.test.is_built_with_xla() or None)
    def in_sequence(a, b):
        def step(t, total):
            return t + 1, total + a[t] @ b

        total = tf.zeros((a.shape[1], b.shape[1]))
        return tf.while_loop(lambda t, _: t < a.shape[0], step, (0, total))[1]

    @tf.function
    def one_update(operands):
        return [in_sequence(a, b) if len(a) > 1 else a[0] @ b for a, b in operands]

    # Each product has operands of its own, or TensorFlow would compute equal ones once.
    operands = [
        (tf.random.normal((times, rows, inner)), tf.random.normal((inner, columns)))
        for times, rows, inner, columns in products(config)
    ]

    def run():
        for _ in range(config["updates"]):
            one_update(operands)

    return run


def gradients_alone(config):
    """A part of the project's update: forward and backward, no optimizer."""
    model, arrays = keras_model(config, FastLSTM), data(config)
    batches = [tf.constant(array.reshape(config["updates"], config["batch"], -1, 1)) for array in arrays]

    @tf.function
    def run():
        losses = tf.constant(0.0)
        for n in tf.range(config["updates"]):
            # A training cannot begin the next update before this one has ended either.
            tf.autograph.experimental.set_loop_options(parallel_iterations=1)
            x, y = (tf.ensure_shape(batch[n], model.input_shape) for batch in batches)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(mixture_nll(y, model(x, training=True)))
            gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
            # TensorFlow leaves out what nobody reads: one number of each is read, so all are computed.
            losses += loss + tf.add_n([tf.reshape(gradient, [-1])[0] for gradient in gradients])
        return losses

    def call():
        run()  # what it returns is no loss of a training

    return call


def optimizer_alone(config):
    """A part of the project's update: clipping and Adam, of gradients that are there."""
    model = keras_model(config, FastLSTM, FastAdam)
    gradients = [tf.random.normal(variable.shape) for variable in model.trainable_variables]

    @tf.function
    def run():
        for _ in tf.range(config["updates"]):
            model.optimizer.apply(gradients, model.trainable_variables)

    model.optimizer.build(model.trainable_variables)
    return run


PARTS = {"gradients": gradients_alone, "optimizer": optimizer_alone, "products": bare_products}


def make(config):
    """``{name: function}`` of all contenders that suit the configuration, for `benchmarks.worker`."""
    makers = {
        "project": lambda: keras_fit(config, FastLSTM, FastAdam),
        "stock": lambda: keras_fit(config, keras.layers.LSTM),
        "stock_unrolled": lambda: keras_fit(config, stock_unrolled),
        "tensorflow_1": lambda: tensorflow_1(config),
    } | {name: functools.partial(part, config) for name, part in PARTS.items()}
    if config["steps"] > 20:  # the unrolled graphs of 127 steps take minutes to build
        del makers["stock_unrolled"], makers["tensorflow_1"]
    return {name: maker() for name, maker in makers.items()}, {}
