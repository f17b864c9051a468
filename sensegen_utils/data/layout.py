"""How the UCI HAR archive is laid out: its files, signals, units, activities, volunteers and text format.

Source: D. Anguita et al., A Public Domain Dataset for Human Activity Recognition Using Smartphones, ESANN
2013; UCI archive 240, CC BY 4.0.
"""

from pathlib import Path

FOLDER = "UCI HAR Dataset"
SIGNALS = tuple(f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
UNITS = {signal: "rad/s" if "gyro" in signal else "g" for signal in SIGNALS}
LIMITS = {"g": (-20, 20), "rad/s": (-50, 50)}  # generous: no phone of 2012 measured beyond them
# One count of the phone's sensors, +-2 g in 12 bits and +-500 degrees a second in 16 bits.
RESOLUTION = {"g": 4 / 2**12, "rad/s": 2 * 8.727 / 2**16}
RATE = 50  # Hz
WINDOW = 128  # samples, 2.56 s
STEP = 64  # samples, half a window: where the next window starts
_NAMES = ("WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING")
ACTIVITIES = dict(enumerate(_NAMES, 1))  # {code: name}
PARTS = {"train": (7352, 21), "test": (2947, 9)}  # windows, volunteers
SUBJECTS = {  # the archive's own division by volunteer
    "train": (1, 3, 5, 6, 7, 8, 11, 14, 15, 16, 17, 19, 21, 22, 23, 25, 26, 27, 28, 29, 30),
    "test": (2, 4, 9, 10, 12, 13, 18, 20, 24),
}
_SUMS = Path(__file__).with_name("uci_har_sha256.txt").read_text("utf-8")
EXPECTED = dict(reversed(line.split("  ")) for line in _SUMS.splitlines())  # {name: sha256}, 26 files
SIMULATED_MARKER = "THESE DATA ARE SIMULATED: no volunteer was measured."
SIMULATED_NAME = "simulated-har.zip"


def check_signal(name):
    """Return ``name``; raise ValueError, which lists the nine signals, if there is no such signal."""
    if name not in SIGNALS:
        raise ValueError(f"Unknown signal {name!r}. The archive has these nine: {', '.join(SIGNALS)}.")
    return name


def archive_text(values):
    """Return values (n, columns) as text in the archive's format: one row a line, exponents of 3 digits."""
    line = "%15.7e" * values.shape[1] + "\r\n"
    return (line * len(values) % tuple(values.ravel().tolist())).replace("e+", "e+0").replace("e-", "e-0")
