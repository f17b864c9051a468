"""Where a training broke: replay its last epoch update by update, and measure the step that broke it."""

import math

import numpy as np

from sensegen_utils.model.mixture import mixture_nll, split_mixture
from sensegen_utils.model.training import reset_state


def snapshot(model):
    """Copy of all that an update of a compiled model changes: weights, optimizer, carried states."""
    return [variable.numpy() for variable in _changing(model)]


def restore(model, values):
    """Set a compiled model back to a `snapshot`."""
    for variable, value in zip(_changing(model), values, strict=True):
        variable.assign(value)


def locate_failure(generator, epoch_start, inputs, targets):
    """Replay an epoch from ``epoch_start`` (a `snapshot`), and describe the first update that breaks it.

    ``generator`` is compiled, stateful and trains on chunks as `recordings.training_chunks` makes them.
    Returns None if no update gives a loss or weights that are not finite. Else a dict: "update" (from 0),
    "loss_is_finite" (then only the gradient broke); of the unlikeliest value of that batch "series", "step"
    (the number of the window) and "value"; and as G stood before the update "nll" of that value (nats, no
    floor), "nearest_sigmas" (to the nearest component, in its sigmas) and "smallest_sigma" of all components
    in the batch (the signal's unit).
    """
    restore(generator, epoch_start)
    reset_state(generator)
    batch = generator.input_shape[0]
    batches = (values.reshape(-1, batch, *values.shape[1:]) for values in (inputs, targets))
    for update, (x, target) in enumerate(zip(*batches, strict=True)):
        before = snapshot(generator)
        generator.reset_metrics()
        loss = float(generator.train_on_batch(x, target))
        if math.isfinite(loss) and all(np.isfinite(weight).all() for weight in generator.get_weights()):
            continue
        restore(generator, before)
        params = generator.predict_on_batch(x)
        nll = np.array(mixture_nll(target, params, sigma_floor=0))
        series, step = np.unravel_index(np.nanargmax(nll), nll.shape)
        means, log_sigmas = (np.array(part)[..., 0] for part in split_mixture(params, 0)[1:])
        sigmas = np.exp(log_sigmas.astype(np.float64))
        distances = np.abs(target - means) / sigmas
        return {
            "update": update,
            "loss_is_finite": math.isfinite(loss),
            "series": int(series),
            "step": int(update * inputs.shape[1] + step + 1),
            "value": float(target[series, step, 0]),
            "nll": float(nll[series, step]),
            "nearest_sigmas": float(distances[series, step].min()),
            "smallest_sigma": float(sigmas.min()),
        }
    return None


def _changing(model):
    states = [state for layer in model.layers if getattr(layer, "stateful", False) for state in layer.states]
    return [*model.variables, *model.optimizer.variables, *states]
