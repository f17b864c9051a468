"""The converter of the published weights, against a TensorFlow 1 graph that a test builds and trains."""

import re

import numpy as np
import pytest
import tensorflow as tf

from fast_keras import FastAdam
from ported.tf1_checkpoints import restore_adam
from sensegen_utils.data.recordings import training_chunks
from sensegen_utils.model.mixture import probability_space_nll, split_mixture
from sensegen_utils.report import published as stated
from tests import public_model
from tests.conftest import defined_in
from tests.public_model import BATCH, COMPONENTS, STEPS, UNITS

CELL = "mdn_model/rnn/multi_rnn_cell/cell_0/lstm_cell"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("models") / "mdngyromodel.ckpt-5"
    return prefix, *public_model.train_and_save(prefix, then=3)


@pytest.fixture(scope="module")
def chunks():
    return training_chunks(public_model.series(1 + 6 * STEPS), STEPS)


(load_published,) = defined_in("02c", "load_published", published=stated)


def save(prefix, **change):
    """A checkpoint of the public code's variables, zeros but for ``change``; None leaves one out."""
    shapes = {"kernel": (1 + UNITS, 4 * UNITS), "bias": (4 * UNITS,), "w1": (UNITS, 128), "b1": (128,),
              "w2": (128, 3 * COMPONENTS), "b2": (3 * COMPONENTS,)}  # fmt: skip
    values = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} | change
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in values.items():
            if value is not None:
                scope = CELL if name in ("kernel", "bias") else "mdn_model"
                tf.compat.v1.get_variable(f"{scope}/{name}", initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(prefix))
    return prefix


def test_outputs_are_those_of_the_public_graph(published, chunks):
    prefix, (means, sigmas, weights), _ = published
    generator = load_published(prefix)
    assert generator.input_shape == (BATCH, None, 1)
    outputs = generator.predict(chunks[0], batch_size=BATCH, verbose=0).reshape(-1, 3 * COMPONENTS)
    log_weights, own_means, log_sigmas = split_mixture(outputs, sigma_floor=0)
    pairs = {"weights": (np.exp(log_weights), weights), "means": (own_means, means),
             "sigmas": (np.exp(log_sigmas), sigmas)}  # fmt: skip
    for name, (own, theirs) in pairs.items():
        assert np.ptp(theirs, axis=0).max() > 1e-3, f"{name} must differ from step to step"
        np.testing.assert_allclose(np.reshape(own, (-1, 2)), theirs.reshape(-1, 2), atol=1e-5, err_msg=name)


def go_on(prefix, chunks, updates):
    """The losses of three more updates, with Adam's moments of the checkpoint, or if None with fresh ones."""
    generator = load_published(prefix)
    generator.compile(FastAdam(3e-4, epsilon=1e-8), loss=probability_space_nll)
    if updates is not None:
        restore_adam(generator, prefix, updates)
    batches = (values.reshape(-1, BATCH, STEPS, 1)[:3] for values in chunks)
    losses = []
    for x, y in zip(*batches, strict=True):
        generator.reset_metrics()
        losses.append(float(generator.train_on_batch(x, y)))
    return losses


def test_training_goes_on_as_the_public_graph_does(published, chunks):
    prefix, _, losses = published
    np.testing.assert_allclose(go_on(prefix, chunks, updates=6), losses, atol=1e-6)
    for wrong in (None, 0):  # the test must notice
        assert abs(np.subtract(go_on(prefix, chunks, wrong), losses)).max() > 1e-5


def test_a_missing_or_damaged_checkpoint_is_refused(published, tmp_path):
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'none.ckpt-1'}.index is missing")):
        load_published(tmp_path / "none.ckpt-1")
    for name, spoil in (("index", lambda data: data[:20]), ("data-00000-of-00001", lambda data: data[:20])):
        copy = tmp_path / f"{name}.ckpt-1"
        for part in ("index", "data-00000-of-00001"):
            data = published[0].with_name(f"{published[0].name}.{part}").read_bytes()
            copy.with_name(f"{copy.name}.{part}").write_bytes(spoil(data) if part == name else data)
        with pytest.raises(ValueError, match=re.escape(f"{copy} is damaged")):
            load_published(copy)


def test_a_missing_variable_is_named(published, tmp_path):
    with pytest.raises(ValueError, match="has no variable mdn_model/w2$"):
        load_published(save(tmp_path / "m.ckpt-1", w2=None))
    with pytest.raises(ValueError, match=f"has no variable {CELL}/kernel$"):
        load_published(save(tmp_path / "k.ckpt-1", kernel=None))
    generator = load_published(save(tmp_path / "a.ckpt-1"))
    generator.compile(FastAdam())
    with pytest.raises(ValueError, match="has no variable .*mdn_model/mdn_model/w1/Adam,"):
        restore_adam(generator, tmp_path / "a.ckpt-1", 1)


def test_weights_that_are_not_finite_are_named(tmp_path):
    spoilt = np.zeros(128, np.float32)
    spoilt[7] = np.nan
    with pytest.raises(ValueError, match="n.ckpt-1 are not finite: mdn_model/b1$"):
        load_published(save(tmp_path / "n.ckpt-1", b1=spoilt))


def test_a_dense_layer_of_another_size_is_refused(tmp_path):
    narrow = {"w1": np.zeros((UNITS, 32), np.float32), "b1": np.zeros(32, np.float32)}
    narrow["w2"] = np.zeros((32, 3 * COMPONENTS), np.float32)
    with pytest.raises(
        ValueError, match=r"s\.ckpt-1 are not those of one channel's G: .*\(3, 128\).*\(3, 32\)"
    ):
        load_published(save(tmp_path / "s.ckpt-1", **narrow))
