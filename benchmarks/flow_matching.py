"""A recent baseline: flow matching with a transformer, which draws a whole window at once.

Two commands, since the second may run on a machine with a GPU, which needs PyTorch but not the archive:

* ``python -m benchmarks.flow_matching pack six six.npz`` writes what there is to learn from: UCI HAR's
  recordings of the training and validation volunteers, and how many windows of each activity are wanted.
* ``python -m benchmarks.flow_matching learn six.npz 08_flow-matching-six-seed0.npz --minutes 4`` trains
  and draws. The file belongs in ``results/PROFILE/samples/``, where notebooks 8, 8b, 8c, 8e find it.

The network learns the velocity that carries Gaussian noise x0 along straight lines to a window x1:
v(x_t, t, activity) with x_t = (1 - t) x0 + t x1 is fitted to x1 - x0 by least squares. Its blocks are those
of DiT: attention over pieces of two samples, scaled by t and the activity. Sources: Y. Lipman et al., Flow
Matching for Generative Modeling, ICLR 2023; X. Liu et al., Flow Straight and Fast, ICLR 2023; for time series
Y. Hu et al., FlowTS, 2024; W. Peebles, S. Xie, Scalable Diffusion Models with Transformers, ICCV 2023.

Our generator has its whitening filter, and this one learns windows in a form in which all frequencies but
the highest weigh the same (`encode`). As our generator, it learns from the training volunteers, from windows
cut anywhere, and the weights are kept that have the least loss on the validation volunteers. Samples are not
reproducible to the digit, since the number of updates depends on the machine.
"""

import argparse
import copy
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
from scipy.fft import dct, idct

from sensegen_utils.data.recordings import of_subjects, random_crops, unbroken_series
from sensegen_utils.data.uci_har import load_har
from sensegen_utils.files import save_samples
from sensegen_utils.profiles import WINDOW_MODELS, get_profile

COPIES = 24  # crops of each window
FLOOR = 0.01  # of a coefficient's deviation: the archive's own low-pass leaves next to nothing above 20 Hz


def pack(name, path, profile="full"):
    """Write the recordings to learn from, and the activities wanted for the judges' training and test."""
    har, subjects, signals = load_har(), get_profile(profile)["subjects"], WINDOW_MODELS[name]["signals"]
    known = of_subjects(har["train"], [*subjects["train"], *subjects["validation"]])
    series = unbroken_series(known, signals)
    wanted = {"train_activity": known["activity"]}
    wanted["test_activity"] = of_subjects(har["test"], subjects["test"])["activity"]
    told = {"signals": list(signals), "data": har["sha256"]}
    told |= {"subjects": {part: list(who) for part, who in subjects.items()}}
    held = np.isin(known["subject"], subjects["validation"])
    series["values"] = series["values"].astype(np.float32)
    np.savez_compressed(path, **series, held=held, **wanted, settings=json.dumps(told))


def describe(windows):
    """Take a window apart: its level and strength (n, numbers), and its shape (n, 128, channels).

    The shape has mean 0 and deviation 1 in each channel. Of three accelerations and more the level is
    direction and length, so that gravity keeps its length.
    """
    level, strength = windows.mean(axis=1), np.maximum(windows.std(axis=1), 1e-6)
    shape = (windows - level[:, None]) / strength[:, None]
    if windows.shape[2] >= 3:
        length = np.linalg.norm(level[:, :3], axis=1, keepdims=True)
        level = np.concatenate([level[:, :3] / length, length, level[:, 3:]], axis=1)
    return np.concatenate([level, np.log(strength)], axis=1), shape


def fit_scales(windows, activity):
    """For each activity mean and deviation of levels and strengths, and the deviation of each frequency."""
    numbers, shape = describe(windows)
    waves = dct(shape, axis=1, norm="ortho")
    own = {int(code): activity == code for code in np.unique(activity)}
    return {
        code: (
            numbers[rows].mean(axis=0),
            numbers[rows].std(axis=0) + 1e-6,
            np.maximum(waves[rows].std(axis=0), FLOOR),
        )
        for code, rows in own.items()
    }


def of_rows(scales, activity):
    """The three scales of each window's activity (n,), stacked."""
    return map(np.stack, zip(*(scales[code] for code in activity.tolist()), strict=True))


def encode(windows, activity, scales):
    """Windows (n, 128, channels) to numbers and waves of deviation 1, less at frequencies below FLOOR."""
    numbers, shape = describe(windows)
    mean, deviation, power = of_rows(scales, activity)
    waves = idct(dct(shape, axis=1, norm="ortho") / power, axis=1, norm="ortho")
    return ((numbers - mean) / deviation).astype(np.float32), waves.astype(np.float32)


