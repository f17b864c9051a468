"""One look for all figures: the same thing in the same colour, the kind of the data on every picture."""

import matplotlib.pyplot as plt
import seaborn as sns

from sensegen_utils.files import atomic_path

_PALETTE = sns.color_palette("colorblind")
_NUMBERS = {"real": 0, "generated": 1, "training": 2, "held out": 4, "published": 7, "chance": 7}
COLORS = {what: _PALETTE[number] for what, number in _NUMBERS.items()}
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
    """Write a figure as PNG, the kind of its data, if any, in the corner; equal figures give equal files."""
    told = f"data: {mark_kind(data_kind)}" if data_kind else ""
    figure.text(0.995, 0.005, told, ha="right", va="bottom", fontsize=7, color="dimgray")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
