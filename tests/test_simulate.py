import time
import zipfile

import numpy as np
import pytest

from sensegen_utils import har, paths
from sensegen_utils.series import recordings
from sensegen_utils.simulate import simulate_har


@pytest.fixture(scope="module")
def simulated(simulated_archive, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "DATA", tmp_path_factory.mktemp("data"))
        return har.load_har(simulated_archive)


def test_it_is_labelled_simulated_and_valid(simulated):
    report = har.validate(simulated)
    assert simulated["kind"] == "simulated"
    assert 1400 < report["train"]["windows"] < 1800
    assert 450 < report["test"]["windows"] < 700


def test_one_seed_gives_one_archive(tmp_path):
    small = {"train_subjects": 1, "test_subjects": 1, "repeats": 1}
    first, again, other = (
        simulate_har(tmp_path / f"{name}.zip", seed=seed, **small).read_bytes()
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again != other


def test_it_has_the_files_and_the_text_format_of_the_archive(simulated_archive):
    with zipfile.ZipFile(simulated_archive) as archive:
        assert set(archive.namelist()) == set(har.EXPECTED)
        text = archive.read("UCI HAR Dataset/test/Inertial Signals/body_gyro_y_test.txt")
    lines = text.split(b"\r\n")
    assert {len(line) for line in lines} == {128 * 16, 0}
    for field in (lines[5][start : start + 16] for start in range(0, 128 * 16, 16)):
        mantissa, exponent = field.split(b"e")
        assert len(exponent) == 4
        assert len(mantissa.split(b".")[1]) == 7


def test_subjects_are_the_archives_and_in_one_part_each(simulated):
    assert np.unique(simulated["train"]["subject"]).tolist() == [1, 3, 5, 6, 7, 8]
    assert np.unique(simulated["test"]["subject"]).tolist() == [2, 4]


def test_total_acceleration_is_gravity_plus_body_acceleration(simulated):
    for part in ("train", "test"):
        for recording in recordings(simulated[part]):
            for axis in "xyz":
                signals = recording["signals"]
                gravity = signals[f"total_acc_{axis}"] - signals[f"body_acc_{axis}"]
                assert np.ptp(gravity) < 1e-5


def test_gait_is_at_the_step_rates_of_people_and_rest_is_still(simulated):
    for recording in recordings(simulated["train"]):
        vertical = recording["signals"]["body_acc_x"]
        if recording["activity"] >= 4:
            assert vertical.std() < 0.02
            continue
        assert vertical.std() > 0.1
        spectrum = np.abs(np.fft.rfft(vertical)) ** 2
        rates = np.fft.rfftfreq(len(vertical), 1 / 50)
        # 1.5 to 2.1 Hz in walking, 0.85 of it upstairs; the stride is at half of it, the impacts above.
        assert spectrum[(rates > 0.55) & (rates < 10)].sum() > 0.95 * spectrum.sum()


def test_going_downstairs_is_the_hardest_and_lying_turns_gravity(simulated):
    train = simulated["train"]
    strength = [train["signals"]["body_acc_x"][train["activity"] == label].std() for label in range(1, 7)]
    assert np.argmax(strength) == 2
    upright = train["signals"]["total_acc_x"][train["activity"] == 5].mean()
    lying = train["signals"]["total_acc_x"][train["activity"] == 6].mean()
    assert upright > 0.8 > 0.4 > lying


def test_it_is_quick(tmp_path):
    start = time.process_time()
    simulate_har(tmp_path / "har.zip")
    assert time.process_time() - start < 15  # about 2 s on two cores of 2024