def decode(numbers, waves, activity, scales):
    """The inverse of `encode`, for a network's numbers, too: a shape gets its mean 0 and deviation 1."""
    mean, deviation, power = of_rows(scales, activity)
    shape = idct(dct(waves.astype(float), axis=1, norm="ortho") * power, axis=1, norm="ortho")
    shape = shape - shape.mean(axis=1, keepdims=True)
    shape = shape / np.maximum(shape.std(axis=1, keepdims=True), 1e-9)
    numbers, channels = numbers * deviation + mean, waves.shape[2]
    level, strength = numbers[:, :-channels], np.exp(numbers[:, -channels:])
    if channels >= 3:
        direction = level[:, :3] / np.linalg.norm(level[:, :3], axis=1, keepdims=True)
        level = np.concatenate([direction * level[:, 3:4], level[:, 4:]], axis=1)
    return (level[:, None] + strength[:, None] * shape).astype(np.float32)


def build(channels, numbers, labels, width=256, depth=6, heads=4, dropout=0.1, patch=2):
    """The velocity: takes numbers, waves, t (n,), activities (n,); gives two tensors like the first two."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
            self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            self.scales, self.drop = nn.Linear(width, 6 * width), nn.Dropout(dropout)
            nn.init.zeros_(self.scales.weight)
            nn.init.zeros_(self.scales.bias)

        def forward(self, x, given):
            shift, scale, gate, shift2, scale2, gate2 = self.scales(given)[:, None].chunk(6, dim=2)
            hidden = self.mixed(self.norms[0](x) * (1 + scale) + shift)
            split = hidden.view(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(*split).transpose(1, 2).reshape(x.shape)
            x = x + gate * self.drop(self.out(seen))
            return x + gate2 * self.drop(self.dense(self.norms[1](x) * (1 + scale2) + shift2))

    class Velocity(nn.Module):
        def __init__(self):
            super().__init__()
            tokens = 128 // patch + 1
            self.enter, self.level = nn.Linear(patch * channels, width), nn.Linear(numbers, width)
            self.place = nn.Parameter(0.02 * torch.randn(tokens, width))
            self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width))
            self.label = nn.Embedding(labels, width)
            self.blocks = nn.ModuleList(Block() for _ in range(depth))
            self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, patch * channels)
            self.last_level = nn.Linear(width, numbers)
            for layer in (self.last, self.last_level):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

        def forward(self, level, waves, t, activity):
            angles = 1000 * t[:, None] * torch.exp(torch.linspace(0, -9.2, 64, device=t.device))
            given = self.time(torch.cat([angles.sin(), angles.cos()], dim=1)) + self.label(activity)
            given = functional.silu(given)
            x = self.enter(waves.reshape(len(waves), 128 // patch, -1))
            x = torch.cat([self.level(level)[:, None], x], dim=1) + self.place
            for block in self.blocks:
                x = block(x, given)
            x = self.norm(x)
            return self.last_level(x[:, 0]), self.last(x[:, 1:]).reshape(waves.shape)

    return Velocity()


def learn(packed, path, minutes=5.0, seed=0, batch=512, rate=5e-4, updates=np.inf, **size):
    """Train within ``minutes`` and ``updates``, draw; return the least loss on the validation volunteers.

    Raises FileExistsError for samples that are there already.
    """
    import torch

    if Path(path).exists():
        raise FileExistsError(f"{path} is there already: move it away to draw anew")
    with np.load(packed) as stored:
        series = {key: stored[key] for key in stored.files}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    torch.set_float32_matmul_precision("high")
    rng, activity = np.random.default_rng(seed), series["train_activity"]
    rows, held = np.flatnonzero(~series["held"]), np.flatnonzero(series["held"])
    codes, place = np.unique(activity, return_inverse=True)
    # Made once for all epochs, since encoding takes longer than an update.
    drawn = np.tile(rows, COPIES)
    known = np.concatenate([random_crops(series, series["start"][rows], 128, rng) for _ in range(COPIES)])
    scales = fit_scales(known, activity[drawn])

    def tensors(windows, own):
        parts = *encode(windows, activity[own], scales), place[own]
        return [torch.as_tensor(each, device=device) for each in parts]

    known = tensors(known, drawn)
    unseen = tensors(random_crops(series, series["start"][held], 128, rng), held)
    model = build(series["values"].shape[1], known[0].shape[1], len(codes), **size).to(device)
    average = copy.deepcopy(model).requires_grad_(False).eval()
    best, kept, log = np.inf, None, []
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.99))

    def loss_of(network, level, waves, label, noise, t):
        mixed = (1 - t[:, None]) * noise[0] + t[:, None] * level
        mixed_waves = (1 - t[:, None, None]) * noise[1] + t[:, None, None] * waves
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            told, told_waves = network(mixed, mixed_waves, t, label)
        error = (told.float() - (level - noise[0])).square().mean()
        return (told_waves.float() - (waves - noise[1])).square().mean() + 0.1 * error

    fixed = torch.Generator(device).manual_seed(seed)
    held_noise = [torch.randn(x.shape, generator=fixed, device=device) for x in unseen[:2]]
    held_t = torch.rand(len(unseen[0]), generator=fixed, device=device)
    begun, step, spent = time.monotonic(), 0, 0.0
    while spent < 1 and step < updates:
        chosen = torch.randint(len(known[0]), (batch,), device=device)
        level, waves, label = (each[chosen] for each in known)
        noise = [torch.randn_like(level), torch.randn_like(waves)]
        loss = loss_of(model, level, waves, label, noise, torch.rand(batch, device=device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        spent = (time.monotonic() - begun) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 500) * 0.5 * (1 + np.cos(np.pi * min(1, spent)))
        optimizer.step()
        step += 1
        with torch.no_grad():
            decay = min(0.999, step / (step + 10))
            for smooth, weight in zip(average.parameters(), model.parameters(), strict=True):
                smooth.lerp_(weight, 1 - decay)
        if step % 500 == 0 or spent >= 1 or step == updates:
            with torch.no_grad():
                told = loss_of(average, *unseen, held_noise, held_t).item()
            log.append({"update": step, "training": loss.item(), "validation": told})
            print(log[-1] | {"minutes": round(minutes * spent, 2)}, flush=True)
            if told < best:
                best, kept, at = told, copy.deepcopy(average.state_dict()), step
    training = time.monotonic() - begun
    average.load_state_dict(kept)
    begun = time.monotonic()
    wanted = {part: series[f"{part}_activity"] for part in ("train", "test")}
    samples = {part: sample(average, codes, each, scales, known, device) for part, each in wanted.items()}
    drawing = time.monotonic() - begun
    settings = json.loads(str(series["settings"])) | {"model": "flow matching", "minutes": minutes}
    settings |= {"seed": seed, "batch": batch, "rate": rate} | size
    machine = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    told = {
        "settings": settings, "kept_update": at, "log": log, "training_seconds": training,
        "sampling_seconds": drawing, "parts": {"all": {"seconds": training, "counts": {"update": step}}},
        "machine": {"machine": {"processor": machine, "cores": os.cpu_count()}},
        "versions": {each: importlib.metadata.version(each) for each in ("torch", "numpy", "scipy")},
    }  # fmt: skip
    labels = {f"{part}_activity": each for part, each in wanted.items()}
    save_samples(Path(path), **samples, **labels, provenance=json.dumps(told))
    return best


def sample(network, codes, activity, scales, known, device, steps=100, block=2048):
    """Draw a window of each activity (n,): from noise to t = 1 in ``steps`` by the midpoint rule."""
    import torch

    def ahead(at, velocity, time):
        return [x + v * time for x, v in zip(at, velocity, strict=True)]

    drawn = []
    for own in np.split(activity, range(block, len(activity), block)):
        label = torch.as_tensor(np.searchsorted(codes, own), device=device)
        at = [torch.randn(len(own), *each.shape[1:], device=device) for each in known[:2]]
        with torch.no_grad():
            for step in range(steps):
                t = torch.full((len(own),), step / steps, device=device)
                half = ahead(at, network(*at, t, label), 0.5 / steps)
                at = ahead(at, network(*half, t + 0.5 / steps, label), 1 / steps)
        drawn.append(decode(*(each.float().cpu().numpy() for each in at), own, scales))
    return np.concatenate(drawn)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    what = parser.add_subparsers(dest="command", required=True)
    packing = what.add_parser("pack", help="write what there is to learn from")
    packing.add_argument("name", help="the signals: those of notebook 7, one or six")
    packing.add_argument("path")
    packing.add_argument("--profile", default="full", help="whose volunteers")
    learning = what.add_parser("learn", help="train and draw")
    learning.add_argument("packed")
    learning.add_argument("path")
    learning.add_argument("--minutes", type=float, default=5.0)
    learning.add_argument("--seed", type=int, default=0)
    learning.add_argument("--dropout", type=float, default=0.1)
    learning.add_argument("--width", type=int, default=256)
    learning.add_argument("--depth", type=int, default=6)
    given = vars(parser.parse_args())
    command = given.pop("command")
    print({"pack": pack, "learn": learn}[command](**given))
