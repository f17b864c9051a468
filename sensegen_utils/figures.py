"""One look for all figures: the same thing in the same colour, the kind of the data on every picture."""

import matplotlib.pyplot as plt
import seaborn as sns

from sensegen_utils.records import atomic_path

_PALETTE = sns.color_palette("colorblind")
COLORS = {
    "real": _PALETTE[0],
    "generated": _PALETTE[1],
    "training": _PALETTE[2],
    "held out": _PALETTE[4],
    "published": _PALETTE[7],
    "chance": _PALETTE[7],
}
LABELS = {"total_acc_x": "total acceleration x (g)", "body_gyro_x": "angular velocity x (rad/s)"}


def use_style():
    """Set the figure style of all notebooks."""
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", font_scale=0.85)
    plt.rcParams.update({"figure.dpi": 80, "savefig.dpi": 110, "figure.constrained_layout.use": True})


def axis_label(signal):
    """Axis label of a signal, with its unit."""
    return LABELS.get(signal, f"{signal} ({'rad/s' if 'gyro' in signal else 'g'})")


def mark_kind(data_kind):
    """The word that stands on every table and figure: official, unverified, or SIMULATED."""
    return data_kind.upper() if data_kind == "simulated" else data_kind


def save_figure(figure, path, data_kind):
    """Write a figure as PNG with the kind of its data in the corner; equal figures give equal files."""
    figure.text(
        0.995, 0.005, f"data: {mark_kind(data_kind)}", ha="right", va="bottom", fontsize=7, color="dimgray"
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
