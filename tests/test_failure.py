"""How notebook 2b finds the update that broke a training: its own cells, on a model that breaks at once."""

import keras
import numpy as np
import pytest

from sensegen_utils.data.recordings import training_chunks
from sensegen_utils.model.generator import build_generator
from sensegen_utils.model.mixture import mixture_nll, probability_space_nll
from sensegen_utils.model.training import reset_state, set_seed
from tests.conftest import defined_in

_, locate_failure, restore, snapshot = defined_in(
    "02b", "unlikeliest", "locate_failure", "restore", "snapshot", np=np, mixture_nll=mixture_nll
)


def compiled(loss):
    set_seed(0)
    model = build_generator(8, 1, batch_size=4)
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, steps_per_execution=5)
    return model


def chunks(outlier=None):
    series = np.random.default_rng(0).normal(size=(4, 101)).astype("float32")
    if outlier:
        series[2, 67] = outlier
    return training_chunks(series, 20)


def test_the_outlier_is_found_with_its_series_step_and_distance():
    model = compiled(probability_space_nll)
    found = locate_failure(model, snapshot(model), *chunks(outlier=80.0))
    assert (found["update"], found["series"], found["step"], found["value"]) == (3, 2, 67, 80.0)
    assert not found["loss_is_finite"]
    assert 13 < found["nearest_sigmas"] < 100  # some 80 units from means near 0, sigmas near 1
    assert found["nll"] == pytest.approx(found["nearest_sigmas"] ** 2 / 2, rel=0.2)
    assert 0.1 < found["smallest_sigma"] < 1.5


@pytest.mark.parametrize(("loss", "outlier"), [(probability_space_nll, None), (mixture_nll, 80.0)])
def test_nothing_is_found_where_nothing_breaks(loss, outlier):
    model = compiled(loss)
    assert locate_failure(model, snapshot(model), *chunks(outlier)) is None


def test_a_restored_model_trains_on_as_if_nothing_had_happened():
    inputs, targets = chunks()
    model = compiled(mixture_nll)
    model.train_on_batch(inputs[:4], targets[:4])
    saved = snapshot(model)
    losses = []
    for _ in range(2):
        restore(model, saved)
        model.reset_metrics()
        losses.append([float(model.train_on_batch(inputs[4:8], targets[4:8])) for _ in range(3)])
    assert losses[0] == losses[1]
    reset_state(model)
    assert not np.array_equal(saved[0], model.get_weights()[0])
