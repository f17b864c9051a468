"""The three profiles and the experiments, as plain data: the one place where their numbers stand."""

# UCI HAR's own division by volunteer; four of its training volunteers choose when training has been enough.
SUBJECTS = {
    "train": (1, 3, 5, 6, 8, 11, 14, 15, 16, 17, 19, 21, 23, 25, 27, 28, 29),
    "validation": (7, 22, 26, 30),
    "test": (2, 4, 9, 10, 12, 13, 18, 20, 24),
}

# Notebook 08: what G is compared with. The last four are broken on purpose.
# Notebook 08: generators broken on purpose, functions of metrics.py, and all contenders.
BROKEN = ("white noise", "shuffled time", "class mean", "copy of training")
CONTENDERS = ("G", "VAR", "block bootstrap", *BROKEN)

PROFILES = {
    # Each notebook in about a minute at most: shows that everything runs, its numbers mean nothing.
    "smoke": {
        "series_steps": 201,  # of the 7352 steps of the report's series
        "generator_epochs": 3,  # notebook 02
        "generator_seeds": 1,  # runs of notebook 02: SEED, SEED + 1, ...
        "held_out_every": 1,  # epochs of notebook 02 between two measurements of the held-out NLL
        "failure_epochs": 3,  # notebook 02b, at most, for each seed
        "failure_seeds": 1,  # notebook 02b, at most
        "beyond_epochs": 3,  # notebook 02 with BEYOND_FLOOR; 0: not in this profile
        "published_start_epochs": 3,  # notebook 02 with PUBLISHED_START_RUN; 0: not in this profile
        "predictor_epochs": 2,  # notebook 03b
        "judge_epochs": 2,  # notebook 03, each discriminator at most
        "judge_stride": 64,  # steps between two training sequences of notebook 03
        "rounds": 2,  # notebook 04, at most: Algorithm 1's T
        "discriminator_epochs_per_round": 2,  # report: 200
        "generator_epochs_per_round": 1,  # report: 100
        "subjects": {"train": (1, 3, 5), "validation": (7, 8), "test": (2, 4)},  # notebooks 07 to 08
        "window_epochs": 2,  # notebook 07
        "window_seeds": 1,  # runs of notebook 07 for each model: SEED, SEED + 1, ...
        "ablation_epochs": 2,  # notebook 07b, each variant
        "ablation_variants": 2,  # the first of them
        "ablation_seeds": 1,
        "judge_networks_epochs": 2,  # notebook 08: each of the judges that are networks, at most
        "timegan_iterations": 20,  # notebook 08; as published: 2000, and 2.5 times as many for prediction
        "judged_windows": {"train": 240, "test": 120},  # notebook 08, at most
        "contenders": ("G", "copy of training"),
        "dtw_windows": 5,
        "real_sizes": (60, 120),  # real windows beside which notebook 08 puts generated ones
        "synthetic_shares": (0, 1),  # as many times as many
        "mixing_seeds": 1,
        "sensor_epochs": 2,  # notebook 09
        "machines": 15,  # notebook 09, without a sensor of one's own
    },
    # ./run_all.sh in minutes: Algorithm 1 with both epoch counts of a round divided by twenty.
    "quick": {
        "series_steps": 7352,
        "generator_epochs": 51,
        "generator_seeds": 1,
        "held_out_every": 10,
        "failure_epochs": 10,
        "failure_seeds": 1,
        "beyond_epochs": 0,
        "published_start_epochs": 0,
        "predictor_epochs": 5,
        "judge_epochs": 60,
        "judge_stride": 8,
        "rounds": 2,
        "discriminator_epochs_per_round": 10,
        "generator_epochs_per_round": 5,
        "subjects": SUBJECTS,
        "window_epochs": 6,
        "window_seeds": 1,
        "ablation_epochs": 3,
        "ablation_variants": 4,
        "ablation_seeds": 1,
        "judge_networks_epochs": 8,
        "timegan_iterations": 100,
        "judged_windows": {"train": 600, "test": 400},
        "contenders": ("G", "VAR", "block bootstrap", "shuffled time", "copy of training"),
        "dtw_windows": 30,
        "real_sizes": (60, 200, 600),
        "synthetic_shares": (0, 1, 4),
        "mixing_seeds": 2,
        "sensor_epochs": 8,
        "machines": 30,
    },
    # The report's epochs, in hours.
    "full": {
        "series_steps": 7352,
        "generator_epochs": 2000,
        "generator_seeds": 3,
        "held_out_every": 10,
        "failure_epochs": 2000,
        "failure_seeds": 4,
        "beyond_epochs": 4000,
        "published_start_epochs": 250,
        "predictor_epochs": 538,
        "judge_epochs": 200,
        "judge_stride": 8,
        "rounds": 20,
        "discriminator_epochs_per_round": 200,
        "generator_epochs_per_round": 100,
        "subjects": SUBJECTS,
        "window_epochs": 60,
        "window_seeds": 3,
        "ablation_epochs": 15,
        "ablation_variants": 12,
        "ablation_seeds": 3,
        "judge_networks_epochs": 30,
        "timegan_iterations": 2000,
        "judged_windows": {"train": None, "test": None},
        "contenders": CONTENDERS,
        "dtw_windows": 200,
        "real_sizes": (60, 120, 300, 600, 1200, 3000, 7352),
        "synthetic_shares": (0, 0.5, 1, 2, 4),
        "mixing_seeds": 5,
        "sensor_epochs": 30,
        "machines": 60,
    },
}

