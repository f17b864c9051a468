import json

import numpy as np
import pytest

from benchmarks import tsgm_baselines as baselines
from sensegen_utils import files

RNG = np.random.default_rng(0)
WINDOWS = (RNG.normal(size=(40, 16, 2)) * [0.1, 3] + [1, -5]).astype(np.float32)
ACTIVITY = np.repeat([2, 5], [30, 10])
SETTINGS = {"minutes": 0.002, "seed": 0}
SCALED = ((WINDOWS - WINDOWS.min((0, 1))) / np.ptp(WINDOWS, (0, 1))).astype(np.float32)


def test_scaling_is_that_of_tsgm():
    tsgm = pytest.importorskip("tsgm")
    np.testing.assert_allclose(SCALED, tsgm.utils.TSFeatureWiseScaler().fit_transform(WINDOWS), atol=1e-6)


def test_training_ends_with_the_budget_and_the_first_epoch_of_a_kind_is_free():
    now, seen = [0.0], []

    def epoch(spent, counts):
        seen.append(spent)
        now[0] += 3
        return "late" if spent >= 0.5 else "early", {"loss": 100.0 - len(seen)}

    progress = baselines.train_within(20, epoch, "title", clock=lambda: now[0])
    assert seen == [0, 0, 0.15, 0.3, 0.45, 0.6, 0.6, 0.75, 0.9]
    assert progress["seconds"] == 21  # the epoch that began at 18 ends
    assert progress["counts"] == {"early": 5, "late": 4}
    assert progress["first_losses"] == {"early": {"loss": 99.0}, "late": {"loss": 94.0}}
    assert progress["last_losses"] == {"early": {"loss": 95.0}, "late": {"loss": 91.0}}
    with pytest.raises(FloatingPointError, match="choose another seed"):
        baselines.train_within(1, lambda *now: ("epoch", {"loss": np.nan}), "title")


def add_labels(windows, activity, labels):
    """A model without tsgm: it draws the activity; unless the second network is not allowed to."""
    assert windows.min() >= 0 and windows.max() <= 1 and set(activity) == set(labels)

    def draw(activity):
        if set(activity) & add_labels.killed_at:
            raise KeyboardInterrupt
        return np.ones((len(activity), *windows.shape[1:])) * activity[:, None, None]

    return lambda spent, counts: ("epoch", {"loss": 0.0}), draw


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setitem(baselines.MODELS, "counting", add_labels)
    monkeypatch.setattr(add_labels, "killed_at", set(), raising=False)


def test_a_kill_costs_one_network_and_windows_come_in_the_order_of_the_activities(
    tmp_path, monkeypatch, counting
):
    wanted, stem = RNG.permutation(np.repeat([2, 5], 20)), tmp_path / "08_tsgm-counting-two-seed0"

    def run(settings):
        return baselines.train_and_draw("counting", WINDOWS, ACTIVITY, wanted, settings, stem)

    monkeypatch.setattr(add_labels, "killed_at", {5})
    with pytest.raises(KeyboardInterrupt):
        run(SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem.name}-part-2.npz"]
    monkeypatch.setattr(add_labels, "killed_at", {2})  # drawn from already, and not again
    drawn, provenance = run(SETTINGS)
    low, high = WINDOWS.min((0, 1)), WINDOWS.max((0, 1))
    assert drawn.dtype == np.float32
    expected = np.broadcast_to(wanted[:, None, None] * (high - low) + low, drawn.shape)
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)
    seconds = {part: progress["seconds"] for part, progress in provenance["parts"].items()}
    assert seconds["2"] == pytest.approx(0.12 * 0.75, abs=0.05)
    assert seconds["5"] == pytest.approx(0.12 * 0.25, abs=0.05)
    assert provenance["training_seconds"] == pytest.approx(sum(seconds.values()))
    with pytest.raises(ValueError, match=r"part-2.npz .*minutes 0.002, now 3"):
        run(SETTINGS | {"minutes": 3})


@pytest.mark.parametrize("kind", ["timegan", "vae", "betavae", "ddpm"])
def test_each_model_trains_and_draws(kind, monkeypatch):
    pytest.importorskip("tsgm")
    options = {"timesteps": 5} if kind == "ddpm" else {}
    epoch, draw = baselines.MODELS[kind](SCALED, ACTIVITY, [2, 5], **options)
    phases = ((0, {}), (0.05, {"autoencoder": 1}), (0.05, {})) if kind == "timegan" else ((0, {}),) * 2
    kinds, losses = zip(*(epoch(spent, counts) for spent, counts in phases), strict=True)
    assert kinds == (("autoencoder", "supervisor", "joint") if kind == "timegan" else ("epoch", "epoch"))
    assert all(np.isfinite(loss) and loss > 0 for each in losses for loss in each.values())
    drawn = np.asarray(draw(ACTIVITY[:7]))
    assert drawn.shape == (7, 16, 2) and np.isfinite(drawn).all()


def test_the_conditional_vae_draws_every_moment_by_itself():
    pytest.importorskip("tsgm")
    decoder = baselines.zoo["cvae_conv5"](latent_dim=32, seq_len=16, feat_dim=2, output_dim=2).decoder
    latents = RNG.normal(size=(1, 16, 34)).astype(np.float32)
    other = latents.copy()
    other[0, 7] += 1
    changed = np.abs(np.asarray(decoder(other)) - np.asarray(decoder(latents))).max(axis=(0, 2)) > 0
    assert np.flatnonzero(changed).tolist() == [7]


def test_the_denoiser_sees_four_samples_to_each_side():
    pytest.importorskip("tsgm")
    denoiser = baselines.zoo["ddpm_denoiser"](seq_len=32, feat_dim=2).model
    noisy = RNG.normal(size=(1, 32, 2)).astype(np.float32)
    other = noisy.copy()
    other[0, 15] += 1
    step = np.array([[3]])
    changed = np.abs(np.asarray(denoiser([other, step])) - np.asarray(denoiser([noisy, step]))).max((0, 2))
    assert np.flatnonzero(changed > 0).tolist() == list(range(11, 20))


def test_a_run_writes_samples_with_their_provenance(tmp_path, monkeypatch, simulated_archive, counting):
    monkeypatch.setattr(baselines.importlib.metadata, "version", lambda package: "0")
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(files, "DATA", tmp_path / "data")
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(simulated_archive))
    path = baselines.main("counting", "one", minutes=0.001, seed=3, profile="smoke")
    assert path == tmp_path / "results/simulated-smoke/samples/08_tsgm-counting-one-seed3.npz"
    with np.load(path) as written:
        assert set(written) == {"train", "test", "train_activity", "test_activity", "provenance"}
        for part in ("train", "test"):
            assert written[part].shape == (len(written[f"{part}_activity"]), 128, 1)
        provenance = json.loads(str(written["provenance"]))
    assert provenance["settings"]["minutes"] == 0.001 and provenance["machine"]["machine"]["cores"]
    assert provenance["training_seconds"] >= 0.06 and provenance["sampling_seconds"] > 0
    assert all(progress["counts"]["epoch"] >= 2 for progress in provenance["parts"].values())
    assert not list((tmp_path / "results/simulated-smoke/checkpoints").glob("*part*"))
    stamp = path.stat().st_mtime_ns
    assert baselines.main("counting", "one", minutes=0.001, seed=3, profile="smoke") == path
    assert path.stat().st_mtime_ns == stamp
    with pytest.raises(ValueError, match="minutes 0.001, now 1"):
        baselines.main("counting", "one", minutes=1, seed=3, profile="smoke")
