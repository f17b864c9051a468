"""Seconds per training update of G in several implementations: `python -m benchmarks.training`.

One update is forward, backward, clipping and Adam on one batch, the LSTM state carried to the next. Two
configurations: the report's (4 chunks of 20 steps), bound by overhead, and 128 windows of 127 steps, bound
by arithmetic. The contenders start from the same weights, and have to reach the same loss after their first
updates; then they take turns. Writes results/benchmarks/training.json. A few minutes on a quiet machine.
"""

import argparse
import importlib.metadata
import os

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import summarise, take_turns
from sensegen_utils.fast_lstm import FastLSTM
from sensegen_utils.generator import COMPONENTS, HALF_LOG_2PI, mixture_nll
from sensegen_utils.paths import ROOT
from sensegen_utils.profiles import SIGMA_FLOOR
from sensegen_utils.records import save_record, start_record

RECORD = ROOT / "results" / "benchmarks" / "training.json"
# With fewer updates a call, the start of fit (0.1 s), which a real epoch spreads over 367, would show.
REPORT = {"name": "report, 4 x 20", "batch": 4, "steps": 20, "units": 256, "layers": 3, "updates": 80}
WINDOWS = {"name": "windows, 128 x 127", "batch": 128, "steps": 127, "units": 256, "layers": 3, "updates": 2}
HIDDEN, LEARNING_RATE, CLIP = 128, 3e-4, 0.1
EPSILON = 1e-12  # Adam's; PyTorch adds it at another place, and so small it cannot show
TOLERANCE = 1e-5  # relative, of the mean loss over the first updates: what is left is rounding


def data(config):
    """Inputs and targets of all updates of one call, (updates x batch, steps, 1)."""
    shape = (2, config["updates"] * config["batch"], config["steps"], 1)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def keras_model(config, lstm):
    """G with the given kind of LSTM layer, compiled as the trainings compile it."""
    keras.utils.set_random_seed(0)
    inputs = hidden = keras.Input(batch_shape=(config["batch"], config["steps"], 1))
    for _ in range(config["layers"]):
        hidden = lstm(config["units"], return_sequences=True, stateful=True)(hidden)
    hidden = keras.layers.Dense(HIDDEN, activation="sigmoid")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3 * COMPONENTS)(hidden))
    adam = keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON, global_clipnorm=CLIP)
    model.compile(adam, loss=mixture_nll, steps_per_execution=config["updates"])
    return model


def keras_fit(config, lstm):
    """Contender: Keras's own fit; the function returned makes all updates, returns their mean loss."""
    model, (inputs, targets) = keras_model(config, lstm), data(config)
    options = {"batch_size": config["batch"], "shuffle": False, "verbose": 0}
    return lambda: model.fit(inputs, targets, **options).history["loss"][0]


def stock_unrolled(units, **options):
    """Keras's layer with its loop written out in the graph: no loop overhead, a long compilation."""
    return keras.layers.LSTM(units, unroll=True, **options)


def pytorch(config):
    """Contender: torch.nn.LSTM and the same loss, eager, as PyTorch is used by default."""
    import torch

    if "TF_NUM_INTRAOP_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["TF_NUM_INTRAOP_THREADS"]))
    weights = [torch.tensor(w.T) for w in keras_model(config, keras.layers.LSTM).get_weights()]
    units, layers, batch = config["units"], config["layers"], config["batch"]
    lstm = torch.nn.LSTM(1, units, layers, batch_first=True)
    dense, out = torch.nn.Linear(units, HIDDEN), torch.nn.Linear(HIDDEN, 3 * COMPONENTS)
    with torch.no_grad():
        for layer in range(layers):
            names = (f"weight_ih_l{layer}", f"weight_hh_l{layer}", f"bias_ih_l{layer}")
            for name, weight in zip(names, weights[3 * layer :], strict=False):
                getattr(lstm, name).copy_(weight)
            # PyTorch has a second bias that does the same; trained, it would double the steps of the first.
            getattr(lstm, f"bias_hh_l{layer}").zero_().requires_grad_(False)
        trailing = (dense.weight, dense.bias, out.weight, out.bias)
        for parameter, weight in zip(trailing, weights[-4:], strict=True):
            parameter.copy_(weight)
    parameters = [p for module in (lstm, dense, out) for p in module.parameters() if p.requires_grad]
    adam = torch.optim.Adam(parameters, LEARNING_RATE, eps=EPSILON)
    inputs, targets = map(torch.tensor, data(config))
    log_floor = torch.tensor(np.log(SIGMA_FLOOR), dtype=torch.float32)
    carried = {"state": (torch.zeros(layers, batch, units), torch.zeros(layers, batch, units))}

    def run():
        losses = []
        for x, y in zip(inputs.split(batch), targets.split(batch), strict=True):
            hidden, state = lstm(x, carried["state"])
            carried["state"] = tuple(s.detach() for s in state)
            logits, means, log_sigmas = out(torch.sigmoid(dense(hidden))).split(COMPONENTS, -1)
            log_sigmas = torch.logaddexp(log_sigmas, log_floor)
            log_densities = -0.5 * ((y - means) * torch.exp(-log_sigmas)) ** 2 - log_sigmas - HALF_LOG_2PI
            loss = -torch.logsumexp(torch.log_softmax(logits, -1) + log_densities, -1).mean()
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            adam.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    return run


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


def contenders(config, names=None):
    """``{name: function}``, each checked to train as the stock layer does; AssertionError if one does not."""
    makers = {
        "project": lambda: keras_fit(config, FastLSTM),
        "stock": lambda: keras_fit(config, keras.layers.LSTM),
        "stock_unrolled": lambda: keras_fit(config, stock_unrolled),
        "pytorch": lambda: pytorch(config),
        "tensorflow_1": lambda: tensorflow_1(config),
        "products": lambda: bare_products(config),
    }
    if config["steps"] > 20:  # the unrolled graphs of 127 steps take minutes to build
        del makers["stock_unrolled"], makers["tensorflow_1"]
    if torch_version() is None:
        print("PyTorch is not installed, so it is left out: pip install -e .[bench]")
        del makers["pytorch"]
    made = {name: make() for name, make in makers.items() if names is None or name in names}
    losses = {name: run() for name, run in made.items()}
    for name, loss in losses.items():
        if name != "products":
            np.testing.assert_allclose(loss, losses["project"], rtol=TOLERANCE, err_msg=name)
    return made


def torch_version():
    """PyTorch's version, None if it is absent: it is an extra that only the benchmarks use."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def main(arguments=None, configs=(REPORT, WINDOWS)):
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="turns of each contender")
    repeats = parser.parse_args(arguments).repeats
    record = start_record("benchmarks.training", "benchmark", 0, {"kind": "none", "sha256": None})
    tables = []
    for config in configs:
        seconds = take_turns(contenders(config), repeats)
        table = summarise(seconds, config["updates"], flop_per_update(config))
        table.insert(0, "configuration", config["name"])
        print(f"\n{config['name']}: seconds per update\n{table.iloc[:, 1:].to_string(float_format='%.4g')}")
        tables.append(table.to_dict("records"))
    threads = {
        name: os.environ.get(name, "all")
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    }
    record |= {
        "torch": torch_version() or "absent",
        "threads": threads,
        "configurations": list(configs),
        "loss_tolerance": TOLERANCE,
        "rows": sum(tables, []),
    }
    save_record(record, RECORD)
    print(f"\n{RECORD}")


if __name__ == "__main__":
    main()
