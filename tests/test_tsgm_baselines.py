import json

import numpy as np
import pytest

from benchmarks import tsgm_baselines as baselines
from sensegen_utils import paths, records

RNG = np.random.default_rng(0)
WINDOWS = (RNG.normal(size=(40, 16, 2)) * [0.1, 3] + [1, -5]).astype(np.float32)
ACTIVITY = np.repeat([2, 5], [30, 10])
SETTINGS = {"minutes": 0.02, "seed": 0}


def fresh(tmp_path):
    return baselines.read_part(tmp_path / "none.npz", SETTINGS)[0]


def test_scaling_is_undone():
    low, high = WINDOWS.min((0, 1)), WINDOWS.max((0, 1))
    scaled = baselines.scale(WINDOWS, low, high)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal([scaled.min((0, 1)), scaled.max((0, 1))], [[0, 0], [1, 1]])
    kept = scaled.copy()
    np.testing.assert_allclose(baselines.unscale(scaled, low, high), WINDOWS, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(scaled, kept)


def test_scaling_is_that_of_tsgm():
    tsgm = pytest.importorskip("tsgm")
    scaled = baselines.scale(WINDOWS, WINDOWS.min((0, 1)), WINDOWS.max((0, 1)))
    np.testing.assert_allclose(scaled, tsgm.utils.TSFeatureWiseScaler().fit_transform(WINDOWS), atol=1e-7)


def test_a_budget_is_kept_over_a_kill(tmp_path):
    now, seen, saved = [0.0], [], []

    def epoch(spent, counts):
        if len(seen) == 6:
            seen.append(None)
            raise KeyboardInterrupt
        seen.append(spent)
        now[0] += 3
        return "late" if spent >= 0.5 else "early", {"loss": 100.0 - len(seen)}

    def train(progress):
        def save(state):
            saved.append(json.loads(json.dumps(state)))

        baselines.train_within(20, epoch, progress, save, save_every=6, clock=lambda: now[0])

    with pytest.raises(KeyboardInterrupt):
        train(fresh(tmp_path))
    assert [state["seconds"] for state in saved] == [6, 12, 18]
    progress = saved[1]  # the last file was lost, say
    train(progress)
    assert seen == [0, 0.15, 0.3, 0.45, 0.6, 0.75, None, 0.6, 0.75, 0.9]
    assert progress["seconds"] == saved[-1]["seconds"] == 21  # the epoch that began at 18 ends
    assert progress["counts"] == {"early": 4, "late": 3}
    assert progress["first_losses"] == {"early": {"loss": 99.0}, "late": {"loss": 92.0}}
    assert progress["last_losses"] == {"early": {"loss": 96.0}, "late": {"loss": 90.0}}
    train(progress)
    assert len(seen) == 10  # nothing is left of the budget


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match="checkpoint"):
        baselines.train_within(1, lambda *now: ("epoch", {"loss": np.nan}), fresh(tmp_path), print)


def test_a_part_is_read_as_written_and_only_with_its_settings(tmp_path):
    path, progress = tmp_path / "run-part-1.npz", fresh(tmp_path)
    assert baselines.read_part(path, SETTINGS) == (progress, None)
    arrays = [np.arange(3.0), np.float32(7), np.ones((2, 2), np.float32)]
    baselines.write_part(path, progress | {"seconds": 2.5}, arrays)
    read, values = baselines.read_part(path, SETTINGS)
    assert read["seconds"] == 2.5
    for value, array in zip(values, arrays, strict=True):
        np.testing.assert_array_equal(value, array)
    with pytest.raises(ValueError, match=r"run-part-1.npz .*minutes 0.02, now 3"):
        baselines.read_part(path, SETTINGS | {"minutes": 3})


def add_labels(steps, channels, labels):
    """A model without tsgm: its one weight counts the epochs, and it draws that number plus the activity."""
    import keras

    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    network.set_weights([np.zeros((1, 1))])

    def feed(windows, activity):
        assert windows.min() >= 0 and windows.max() <= 1

        def epoch(spent, counts):
            network.set_weights([network.get_weights()[0] + 1])
            return "epoch", {"loss": 0.0}

        return epoch

    def draw(activity):
        return np.ones((len(activity), steps, channels)) * activity[:, None, None]

    return {"networks": [network], "optimizers": [], "feed": feed, "draw": draw}


def test_windows_come_in_the_order_of_the_real_activities(tmp_path, monkeypatch):
    monkeypatch.setitem(baselines.MODELS, "counting", add_labels)
    wanted = {"train": RNG.permutation(ACTIVITY), "test": np.array([5, 2, 5])}
    stem = tmp_path / "08_tsgm-counting-two-seed0"
    drawn, provenance = baselines.train_and_draw("counting", WINDOWS, ACTIVITY, wanted, SETTINGS, stem)
    low, high = WINDOWS.min((0, 1)), WINDOWS.max((0, 1))
    for name, codes in wanted.items():
        assert drawn[name].dtype == np.float32
        expected = np.broadcast_to(codes[:, None, None] * (high - low) + low, drawn[name].shape)
        np.testing.assert_allclose(drawn[name], expected, rtol=1e-6)
    seconds = {part: progress["seconds"] for part, progress in provenance["parts"].items()}
    assert seconds["2"] == pytest.approx(1.2 * 0.75, abs=0.1)
    assert seconds["5"] == pytest.approx(1.2 * 0.25, abs=0.1)
    # All parts are drawn, so that the same call only reads them.
    again, _ = baselines.train_and_draw("counting", WINDOWS, ACTIVITY, wanted, SETTINGS, stem)
    np.testing.assert_array_equal(again["test"], drawn["test"])


