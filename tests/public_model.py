"""The public code's MDNModel, small, as a TensorFlow 1 graph: its equations and its variables' names."""

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
BATCH, STEPS, UNITS, HIDDEN, COMPONENTS = 4, 5, 3, 128, 2


def series(length, seed=0):
    """Four series of noise that remembers: float32 (4, length)."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(BATCH, length)), axis=1, dtype=np.float32) / 10


def train_and_save(prefix, updates=6, then=0, spoil=()):
    """Train so many updates, save, train ``then`` more; ``spoil`` names variables that are set to NaN.

    Returns the outputs of all chunks from the weights saved (means, sigmas, weights, each (chunks, 20, 2)),
    and the losses of the updates that follow, the state carried on from zero. It trains on `series`.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(1)  # before the first random operation, since `set_seed` asks for determinism
        with tf1.variable_scope("mdn_model"):
            x, y = (tf1.placeholder(tf.float32, (BATCH, STEPS, 1)) for _ in range(2))
            state = tf1.placeholder(tf.float32, (2, BATCH, UNITS))
            with tf1.variable_scope("rnn/multi_rnn_cell/cell_0/lstm_cell"):
                kernel = tf1.get_variable("kernel", (1 + UNITS, 4 * UNITS))
                bias = tf1.get_variable("bias", 4 * UNITS, initializer=tf1.random_normal_initializer())
            c, h = tf.unstack(state)
            outputs = []
            for step in range(STEPS):  # LSTMCell.call of TensorFlow 1, with its forget_bias of 1
                i, j, f, o = tf.split(tf.concat([x[:, step], h], 1) @ kernel + bias, 4, axis=1)
                c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(j)
                h = tf.sigmoid(o) * tf.tanh(c)
                outputs.append(h)
            normal = tf1.truncated_normal_initializer(stddev=0.2)
            w1, w2 = (
                tf1.get_variable(name, shape, initializer=normal)
                for name, shape in (("w1", (UNITS, HIDDEN)), ("w2", (HIDDEN, 3 * COMPONENTS)))
            )
            b1, b2 = (
                tf1.get_variable(name, size, initializer=tf1.constant_initializer(0.0))
                for name, size in (("b1", HIDDEN), ("b2", 3 * COMPONENTS))
            )
            hidden = tf.sigmoid(tf.reshape(tf.stack(outputs, 1), (-1, UNITS)) @ w1 + b1)
            parameters = hidden @ w2 + b2
            mu, sigma, pi = (
                parameters[:, :COMPONENTS],
                tf.exp(parameters[:, COMPONENTS : 2 * COMPONENTS] / 2.0),
                tf.nn.softmax(parameters[:, 2 * COMPONENTS :]),
            )
            distance = (tf.reshape(y, (-1, 1)) - mu) / sigma
            densities = tf.exp(-0.5 * distance**2) / (sigma * np.float32(np.sqrt(2 * np.pi)))
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(pi * densities, 1)))
            train = tf1.train.AdamOptimizer(3e-4).minimize(loss)
        session.run(tf1.global_variables_initializer())
        values, carried = series(1 + STEPS * 6), np.zeros((2, BATCH, UNITS), np.float32)
        chunks = [(values[:, n : n + STEPS + 1, None]) for n in range(0, STEPS * 6, STEPS)]

        def run(what, chunk, carried):
            feed = {x: chunk[:, :-1], y: chunk[:, 1:], state: carried}
            found, *carried = session.run([what, c, h], feed)
            return found, carried

        for number in range(updates):
            _, carried = run(train, chunks[number % len(chunks)], carried)
        for variable in tf1.global_variables():
            if variable.op.name in spoil:
                session.run(variable.assign(tf.fill(variable.shape, np.nan)))
        tf1.train.Saver().save(session, str(prefix))
        at_rest, carried = [], np.zeros((2, BATCH, UNITS), np.float32)
        for chunk in chunks:
            found, carried = run([mu, sigma, pi], chunk, carried)
            at_rest.append(found)
        losses, carried = [], np.zeros((2, BATCH, UNITS), np.float32)
        for chunk in chunks[:then]:
            (_, value), carried = run([train, loss], chunk, carried)
            losses.append(value)
        return [np.stack(each) for each in zip(*at_rest, strict=True)], losses
