import keras
import numpy as np
import pandas as pd
import pytest

from sensegen_utils import synthetic
from sensegen_utils.data import layout as har
from sensegen_utils.data import uci_har
from sensegen_utils.model.generator import build_generator, save_generator
from sensegen_utils.model.people import fit_styles
from sensegen_utils.model.sampling import sample_windows
from sensegen_utils.model.whitening import fit_whitening
from sensegen_utils.synthetic import load_model, sample, save_csv, save_har_layout, save_npz, to_frame

CHANNELS = ["total_acc_x", "total_acc_y", "total_acc_z", "body_gyro_x", "body_gyro_y", "body_gyro_z"]


def untrained(channels):
    rng = np.random.default_rng(0)
    label = np.repeat(range(1, 7), 40)
    windows = rng.normal(label[:, None, None], 0.1, (240, 20, channels)).astype(np.float32)
    keras.utils.set_random_seed(0)
    return build_generator(4, 1, channels=channels, labels=6), fit_whitening(windows, label, 2, 1e-3)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A checkout with an untrained model of each kind, around level k for activity k."""
    root = tmp_path_factory.mktemp("root")
    for file, channels in (("full/models/six-seed0", 6), ("quick/models/one-seed2", 1)):
        save_generator(*untrained(channels), root / "results" / f"{file}.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "ROOT", root)
        yield root


@pytest.fixture(scope="module")
def model(root):
    return load_model()


@pytest.fixture(scope="module")
def samples(model):
    return sample(model, None, windows=2, seed=3)


def test_a_model_knows_its_channels_by_its_name(root, model):
    assert model["channels"] == CHANNELS and model["units"] == ["g"] * 3 + ["rad/s"] * 3
    assert model["rate"] == 50 and model["file"] == "results/full/models/six-seed0.keras"
    assert load_model("one", seed=2, profile="quick")["channels"] == ["total_acc_x"]
    by_path = load_model(root / "results" / "quick" / "models" / "one-seed2.keras")
    assert by_path["file"] == "results/quick/models/one-seed2.keras" and by_path["units"] == ["g"]


def test_no_model_names_those_there_are(root):
    with pytest.raises(
        FileNotFoundError, match="no trained model results/full/models/six-seed1.keras"
    ) as error:
        load_model("six", seed=1)
    for part in ("full/models/six-seed0.keras", "quick/models/one-seed2.keras", "run notebook 07"):
        assert part in str(error.value)


def test_a_model_of_other_channels_or_activities_or_a_damaged_one_is_refused(root, tmp_path):
    one = (root / "results" / "quick" / "models" / "one-seed2.keras").read_bytes()
    for name in ("six-seed0.keras", "mine.keras"):
        (tmp_path / name).write_bytes(one)
        with pytest.raises(ValueError, match=rf"{name} has 1 channels .* not what its name says"):
            load_model(tmp_path / name)
    generator, front = untrained(1)
    front = front | {"labels": [11, 2, 3, 4, 5, 6]}
    for part in ("predictors", "first"):
        front[part] = dict(zip(front["labels"], front[part].values(), strict=True))
    save_generator(generator, front, tmp_path / "one-seed0.keras")
    with pytest.raises(ValueError, match=r"labels \[11, 2, 3, 4, 5, 6\]: it is not what its name says"):
        load_model(tmp_path / "one-seed0.keras")
    (tmp_path / "one-seed1.keras").write_bytes(one[:1000])
    with pytest.raises(ValueError, match=r"no trained generator can be read from .*one-seed1\.keras"):
        load_model(tmp_path / "one-seed1.keras")
    with pytest.raises(ValueError, match="name=None: give six, one, or the path"):
        load_model(None)


def test_windows_come_labelled_and_in_order(model, samples):
    assert samples["x"].shape == (12, 128, 6) and samples["x"].dtype == np.float32
    assert samples["activity"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    np.testing.assert_allclose(samples["x"][:, 0].mean(axis=1), samples["activity"], atol=0.5)
    assert (samples["channels"], samples["rate"], samples["seed"]) == (CHANNELS, 50, 3)
    drawn, _ = sample_windows(
        model["generator"], model["whitening"], dict.fromkeys(range(1, 7), 2), 128, seed=3
    )
    np.testing.assert_array_equal(samples["x"], drawn)


@pytest.mark.parametrize("activity", ["SITTING", "sitting", 4, np.int16(4), [4], ["SITTING"], np.array([4])])
def test_an_activity_is_the_same_by_any_name(model, activity):
    drawn = sample(model, activity, windows=2, seed=3)
    assert drawn["activity"].tolist() == [4, 4]
    np.testing.assert_array_equal(drawn["x"], sample(model, 4, windows=2, seed=3)["x"])


def test_a_discriminator_may_choose(model):
    every = sample(model, 4, windows=15, seed=3)["x"][:, 5, 0]
    drawn = sample(model, 4, 3, seed=3, candidates=5, log_odds=lambda windows, label: 1e4 * windows[:, 5, 0])
    np.testing.assert_array_equal(drawn["x"][:, 5, 0], every.reshape(3, 5).max(axis=1))


def test_the_seed_decides(model):
    def draw(seed):
        return sample(model, ["LAYING", 1], windows=3, seconds=0.5, seed=seed)

    first, again, other = draw(0), draw(0), draw(1)
    assert first["x"].shape == (6, 25, 6) and first["activity"].tolist() == [6, 6, 6, 1, 1, 1]
    np.testing.assert_array_equal(first["x"], again["x"])
    assert (first["x"] != other["x"]).mean() > 0.9


def test_each_window_continues_its_own_prefix(model):
    rng = np.random.default_rng(0)
    prefix = np.repeat([[5.0], [6.0]], [2, 2], axis=0)[:, None] + rng.normal(0, 0.1, (4, 9, 6))
    drawn = sample(model, ["STANDING", "LAYING"], windows=2, seconds=0.2, seed=1, prefix=prefix)
    assert drawn["x"].shape == (4, 10, 6) and drawn["known_steps"] == 9
    given = {5: prefix[:2].astype(np.float32), 6: prefix[2:].astype(np.float32)}
    expected, _ = sample_windows(model["generator"], model["whitening"], {5: 2, 6: 2}, 10, 1, prefix=given)
    np.testing.assert_array_equal(drawn["x"], expected)
    assert (drawn["x"] != sample(model, [5, 6], windows=2, seconds=0.2, seed=1)["x"]).mean() > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activity": "RUNNING"}, r"unknown activity 'RUNNING'; there are: WALKING \(1\), .* LAYING \(6\)"),
        ({"activity": ["WALKING", 7]}, "unknown activity 7"),
        ({"activity": ["WALKING", 1]}, "each once"),
        ({"activity": []}, "at least one activity"),
        ({"activity": 1.5}, "unknown activity 1.5"),
        ({"activity": {"WALKING": 5}}, "unknown activity {'WALKING': 5}"),
        ({"activity": [None, [1]]}, "unknown activity None"),
        ({"windows": 0}, "windows=0: .* at least 1"),
        ({"windows": 2.5}, "windows=2.5: give a whole number"),
        ({"seconds": 0.01}, r"seconds=0\.01: one sample takes 0\.02 s"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"seconds": "long"}, "seconds='long'"),
        ({"seed": None}, "seed None: give a whole number, at least 0"),
        ({"seed": -1}, "seed -1: give a whole number"),
        ({"sigma_temperature": 0}, "temperatures must be positive, not 1.0 and 0"),
        ({"mixture_temperature": None}, "temperatures must be positive, not None and 1.0"),
        ({"prefix": np.zeros((3, 5, 6))}, r"\(3, 5, 6\): 10 windows .* \(10, known steps, 6\).*total_acc_x"),
        ({"prefix": np.zeros((10, 5))}, r"shape \(10, 5\)"),
        ({"prefix": np.zeros((10, 0, 6))}, r"shape \(10, 0, 6\)"),
        (
            {"prefix": np.full((10, 5, 6), np.nan)},
            "window 0 of prefix holds nan in total_acc_x: give finite numbers in g",
        ),
        ({"prefix": np.full((10, 5, 6), 9.81)}, "window 0 of prefix holds 9.81 in total_acc_x"),
        ({"seed": 2**70}, "seed 1180591620717411303424: give a whole number, at least 0, of 63 bits"),
    ],
)
def test_wrong_arguments_get_a_clear_error(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        sample(model, **arguments)


def test_a_model_that_load_model_did_not_load_is_refused():
    with pytest.raises(ValueError, match="model='six': give what load_model returns"):
        sample("six")


def test_the_table_has_a_row_for_each_moment(samples):
    table = to_frame(samples)
    units = ["(g)"] * 3 + ["(rad/s)"] * 3
    channels = [f"{channel} {unit}" for channel, unit in zip(CHANNELS, units, strict=True)]
    assert list(table.columns) == ["window", "activity", "seconds", *channels]
    assert len(table) == 12 * 128
    row = table.iloc[5 * 128 + 7]
    assert (row["window"], row["activity"], row["seconds"]) == (5, "WALKING_DOWNSTAIRS", 7 / 50)
    np.testing.assert_array_equal(row[channels].astype(np.float32), samples["x"][5, 7])


def test_npz_gives_back_what_was_saved(samples, tmp_path):
    save_npz(samples, tmp_path / "new" / "walks.npz")
    with np.load(tmp_path / "new" / "walks.npz") as stored:
        back = dict(stored)
    assert back.keys() == samples.keys()
    for key, value in samples.items():
        np.testing.assert_array_equal(back[key], value)
    pd.testing.assert_frame_equal(to_frame(back), to_frame(samples))
    for folder, each in (("ours", samples), ("theirs", back)):
        save_har_layout(each, tmp_path / folder)
    ours, theirs = ((tmp_path / folder / "README.txt").read_text() for folder in ("ours", "theirs"))
    assert ours == theirs


@pytest.mark.parametrize("name", ["walks.csv", "walks.csv.gz"])
def test_csv_loses_nothing(samples, tmp_path, name):
    save_csv(samples, tmp_path / name)
    back, table = pd.read_csv(tmp_path / name), to_frame(samples)
    assert list(back.columns) == list(table.columns)
    pd.testing.assert_frame_equal(back.astype(table.dtypes), table, check_exact=True)


def test_another_suffix_is_refused(samples, tmp_path):
    with pytest.raises(ValueError, match=r"walks\.csv must end in \.npz"):
        save_npz(samples, tmp_path / "walks.csv")
    with pytest.raises(ValueError, match=r"None must end in \.npz"):
        save_npz(samples, None)
    with pytest.raises(ValueError, match=r"walks must end in \.csv or \.csv\.gz"):
        save_csv(samples, tmp_path / "walks")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [None, 3, np.zeros((2, 128, 6)), {"x": np.zeros((2, 128, 6))}], ids=type)
def test_what_is_no_samples_is_refused(wrong, tmp_path):
    refused = pytest.raises(ValueError, match="give what sample returns, or what save_npz wrote")
    with refused:
        to_frame(wrong)
    for save, name in ((save_npz, "a.npz"), (save_csv, "a.csv"), (save_har_layout, "har")):
        with refused:
            save(wrong, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_was_saved_and_loaded_is_saved_again(samples, tmp_path):
    save_npz(samples, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as back:
        pd.testing.assert_frame_equal(to_frame(back), to_frame(samples))


def test_the_archives_own_parser_reads_the_layout(samples, tmp_path):
    folder = tmp_path / "har"
    save_har_layout(samples, folder)
    for channel, name in enumerate(CHANNELS):
        content = (folder / "train" / "Inertial Signals" / f"{name}_train.txt").read_bytes()
        assert {len(line) for line in content.split(b"\r\n")} == {128 * 16, 0}
        np.testing.assert_allclose(
            uci_har._parse(name, content, har.WINDOW, np.float32), samples["x"][:, :, channel], rtol=1e-6
        )
    labels = uci_har._parse("y_train.txt", (folder / "train" / "y_train.txt").read_bytes(), 1, np.int16)
    np.testing.assert_array_equal(labels[:, 0], samples["activity"])
    assert "4 SITTING\n" in (folder / "activity_labels.txt").read_text()
    # What nobody measured is not there.
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.txt")}
    signals = {f"train/Inertial Signals/{name}_train.txt" for name in CHANNELS}
    assert files == signals | {"README.txt", "activity_labels.txt", "train/y_train.txt"}


def test_the_layouts_readme_says_what_the_data_are(model, samples, tmp_path):
    save_har_layout(samples, tmp_path / "har")
    readme = (tmp_path / "har" / "README.txt").read_text()
    assert readme.startswith("THESE DATA ARE SYNTHETIC")
    for part in ("Model: results/full/models/six-seed0.keras", "Seed: 3\n", "SITTING 2", "total_acc_x (g)"):
        assert part in readme
    assert "none continues another" in readme and "Volunteers: none" in readme
    continued = sample(model, 1, windows=2, prefix=np.ones((2, 9, 6)))
    save_har_layout(continued, tmp_path / "har")
    readme = (tmp_path / "har" / "README.txt").read_text()
    assert "each continues 9 samples of a given window" in readme and "Windows: WALKING 2\n" in readme
    assert [path.name for path in tmp_path.iterdir()] == ["har"]


def test_a_folder_of_other_data_stays_as_it_is(samples, tmp_path):
    (tmp_path / "README.txt").write_text("Human Activity Recognition Using Smartphones Dataset")
    with pytest.raises(ValueError, match="is no folder of synthetic data: choose another"):
        save_har_layout(samples, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.txt"]


@pytest.mark.parametrize("name", ["train/my_notes.txt", "test/y_test.txt", "backup/y_train.txt", ".notes"])
def test_a_file_of_somebody_elses_among_the_data_is_not_deleted(samples, tmp_path, name):
    save_har_layout(samples, tmp_path / "har")
    save_har_layout(samples, tmp_path / "har")
    note = tmp_path / "har" / name
    note.parent.mkdir(exist_ok=True)
    note.write_text("keep me")
    with pytest.raises(ValueError, match="is no folder of synthetic data: choose another"):
        save_har_layout(samples, tmp_path / "har")
    assert note.read_text() == "keep me" and [path.name for path in tmp_path.iterdir()] == ["har"]


def test_a_layout_that_fails_half_way_leaves_the_earlier_one(samples, tmp_path, monkeypatch):
    save_har_layout(samples, tmp_path / "har")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.txt")}

    def full_disk(path, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic.Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_har_layout(samples | {"activity": samples["activity"] * 0 + 6}, tmp_path / "har")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.txt")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["har"]


def test_the_layout_takes_windows_of_128_samples(model, tmp_path):
    with pytest.raises(ValueError, match="windows of 64 samples: .* seconds=2.56"):
        save_har_layout(sample(model, windows=1, seconds=1.28), tmp_path / "har")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def peopled(root, model):
    """The model with styles of three people beside it."""
    x, label = sample_windows(model["generator"], model["whitening"], dict.fromkeys(range(1, 7), 24), 128, 0)
    x[::3] *= 1.5
    styles = fit_styles(x, label, np.tile([1, 2, 3], 48))
    path = root / "results" / "full" / "models" / "six-people.npz"
    np.savez(path, **styles)
    yield load_model()
    path.unlink()


def test_synthetic_volunteers_have_numbers_and_windows_of_every_activity(peopled, model, tmp_path):
    drawn = sample(peopled, ["WALKING", "LAYING"], windows=3, people=4, seed=1)
    assert drawn["x"].shape == (24, 128, 6) and np.isfinite(drawn["x"]).all()
    assert drawn["subject"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4] * 2
    assert drawn["activity"].tolist() == [1] * 12 + [6] * 12
    again = sample(peopled, ["WALKING", "LAYING"], windows=3, people=4, seed=1)
    np.testing.assert_array_equal(drawn["x"], again["x"])
    alone = sample(peopled, ["WALKING", "LAYING"], windows=12, seed=1)
    assert (drawn["x"] != alone["x"]).any(axis=(1, 2)).all() and "subject" not in alone
    assert to_frame(drawn)["subject"].tolist() == np.repeat(drawn["subject"], 128).tolist()
    save_har_layout(drawn, tmp_path / "har")
    lines = (tmp_path / "har" / "train" / "subject_train.txt").read_text().splitlines()
    assert lines == [str(who) for who in drawn["subject"]]
    assert "Volunteers: 4, synthetic, too\n" in (tmp_path / "har" / "README.txt").read_text()
    save_npz(drawn, tmp_path / "people.npz")
    with np.load(tmp_path / "people.npz") as stored:
        assert stored["subject"].tolist() == drawn["subject"].tolist()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"people": 0}, "people=0: give a whole number of synthetic volunteers"),
        ({"people": 2.5}, "people=2.5"),
        ({"people": 2, "seconds": 5.12}, "volunteers have windows of 2.56 s"),
        ({"people": 2, "windows": 1, "prefix": np.ones((1, 9, 6))}, "volunteers have windows of 2.56 s"),
    ],
)
def test_volunteers_that_cannot_be_are_refused(peopled, how, message):
    with pytest.raises(ValueError, match=message):
        sample(peopled, **how)


def test_without_styles_there_are_no_volunteers(model):
    with pytest.raises(ValueError, match=r"six-seed0\.keras has no styles of people beside it: notebook 8f"):
        sample(model, people=2)


def test_damaged_styles_are_named(root, tmp_path):
    model = tmp_path / "six-seed0.keras"
    model.write_bytes((root / "results" / "full" / "models" / model.name).read_bytes())
    for content in (b"PK no zip", b"nothing", b""):
        (tmp_path / "six-people.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"six-people\.npz is damaged .*: run notebook 8f again"):
            load_model(model)