SIGMA_FLOOR = 1e-3  # ours: about one count of a 12-bit sensor at +-2 g; in the signal's unit (g or rad/s)

BEYOND_FLOOR = 1e-4  # of the run that goes beyond the report: with SIGMA_FLOOR an NLL of -6 is out of reach

# Notebook 02: the run whose log was published with the report (spec, `1500-Gyro.ipynb`).
CURVE_RUN = {"signal": "body_gyro_x", "lstm_units": 256, "lstm_layers": 1}

# Notebook 02: the gyroscope with three layers once more, started as the published code does and not clipped,
# since with the clipped gradient, which helps the accelerometer, it learns next to nothing.
PUBLISHED_START_RUN = {"signal": "body_gyro_x", "lstm_units": 256, "lstm_layers": 3}

# Notebook 04, once each: the runs that the report's loss table names (report, "Sample Results").
EXPERIMENTS = (
    {"signal": "total_acc_x", "lstm_units": 256, "lstm_layers": 3, "epochs": 2000},
    {"signal": "body_gyro_x", "lstm_units": 256, "lstm_layers": 3, "epochs": 1500},
    {"signal": "total_acc_x", "lstm_units": 128, "lstm_layers": 3, "epochs": 1500},
)

# Notebook 07: the models on the true time axis.
WINDOW_MODELS = {
    "one": {"signals": ("total_acc_x",), "lstm_units": 128, "dropout": 0.0},
    "six": {
        "signals": tuple(f"{kind}_{axis}" for kind in ("total_acc", "body_gyro") for axis in "xyz"),
        "lstm_units": 256,
        "dropout": 0.0,
    },
}

# One count of the phone's sensors, +-2 g in 12 bits and +-500 degrees a second in 16: what a bit counts.
RESOLUTION = {"g": 4 / 2**12, "rad/s": 2 * 8.727 / 2**16}


def get_profile(name):
    """Return the numbers of a profile; raise ValueError, which lists the profiles, for an unknown name."""
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose one of: {', '.join(PROFILES)}")
    return PROFILES[name]


def run_name(signal, lstm_units, lstm_layers, seed, sigma_floor=SIGMA_FLOOR, published_start=False):
    """Name of one training run, for its checkpoint, samples and record; names what is not the default."""
    floor = "" if sigma_floor == SIGMA_FLOOR else f"-floor{sigma_floor:g}"
    start = "-published-start" if published_start else ""
    return f"{signal}-{lstm_layers}x{lstm_units}-seed{seed}{floor}{start}"


if __name__ == "__main__":  # for run_all.sh: the independent jobs of a profile, one a line, long ones first
    import sys

    for experiment in EXPERIMENTS:
        print("experiment", experiment["signal"], experiment["lstm_units"], experiment["lstm_layers"])
    profile = get_profile(sys.argv[1])
    if profile["beyond_epochs"]:
        print("beyond", BEYOND_FLOOR, profile["beyond_epochs"])
    if profile["published_start_epochs"]:
        print("published_start", PUBLISHED_START_RUN["lstm_layers"], profile["published_start_epochs"])
    print("failure")
    print("predictor")
    for seed in range(1, profile["generator_seeds"]):
        print("generator", seed)
    for seed in range(profile["window_seeds"]):
        for name in WINDOW_MODELS:
            print("windows", name, seed)
    print("ablation")
