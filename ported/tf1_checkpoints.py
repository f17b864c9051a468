"""TensorFlow 1 checkpoints of the code behind the report, as weights of a Keras model.

TensorFlow 1 keeps an LSTM's input and recurrent kernel as one and its gates in the order input, candidate,
forget, output, and adds 1 to the forget gate when it runs. Keras has the order input, forget, candidate,
output, and adds nothing. The code's mixture is means, logarithms of variances, logits; ours begins with the
logits.

Source: https://github.com/freeloki/CSE555-VirtualSensorGenerator, model.py (MDNModel) and models/;
`LSTMCell` of TensorFlow 1.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

SCOPE, CELL = "mdn_model/", "rnn/multi_rnn_cell/cell_{}/lstm_cell/{}"
DENSE = ("w1", "b1", "w2", "b2")


def read_weights(prefix):
    """Return the weights of a checkpoint in Keras's order, and {"lstm_units", "lstm_layers", "components"}.

    ``prefix`` is its path without ".index". The weights are for ``set_weights``: of each LSTM layer kernel,
    recurrent kernel and bias, then of two dense layers kernel and bias. Raises ValueError, naming the file,
    if it is missing or damaged, lacks a variable, or holds weights that are not finite.
    """
    arrays = _read(prefix)
    for bias in arrays[2:-4:3]:
        bias[len(bias) // 4 : len(bias) // 2] += 1  # of the forget gate
    layers, units, components = (len(arrays) - 4) // 3, len(arrays[1]), len(arrays[-1]) // 3
    return arrays, {"lstm_units": units, "lstm_layers": layers, "components": components}


def restore_adam(model, prefix, updates):
    """Set the Adam of a compiled model to the moments in a checkpoint, after so many ``updates``.

    Raises ValueError as `read_weights`.
    """
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(updates)
    for moments, slot in ((optimizer._momentums, "/Adam"), (optimizer._velocities, "/Adam_1")):
        for variable, array in zip(moments, _read(prefix, slot), strict=True):
            variable.assign(array)


def _read(prefix, slot=""):
    """Arrays in Keras's order: those of the weights, or of one of Adam's two moments (``slot``)."""
    if not Path(f"{prefix}.index").exists():
        raise ValueError(f"there is no checkpoint {prefix}: {prefix}.index is missing")
    scope = SCOPE * (2 if slot else 1)
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        found = reader.get_variable_to_shape_map()
        layers = max(1, sum(name.startswith(SCOPE + "rnn") and name.endswith("kernel") for name in found))
        names = [CELL.format(layer, part) for layer in range(layers) for part in ("kernel", "bias")]
        names = [f"{scope}{name}{slot}" for name in (*names, *DENSE)]
        missing = [name for name in names if name not in found]
        values = [] if missing else [reader.get_tensor(name) for name in names]
    except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
        raise ValueError(f"the checkpoint {prefix} is damaged ({error}): copy it again") from error
    if missing:
        raise ValueError(f"the checkpoint {prefix} has no variable {', '.join(missing)}")
    broken = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value).all()]
    if broken:
        raise ValueError(f"the weights in {prefix} are not finite: {', '.join(broken)}")
    *cells, w1, b1, w2, b2 = values
    arrays = []
    for kernel, bias in zip(cells[::2], cells[1::2], strict=True):
        inputs = len(kernel) - kernel.shape[1] // 4
        arrays += [*np.split(_ordered(kernel, (0, 2, 1, 3)), [inputs]), _ordered(bias, (0, 2, 1, 3))]
    return [*arrays, w1, b1, _ordered(w2, (2, 0, 1)), _ordered(b2, (2, 0, 1))]


def _ordered(array, order):
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[number] for number in order], axis=-1)
