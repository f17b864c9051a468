import errno
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from sensegen_utils.data.recordings import training_chunks
from sensegen_utils.model import training
from sensegen_utils.model.generator import build_generator, load_generator
from sensegen_utils.model.mixture import mixture_nll
from sensegen_utils.model.training import (
    evaluate_nll,
    fingerprint,
    read_log,
    resume,
    save_checkpoint,
    set_seed,
    trained_on,
    training_callbacks,
)
from tests import forks
from tests.drop_optimizer import drop_optimizer

pytestmark = pytest.mark.xdist_group("forks")
TESTS = str(Path(__file__).parent)
SERIES = np.random.default_rng(0).normal(size=(4, 161)).astype("float32")
SETTINGS = {"run": "test", "sigma_floor": 1e-3}


@functools.cache
def untrained():
    """A compiled G, which is traced once for all tests, and the values of its variables before training."""
    set_seed(0)
    model = build_generator(8, 2, batch_size=4)
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=1.0), loss=mixture_nll)
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in (*model.weights, *model.optimizer.variables)]


def compiled_generator():
    """That G as it was before training: the same object at each call."""
    set_seed(0)
    model, values = untrained()
    for variable, value in zip((*model.weights, *model.optimizer.variables), values, strict=True):
        variable.assign(value)
    return model


def train(checkpoint, epochs, settings=SETTINGS, extra=()):
    model = compiled_generator()
    done = resume(model, checkpoint, settings)
    inputs, targets = training_chunks(SERIES, 20)
    callbacks = [*training_callbacks(model, checkpoint, settings, done, epochs, save_every=0), *extra]
    model.fit(
        inputs, targets, batch_size=4, shuffle=False, verbose=0, initial_epoch=done, epochs=epochs,
        callbacks=callbacks,
    )  # fmt: skip
    return [weight.numpy() for weight in model.weights]


def assert_same_training(ours, theirs):
    assert any((one != other).any() for one, other in zip(ours, untrained()[1], strict=False))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_same_log(ours, theirs):
    np.testing.assert_array_equal(read_log(ours)[["epoch", "loss"]], read_log(theirs)[["epoch", "loss"]])


def test_resumed_training_equals_uninterrupted_training(tmp_path):
    whole = train(tmp_path / "whole.keras", 6)
    train(tmp_path / "parts.keras", 2)
    train(tmp_path / "parts.keras", 5)
    parts = train(tmp_path / "parts.keras", 6)
    assert_same_training(whole, parts)
    assert_same_log(tmp_path / "whole.keras", tmp_path / "parts.keras")
    assert read_log(tmp_path / "parts.keras").epoch.tolist() == [0, 1, 2, 3, 4, 5]


def test_ctrl_c_loses_at_most_the_running_epoch(tmp_path):
    def interrupt(batch, logs):
        if interrupted.model.optimizer.iterations.numpy() == 20:  # the fourth update of the third epoch
            raise KeyboardInterrupt

    interrupted = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts.keras", 4, extra=[interrupted])
    assert len(read_log(tmp_path / "parts.keras")) == 2
    assert_same_training(train(tmp_path / "parts.keras", 4), train(tmp_path / "whole.keras", 4))


def train_slowly(checkpoint):
    slow = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.02))
    train(checkpoint, 20, extra=[slow])


def test_kill_9_twice_then_the_same_numbers(tmp_path):
    checkpoint = tmp_path / "killed.keras"
    for epochs in (3, 8):
        process, log = forks.start(train_slowly, checkpoint), checkpoint.with_suffix(".csv")
        deadline = time.monotonic() + 300
        while not log.exists() or len(log.read_text().splitlines()) <= epochs:
            assert process.is_alive() and time.monotonic() < deadline, "the run does not get that far"
            time.sleep(0.02)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the run ended before it could be killed"
    assert_same_training(train(checkpoint, 20), train(tmp_path / "whole.keras", 20))
    assert_same_log(checkpoint, tmp_path / "whole.keras")


def test_a_row_that_the_checkpoint_does_not_know_is_cut_off(tmp_path):
    train(tmp_path / "g.keras", 2)
    with (tmp_path / "g.csv").open("a") as log:
        log.write("2,1.0,0.1,NA,NA\n3,half a li")  # a kill between log and checkpoint, or in the middle
    train(tmp_path / "g.keras", 3)
    assert read_log(tmp_path / "g.keras").epoch.tolist() == [0, 1, 2]


def test_a_fingerprint_is_that_of_the_weights():
    model = build_generator(8, 2)
    same = keras.models.clone_model(model)
    same.set_weights(model.get_weights())
    assert fingerprint(model) == fingerprint(same) != fingerprint(model, same)
    same.layers[-1].bias.assign(np.ones(72))
    assert fingerprint(model) != fingerprint(same)


def test_a_missing_log_is_an_error_not_a_gap(tmp_path):
    train(tmp_path / "g.keras", 2)
    (tmp_path / "g.csv").unlink()
    with pytest.raises(ValueError, match=r"g\.csv has 0 of the 2 epochs.*--fresh"):
        train(tmp_path / "g.keras", 3)


