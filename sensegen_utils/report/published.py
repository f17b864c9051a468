"""What the report, and the public code behind it, state: every number with its source, nothing of ours."""

# Report, "Data Preparation".
DATA_SHAPES = {"total_acc_x": ((7352, 128), (2947, 128)), "body_gyro_x": ((7352, 128), (2947, 128))}
SENSORS = {"total_acc_x": "accelerometer", "body_gyro_x": "gyroscope"}  # what the report calls them

# Report, "Generative Model" and "Discriminative RNN Model": layer, parameters.
GENERATOR_LAYERS = (
    ("lstm (LSTM)", 264_192), ("lstm_1 (LSTM)", 525_312), ("lstm_2 (LSTM)", 525_312),
    ("DENSE1 (Dense)", 32_896), ("DENSE2 (Dense)", 9_288), ("dense (Dense)", 1_752),
)  # fmt: skip
DISCRIMINATOR_LAYERS = (("lstm (LSTM)", 66_560), ("DENSE1 (Dense)", 4_128), ("dense (Dense)", 33))
GENERATOR_TOTAL, DISCRIMINATOR_TOTAL = 1_358_752, 70_721

# Report, "Generative Model Training Parameters" and "Discriminative Model Training Parameters".
LEARNING_RATE = 3e-4
GENERATOR_BATCH = 4
DISCRIMINATOR_BATCH = 128
EPOCHS = 1500
CHECKPOINTS = (500, 1000, 1500, 2000)  # report, "Sample Results": the epochs of the loss table
CHUNK_STEPS = 20  # not in the report: public code, `1500-Gyro.ipynb`
GENERATOR_EPOCHS_PER_ROUND = 100  # report, Algorithm 1
ROUND = {"d_epochs_per_round": 200, "g_epochs_per_round": GENERATOR_EPOCHS_PER_ROUND}

# Report, "Sample Results" (None: NaN). Where a number really comes from, and its epoch there, is what the
# public code and its logs show: https://github.com/freeloki/CSE555-VirtualSensorGenerator
_COLUMNS = ("epoch", "signal", "lstm_units", "generative", "generative_epoch", "generative_origin",
            "discriminative", "discriminative_epoch", "discriminative_origin")  # fmt: skip
LOSS_TABLE = tuple(dict(zip(_COLUMNS, row, strict=True)) for row in (
    (500, "total_acc_x", 256, -1.9754791, 500, "gyroscope, one layer of 256, epoch 500",
     0.0021356253, 537, "next-step predictor, gyroscope, epoch 537"),
    (1000, "total_acc_x", 256, -2.848514, 1000, "gyroscope, one layer of 256, epoch 1000",
     0.0017647267, 524, "next-step predictor, gyroscope, epoch 524"),
    (1500, "total_acc_x", 128, -3.2386086, 1499, "gyroscope, one layer of 256, epoch 1499",
     0.0113765512, None, "nowhere in the public code"),
    (2000, "total_acc_x", 256, None, None, "gyroscope, one layer, NaN from epoch 1515 on",
     None, None, "no discriminator in the public code"),
    (1500, "body_gyro_x", 256, -3.6386086, None, "nowhere in the code; -3.2386086 with one digit changed",
     0.001872581, None, "nowhere in the public code"),
))  # fmt: skip
PAPER_NLL, PAPER_EPOCHS = -6, 25_000  # report, "Problems"
NAN_NLL, NAN_EPOCHS = -2.5, 1600  # report, "Problems": "NLL: ~ -2.5" after "~1600", "after that NaN"
PAPER_ACCURACY = 0.5  # paper: D ends near it

# Public code, log of `1500-Gyro.ipynb`: epoch (from 0), mean training NLL of the epoch in nats per step.
CURVE = {
    0: 0.481, 50: -0.321, 100: -0.448, 150: -0.615, 200: -0.874, 250: -1.142, 500: -1.9754791, 750: -2.477,
    1000: -2.848514, 1250: -3.031, 1499: -3.2386086,
}  # fmt: skip