@pytest.mark.parametrize("kind", ["timegan", "vae", "betavae", "ddpm"])
def test_each_model_trains_and_draws(kind, tmp_path, monkeypatch):
    pytest.importorskip("tsgm")
    if kind == "ddpm":
        monkeypatch.setitem(
            baselines.MODELS, kind, lambda *arguments: baselines.build_ddpm(*arguments, timesteps=5)
        )
    model = baselines.MODELS[kind](16, 2, [2, 5])
    variables, first = baselines.prepare(model, WINDOWS, ACTIVITY)
    for variable, value in zip(variables, first, strict=True):
        np.testing.assert_array_equal(variable, value)
    epoch = model["feed"](WINDOWS, ACTIVITY)
    for spent, counts in baselines.EACH_PHASE:
        _, losses = epoch(spent, counts)
        assert losses and all(np.isfinite(loss) and loss > 0 for loss in losses.values())
    networks = sum(len(network.weights) for network in model["networks"])
    for variable, value in zip(variables[:networks], first, strict=False):
        assert "bias" in variable.path or (variable.numpy() != value).any(), variable.path
    drawn = np.asarray(model["draw"](ACTIVITY[:7]))
    assert drawn.shape == (7, 16, 2) and np.isfinite(drawn).all()


def test_the_steps_back_from_noise_are_those_of_tsgm():
    pytest.importorskip("tsgm")
    from tsgm.models.ddpm import DDPM

    model = baselines.build_ddpm(16, 2, [2], timesteps=4)
    for network in model["networks"]:
        network.set_weights([w + RNG.normal(0, 0.3, w.shape) for w in network.get_weights()])
    theirs = DDPM(*model["networks"], 4)  # of the same networks
    theirs.seq_len, theirs.feat_dim = 16, 2
    spreads = [np.std(draw, axis=0) for draw in (theirs.generate(4000), model["draw"](np.zeros(4000)))]
    np.testing.assert_allclose(*spreads, rtol=0.1)


def test_the_conditional_vae_draws_every_moment_by_itself():
    pytest.importorskip("tsgm")
    decoder = baselines.build_vae(16, 2, [2, 5])["networks"][1]
    latents = RNG.normal(size=(1, 16, 34)).astype(np.float32)
    other = latents.copy()
    other[0, 7] += 1
    changed = np.abs(np.asarray(decoder(other)) - np.asarray(decoder(latents))).max(axis=(0, 2)) > 0
    assert np.flatnonzero(changed).tolist() == [7]


def test_the_denoiser_sees_four_samples_to_each_side():
    pytest.importorskip("tsgm")
    denoiser = baselines.build_ddpm(32, 2, [2])["networks"][0]
    noisy = RNG.normal(size=(1, 32, 2)).astype(np.float32)
    other = noisy.copy()
    other[0, 15] += 1
    step = np.array([[3]])
    changed = np.abs(np.asarray(denoiser([other, step])) - np.asarray(denoiser([noisy, step]))).max((0, 2))
    assert np.flatnonzero(changed > 0).tolist() == list(range(11, 20))


def test_a_run_writes_samples_with_their_provenance(tmp_path, monkeypatch, simulated_archive):
    monkeypatch.setitem(baselines.MODELS, "counting", add_labels)
    monkeypatch.setattr(baselines.importlib.metadata, "version", lambda package: "0")
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(simulated_archive))
    path = baselines.main("counting", "one", minutes=0.001, seed=3, profile="smoke")
    assert path == tmp_path / "results/simulated-smoke/samples/08_tsgm-counting-one-seed3.npz"
    with np.load(path) as written:
        for part in ("train", "test"):
            assert written[part].shape == (len(written[f"{part}_activity"]), 128, 1)
        provenance = json.loads(str(written["provenance"]))
    assert provenance["settings"]["minutes"] == 0.001 and provenance["machine"]["machine"]["cores"]
    assert provenance["training_seconds"] >= 0.06
    assert not list((tmp_path / "results/simulated-smoke/checkpoints").glob("*part*"))
    stamp = path.stat().st_mtime_ns
    assert baselines.main("counting", "one", minutes=0.001, seed=3, profile="smoke") == path
    assert path.stat().st_mtime_ns == stamp
    with pytest.raises(ValueError, match="minutes 0.001, now 1"):
        baselines.main("counting", "one", minutes=1, seed=3, profile="smoke")