def test_a_non_finite_loss_stops_with_a_clear_error_and_keeps_the_last_good_weights(tmp_path):
    train(tmp_path / "g.keras", 1)
    poison = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: poison.model.layers[-1].bias.assign(np.full(72, np.nan))
    )
    with pytest.raises(FloatingPointError, match=r"nan in epoch 1, update 0.*g\.keras.*--fresh"):
        train(tmp_path / "g.keras", 3, extra=[poison])
    assert np.isfinite(read_log(tmp_path / "g.keras").loss).all()
    assert all(np.isfinite(weight).all() for weight in load_generator(tmp_path / "g.keras")[0].get_weights())


def test_a_published_checkpoint_has_the_same_weights_and_is_not_trained_on(tmp_path):
    checkpoint = tmp_path / "g.keras"
    trained, size = train(checkpoint, 2), checkpoint.stat().st_size
    drop_optimizer(checkpoint)
    assert checkpoint.stat().st_size < size
    model = compiled_generator()
    assert resume(model, checkpoint, SETTINGS) == 2
    assert_same_training([weight.numpy() for weight in model.weights], trained)
    np.testing.assert_array_equal(load_generator(checkpoint)[0].get_weights()[0], trained[0])
    with pytest.raises(ValueError, match=r"g\.keras holds the final weights of 2 epochs.*--fresh"):
        train(checkpoint, 3)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    train(tmp_path / "g.keras", 1)
    with pytest.raises(ValueError, match=r"g\.keras.*sigma_floor 0\.001, now 0\.01.*--fresh"):
        resume(compiled_generator(), tmp_path / "g.keras", SETTINGS | {"sigma_floor": 0.01})


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "MADE_WITH", {"keras": "9.1"})
    save_checkpoint(compiled_generator(), tmp_path / "g.keras", SETTINGS, 1)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"keras '9\.1', now '3\."):
        resume(compiled_generator(), tmp_path / "g.keras", SETTINGS)


@pytest.mark.parametrize("damage", ["truncated", "not a checkpoint", "weights missing"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    checkpoint = tmp_path / "g.keras"
    train(checkpoint, 1)
    if damage == "truncated":
        checkpoint.write_bytes(checkpoint.read_bytes()[:3000])
    elif damage == "not a checkpoint":
        checkpoint.write_text("nothing")
    else:
        with zipfile.ZipFile(checkpoint) as archive:
            settings = archive.read("training.json")
        with zipfile.ZipFile(checkpoint, "w") as archive:
            archive.writestr("training.json", settings)
    with pytest.raises(ValueError, match=r"g\.keras is damaged.*--fresh"):
        resume(compiled_generator(), checkpoint, SETTINGS)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    checkpoint = tmp_path / "g.keras"
    train(checkpoint, 1)
    before = checkpoint.read_bytes()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(OSError, match=r"could not write .*g\.keras.*Free some space"):
            train(checkpoint, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_loading_a_missing_generator_says_what_makes_it(tmp_path):
    with pytest.raises(ValueError, match="run notebook 02"):
        load_generator(tmp_path / "02_absent.keras")


def test_a_generator_loads_in_a_process_that_imports_nothing_else(tmp_path):
    checkpoint = tmp_path / "g.keras"
    train(checkpoint, 1)
    process = forks.start(load_generator, checkpoint)  # it imports the module of the function, not this one
    process.join()
    assert process.exitcode == 0


ELSEWHERE = textwrap.dedent("""
    import sys, pathlib, json
    sys.path.insert(0, {tests!r})
    from test_training import losses
    print(json.dumps(losses(pathlib.Path({checkpoint!r}))))
""")


def losses(checkpoint):
    train(checkpoint, 5)
    return [*read_log(checkpoint).loss.tolist(), evaluate_nll(untrained()[0], SERIES)]


def test_same_seed_same_machine_same_numbers_and_close_to_them_on_other_kernels(tmp_path):
    first = losses(tmp_path / "here.keras")
    assert forks.result_of(losses, tmp_path / "again.keras") == first
    # TensorFlow reads these when it is imported.
    others = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_NUM_INTRAOP_THREADS": "2"}
    code = ELSEWHERE.format(tests=TESTS, checkpoint=str(tmp_path / "other.keras"))
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | others, capture_output=True, text=True, check=True
    )
    other = json.loads(run.stdout.splitlines()[-1])
    np.testing.assert_allclose(other, first, atol=1e-3)  # the tolerance that README states


def test_unwritable_folder_is_named_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="could not write") as caught:
        save_checkpoint(compiled_generator(), tmp_path / "file" / "g.keras", SETTINGS, 1)
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_a_checkpoint_knows_all_machines_that_trained_it(tmp_path, monkeypatch):
    checkpoint = tmp_path / "g.keras"
    for cores, epochs in ((2, 1), (2, 2), (4, 3)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        train(checkpoint, epochs)
    assert [each["machine"]["cores"] for each in trained_on(checkpoint)] == [2, 4]
    drop_optimizer(checkpoint)
    assert [each["machine"]["cores"] for each in trained_on(checkpoint)] == [2, 4]
    train(tmp_path / "new.keras", 1)
    assert [each["machine"]["cores"] for each in trained_on(tmp_path / "new.keras")] == [4]