# Public code, models/: the notebook that saved checkpoints of this name, its log at their epochs and up to
# five epochs on, and the first epoch that it logs as NaN. `Model1500.ipynb`, too, saved as "mdnmodel".
CODE = "https://github.com/freeloki/CSE555-VirtualSensorGenerator"
CHECKPOINTS_OF = {
    "mdngyromodel": {"source": "1500-Gyro.ipynb", "nan_from": None, "log": {
        1099: -2.9345005, 1100: -2.9162033, 1101: -2.9772518, 1102: -2.943006, 1103: -2.9573267,
        1104: -2.926986, 1199: -3.0495574, 1200: -2.9813306, 1201: -2.9232457, 1202: -3.020904,
        1203: -3.039566, 1204: -3.012676, 1299: -3.0560675, 1300: -3.063746, 1301: -3.1150208,
        1302: -3.056135, 1303: -3.0217738, 1304: -3.0816329, 1399: -3.1343513, 1400: -3.1286867,
        1401: -3.141417, 1402: -3.046155, 1403: -3.054742, 1404: -3.2403724, 1499: -3.2386086}},
    "mdnmodel": {"source": "1599NanModel.ipynb", "nan_from": 1515, "log": {
        1099: -2.3873756, 1100: -2.31224, 1101: -2.3210826, 1102: -2.466055, 1103: -2.4803443,
        1104: -2.3914695}},
}  # fmt: skip

# Public code: next-step predictors trained by mean squared error, from whose logs the "discriminative
# losses" come. The shapes are printed in the logs; the signal is our inference (notebook 03b).
PREDICTORS = (
    {"source": "VirtualSensorGenerator.ipynb, first version", "signal": "body_gyro_x", "series": 24,
     "chunk_steps": 20, "lstm_units": 256, "dense_units": 128, "learning_rate": 1e-3,
     "log": {0: 0.1847096, 20: 0.16945302, 50: 0.11092292, 100: 0.025943475, 200: 0.010745984,
             300: 0.0067250486, 400: 0.0031109676, 500: 0.0018002227, 524: 0.0017647267, 537: 0.0021356253}},
    {"source": "Rnn_Another.ipynb", "signal": "total_acc_x", "series": 4,
     "chunk_steps": 10, "lstm_units": 128, "dense_units": 32, "learning_rate": 1e-3,
     "log": {0: 0.08911255, 20: 0.04806431, 50: 0.03546126, 100: 0.017998256, 200: 0.013105531,
             300: 0.010450293, 335: 0.0113682775, 400: 0.012321941, 500: 0.0101856245, 537: 0.010332561,
             800: 0.008996723, 978: 0.0104876915}},
)  # fmt: skip

# What others report for generators of phone motion: TSGBench, figures/benchmark_results.png, read off to 0.01
# (github.com/YihaoAng/TSGBench, 3d090e5), and IMUEval, README.md (github.com/H-IAAC/synth-imu-eval, 7f9a791).
OTHERS = (
    {"data": "HAPT, 128 x 6, scaled to [0, 1], windows divided by chance",
     "classifier": "a GRU of 3 units, as TimeGAN's",
     "scores": {"LS4 (state space)": "0.17", "RTSGAN (GAN)": "0.21", "TimeVQVAE (VAE, transformer)": "0.33",
                "Fourier Flow (flow)": "0.39", "TimeVAE (VAE)": "0.41", "TimeGAN (GAN)": "0.48"}},
    {"data": "DAGHAR, scaled by activity", "classifier": "a perceptron of 2 layers",
     "scores": {"DiffWave (diffusion)": "0.126", "BioDiffusion (diffusion)": "0.226",
                "Diffusion-TS (diffusion)": "0.354", "TTS-GAN (GAN)": "0.467"}},
)  # fmt: skip
