"""What the report, and the public code behind it, state: every number with its source, nothing of ours."""

# Report, "Data Preparation".
DATA_SHAPES = {"total_acc_x": ((7352, 128), (2947, 128)), "body_gyro_x": ((7352, 128), (2947, 128))}

# Report, "Generative Model" and "Discriminative RNN Model": layer, parameters.
GENERATOR_LAYERS = (
    ("lstm (LSTM)", 264_192),
    ("lstm_1 (LSTM)", 525_312),
    ("lstm_2 (LSTM)", 525_312),
    ("DENSE1 (Dense)", 32_896),
    ("DENSE2 (Dense)", 9_288),
    ("dense (Dense)", 1_752),
)
GENERATOR_TOTAL = 1_358_752
DISCRIMINATOR_LAYERS = (("lstm (LSTM)", 66_560), ("DENSE1 (Dense)", 4_128), ("dense (Dense)", 33))
DISCRIMINATOR_TOTAL = 70_721

# Report, "Generative Model Training Parameters" and "Discriminative Model Training Parameters".
LEARNING_RATE = 3e-4
GENERATOR_BATCH = 4
DISCRIMINATOR_BATCH = 128
EPOCHS = 1500
CHECKPOINTS = (500, 1000, 1500, 2000)  # report, "Sample Results": the epochs of the loss table
CHUNK_STEPS = 20  # not in the report: public code, `1500-Gyro.ipynb`

# Report, Algorithm 1.
GENERATOR_EPOCHS_PER_ROUND = 100

# Report, "Sample Results" (None: NaN). The origins are what the public code and its logs show (spec).
LOSS_TABLE = (
    {
        "epoch": 500, "signal": "total_acc_x", "lstm_units": 256,
        "generative": -1.9754791, "generative_epoch": 500,
        "generative_origin": "epoch 500 of the one-layer gyroscope run",
        "discriminative": 0.0021356253, "discriminative_epoch": 537,
        "discriminative_origin": "epoch 537 of a next-step predictor",
    },
    {
        "epoch": 1000, "signal": "total_acc_x", "lstm_units": 256,
        "generative": -2.848514, "generative_epoch": 1000,
        "generative_origin": "epoch 1000 of the one-layer gyroscope run",
        "discriminative": 0.0017647267, "discriminative_epoch": 524,
        "discriminative_origin": "epoch 524 of a next-step predictor",
    },
    {
        "epoch": 1500, "signal": "total_acc_x", "lstm_units": 128,
        "generative": -3.2386086, "generative_epoch": 1499,
        "generative_origin": "epoch 1499 of the one-layer gyroscope run, 256 units",
        "discriminative": 0.0113765512, "discriminative_epoch": None,
        "discriminative_origin": "nowhere in the public code",
    },
    {
        "epoch": 2000, "signal": "total_acc_x", "lstm_units": 256,
        "generative": None, "generative_epoch": None,
        "generative_origin": "NaN from epoch 1515 on in a one-layer run",
        "discriminative": None, "discriminative_epoch": None,
        "discriminative_origin": "no discriminator in the public code",
    },
    {
        "epoch": 1500, "signal": "body_gyro_x", "lstm_units": 256,
        "generative": -3.6386086, "generative_epoch": None,
        "generative_origin": "nowhere; -3.2386086 with one digit changed",
        "discriminative": 0.001872581, "discriminative_epoch": None,
        "discriminative_origin": "nowhere in the public code",
    },
)  # fmt: skip
PAPER_NLL, PAPER_EPOCHS = -6, 25_000  # report, "Problems"
PAPER_ACCURACY = 0.5  # paper: D ends near it

# Public code, log of `1500-Gyro.ipynb`: epoch (from 0), mean training NLL of the epoch in nats per step.
CURVE = {
    0: 0.481, 50: -0.321, 100: -0.448, 150: -0.615, 200: -0.874, 250: -1.142, 500: -1.975, 750: -2.477,
    1000: -2.849, 1250: -3.031, 1499: -3.239,
}  # fmt: skip

# Public code: next-step predictors trained by mean squared error, from whose logs the "discriminative
# losses" come. The shapes are printed in the logs; the signal is our inference (notebook 03b).
PREDICTORS = (
    {
        "source": "VirtualSensorGenerator.ipynb, first version",
        "signal": "body_gyro_x", "series": 24, "chunk_steps": 20, "lstm_units": 256, "dense_units": 128,
        "learning_rate": 1e-3,
        "log": {
            0: 0.1847096, 20: 0.16945302, 50: 0.11092292, 100: 0.025943475, 200: 0.010745984,
            300: 0.0067250486, 400: 0.0031109676, 500: 0.0018002227, 524: 0.0017647267, 537: 0.0021356253,
        },
    },
    {
        "source": "Rnn_Another.ipynb",
        "signal": "total_acc_x", "series": 4, "chunk_steps": 10, "lstm_units": 128, "dense_units": 32,
        "learning_rate": 1e-3,
        "log": {
            0: 0.08911255, 20: 0.04806431, 50: 0.03546126, 100: 0.017998256, 200: 0.013105531,
            300: 0.010450293, 335: 0.0113682775, 400: 0.012321941, 500: 0.0101856245, 537: 0.010332561,
            800: 0.008996723, 978: 0.0104876915,
        },
    },
)  # fmt: skip
