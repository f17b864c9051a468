import json

import numpy as np
import pytest
from people import TRAIN

from benchmarks import flow_matching as flow

WINDOWS, ACTIVITY = TRAIN


@pytest.mark.parametrize("channels", [1, 6])
def test_windows_are_learned_in_a_form_that_can_be_undone_and_weighs_frequencies_alike(channels):
    windows = WINDOWS[:, :, :channels]
    scales = flow.fit_scales(windows, ACTIVITY)
    numbers, waves = flow.encode(windows, ACTIVITY, scales)
    np.testing.assert_allclose(flow.decode(numbers, waves, ACTIVITY, scales), windows, atol=1e-4)
    assert numbers.shape[1] == {1: 2, 6: 13}[channels] and waves.shape == windows.shape
    for code in np.unique(ACTIVITY):
        own = code == ACTIVITY
        np.testing.assert_allclose(numbers[own].std(axis=0), 1, atol=0.01)
        power = flow.dct(waves[own], axis=1, norm="ortho").std(axis=0)
        assert (power[1:] < 1.01).all() and np.median(power) == pytest.approx(1, abs=0.01)


def test_what_a_network_draws_keeps_the_length_of_gravity():
    scales = flow.fit_scales(WINDOWS, ACTIVITY)
    numbers, waves = flow.encode(WINDOWS, ACTIVITY, scales)
    numbers[:, :3] += 3  # another direction
    turned = flow.decode(numbers, waves, ACTIVITY, scales)
    lengths = [np.linalg.norm(x.mean(axis=1)[:, :3], axis=1) for x in (turned, WINDOWS)]
    np.testing.assert_allclose(*lengths, rtol=1e-4)
    assert np.abs(turned.mean(axis=1) - WINDOWS.mean(axis=1)).max() > 0.1


def test_a_small_network_learns_and_draws_for_the_judges(tmp_path):
    pytest.importorskip("torch")
    length = len(WINDOWS) * 128
    pieces = np.arange(0, length, 128)[:, None] + [0, 128]
    packed = {
        "values": WINDOWS.reshape(length, 6), "pieces": pieces,
        "start": np.arange(0, length, 128), "held": np.arange(len(WINDOWS)) % 7 == 0,
        "train_activity": ACTIVITY, "test_activity": ACTIVITY[:30], "settings": json.dumps({"data": "x"}),
    }  # fmt: skip
    np.savez(tmp_path / "packed.npz", **packed)
    path = tmp_path / "08_flow-matching-six-seed0.npz"
    flow.learn(
        tmp_path / "packed.npz", path, minutes=9, updates=60, rate=0.02, batch=32, width=32, depth=1, heads=2
    )
    with np.load(path) as drawn:
        assert drawn["train"].shape == WINDOWS.shape and drawn["test"].shape == (30, 128, 6)
        assert np.isfinite(drawn["train"]).all() and (drawn["test_activity"] == ACTIVITY[:30]).all()
        told = json.loads(str(drawn["provenance"]))
    losses = [each["validation"] for each in told["log"]]
    with pytest.raises(FileExistsError, match="is there already"):
        flow.learn(tmp_path / "packed.npz", path)
    assert min(losses) < 2.1 and told["settings"]["data"] == "x" and told["versions"]["torch"]
