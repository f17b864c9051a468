import time
import zipfile

import numpy as np
import pandas as pd
import pytest
from scipy.signal import butter, hilbert, sosfiltfilt, welch
from scipy.stats import kurtosis

from own_sensor import PARTS, cut_windows, read_sensor, split_by_group
from own_sensor.example import CHANNELS, INNER_RACE, PAUSE, STATES, simulate_vibration
from sensegen_utils import files
from sensegen_utils.data import layout
from sensegen_utils.data.recordings import recordings
from sensegen_utils.data.simulated import simulate_har
from sensegen_utils.data.uci_har import load_har, validate

RATE = 400  # Hz, of the vibration


# Motion, in the archive's layout


@pytest.fixture(scope="module")
def simulated(simulated_archive, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "DATA", tmp_path_factory.mktemp("data"))
        return load_har(simulated_archive)


def test_it_is_labelled_simulated_and_valid(simulated):
    report = validate(simulated)
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
        assert set(archive.namelist()) == set(layout.EXPECTED)
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


# Vibration


@pytest.fixture(scope="module")
def vibration():
    return simulate_vibration()


def spectrum(signal):
    return welch(np.asarray(signal), RATE, nperseg=4000)


def speed_of(signal):
    """Turns a second, by the highest line at the speeds that machines have."""
    rates, power = spectrum(signal)
    between = (rates > 8) & (rates < 18)
    return rates[between][power[between].argmax()]


def line(signal, rate):
    """Power about a rate relative to the power beside it."""
    rates, power = spectrum(signal)
    near, beside = np.abs(rates / rate - 1) < 0.03, np.abs(rates / rate - 1) < 0.2
    return power[near].max() / np.median(power[beside])


def each(vibration, state):
    for _, table in vibration[vibration["state"] == state].groupby("machine"):
        yield table


def test_one_seed_gives_one_table(vibration):
    pd.testing.assert_frame_equal(vibration, simulate_vibration())
    assert not vibration.equals(simulate_vibration(seed=1))
    # More machines are more machines, not others.
    pd.testing.assert_frame_equal(vibration[vibration["machine"] <= 2], simulate_vibration(machines=2))


def test_each_machine_is_measured_in_each_state(vibration):
    assert list(vibration) == ["time", *CHANNELS, "state", "machine"]
    counts = vibration.groupby(["machine", "state"]).size()
    assert len(counts) == 6 * 3
    assert set(counts) == {20 * RATE}
    steps = vibration.groupby("machine")["time"].diff().dropna()
    assert steps.min() == pytest.approx(1 / RATE)
    assert (steps > PAUSE).sum() == 6 * 2
    assert np.isfinite(vibration[list(CHANNELS)].to_numpy()).all()


def test_the_shafts_harmonics_stand_out(vibration):
    for state in ("idle", "run"):
        for table in each(vibration, state):
            for channel in CHANNELS:
                speed = speed_of(table[channel])
                assert all(line(table[channel], times * speed) > 10 for times in (1, 2, 3))


def test_machines_differ_in_speed_and_idle_is_slower_and_weaker(vibration):
    speeds = [
        (speed_of(idle["vertical_acc"]), speed_of(run["vertical_acc"]))
        for idle, run in zip(each(vibration, "idle"), each(vibration, "run"), strict=True)
    ]
    assert all(idle < 0.8 * run for idle, run in speeds)
    assert np.ptp([run for _, run in speeds]) > 1
    spread = vibration.groupby("state")[list(CHANNELS)].std()
    assert (spread.loc["idle"] < 0.4 * spread.loc["run"]).all()
    assert (spread.loc["run"] < spread.loc["worn bearing"]).all()


def test_unbalance_turns_so_the_directions_are_a_quarter_turn_apart(vibration):
    for table in each(vibration, "run"):
        narrow = butter(2, (10, 20), "bandpass", fs=RATE, output="sos")
        vertical, horizontal = (hilbert(sosfiltfilt(narrow, table[channel])) for channel in CHANNELS)
        assert 0 < np.angle((vertical * horizontal.conj()).mean()) < np.pi


def test_a_worn_bearing_is_told_by_its_kurtosis(vibration):
    for run, worn in zip(each(vibration, "run"), each(vibration, "worn bearing"), strict=True):
        low, high = (kurtosis(table["vertical_acc"], fisher=False) for table in (run, worn))
        assert low < 3 < high  # 1.5 is a sine, 3 is Gaussian noise
        # Above the harmonics both directions show the blows.
        above = butter(4, 70, "highpass", fs=RATE, output="sos")
        for channel in CHANNELS:
            low, high = (kurtosis(sosfiltfilt(above, table[channel]), fisher=False) for table in (run, worn))
            assert low < 3.5 < 4 < high


def test_the_envelope_has_the_lines_of_the_inner_race(vibration):
    for worn in each(vibration, "worn bearing"):
        speed = speed_of(worn["vertical_acc"])
        above = butter(4, 70, "highpass", fs=RATE, output="sos")
        envelope = np.abs(hilbert(sosfiltfilt(above, worn["vertical_acc"])))
        assert line(envelope, speed) > 10  # the load on the pit, once a turn
        assert line(envelope, INNER_RACE * speed) > 5


def test_a_short_memory_predicts_most_of_it(vibration):
    for state, left in (("idle", 0.4), ("run", 0.25), ("worn bearing", 0.5)):
        for table in each(vibration, state):
            signal = table["vertical_acc"].to_numpy()
            past = np.lib.stride_tricks.sliding_window_view(signal, 33)
            weights = np.linalg.lstsq(past[:, :32], past[:, 32], rcond=None)[0]
            assert (past[:, 32] - past[:, :32] @ weights).std() < left * signal.std()


def test_it_goes_through_a_file_into_windows_of_three_parts(tmp_path):
    vibration = simulate_vibration(seconds=6)
    path = tmp_path / "vibration.csv"
    vibration.to_csv(path, index=False)
    sensor = read_sensor(path, time="time", label="state", group="machine")
    assert sensor["rate"] == RATE
    assert sensor["channels"] == list(CHANNELS)
    assert np.array_equal(sensor["values"], vibration[list(CHANNELS)].to_numpy(np.float32))
    assert len(sensor["pieces"]) == 6 * 3
    assert sensor["gaps"] == []
    parts = split_by_group(cut_windows(sensor, 128))
    assert parts["label_names"] == sorted(STATES)
    assert [len(np.unique(parts[name]["group"])) for name in PARTS] == [4, 1, 1]
    for name in PARTS:
        assert np.unique(parts[name]["label"]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("wrong", [{"machines": 0}, {"seconds": 2}, {"rate": 200}])
def test_what_cannot_be_simulated_is_refused(wrong):
    with pytest.raises(ValueError, match="at least one machine"):
        simulate_vibration(**wrong)
