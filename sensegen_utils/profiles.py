"""The three profiles and the experiments, as plain data: the one place where their numbers stand."""

PROFILES = {
    # Each notebook in under 30 s: shows that everything runs, its numbers mean nothing.
    "smoke": {
        "series_steps": 201,  # of the 7352 steps of the report's series
        "generator_epochs": 3,  # notebook 02
        "generator_seeds": 1,  # runs of notebook 02: SEED, SEED + 1, ...
        "judge_epochs": 2,  # notebook 03, each discriminator at most
        "judge_stride": 64,  # steps between two training sequences of notebook 03
        "rounds": 2,  # notebook 04, at most: Algorithm 1's T
        "discriminator_epochs_per_round": 2,  # report: 200
        "generator_epochs_per_round": 1,  # report: 100
    },
    # ./run_all.sh in minutes: Algorithm 1 with both epoch counts of a round divided by ten.
    "quick": {
        "series_steps": 7352,
        "generator_epochs": 51,
        "generator_seeds": 2,
        "judge_epochs": 60,
        "judge_stride": 8,
        "rounds": 3,
        "discriminator_epochs_per_round": 20,
        "generator_epochs_per_round": 10,
    },
    # The report's epochs, in hours.
    "full": {
        "series_steps": 7352,
        "generator_epochs": 1500,
        "generator_seeds": 3,
        "judge_epochs": 200,
        "judge_stride": 8,
        "rounds": 20,
        "discriminator_epochs_per_round": 200,
        "generator_epochs_per_round": 100,
    },
}

# Notebook 02: the run whose log was published with the report (spec, `1500-Gyro.ipynb`).
CURVE_RUN = {"signal": "body_gyro_x", "lstm_units": 256, "lstm_layers": 1}

# Notebook 04, once each: the runs that the report's loss table names (report, "Sample Results").
EXPERIMENTS = (
    {"signal": "total_acc_x", "lstm_units": 256, "lstm_layers": 3, "epochs": 2000},
    {"signal": "body_gyro_x", "lstm_units": 256, "lstm_layers": 3, "epochs": 1500},
    {"signal": "total_acc_x", "lstm_units": 128, "lstm_layers": 3, "epochs": 1500},
)


def get_profile(name):
    """Return the numbers of a profile; raise ValueError, which lists the profiles, for an unknown name."""
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose one of: {', '.join(PROFILES)}")
    return PROFILES[name]


def run_name(signal, lstm_units, lstm_layers, seed):
    """Name of one training run, for its checkpoint, samples and record."""
    return f"{signal}-{lstm_layers}x{lstm_units}-seed{seed}"


if __name__ == "__main__":  # for run_all.sh: the independent jobs of a profile, one a line, long ones first
    import sys

    for experiment in EXPERIMENTS:
        print("experiment", experiment["signal"], experiment["lstm_units"], experiment["lstm_layers"])
    for seed in range(1, get_profile(sys.argv[1])["generator_seeds"]):
        print("generator", seed)
