"""Anybody's sensor: read and check a recording, cut it into windows, divide them into parts.

It knows nothing of generators and imports nothing of `sensegen_utils`.
"""

from own_sensor.reading import read_sensor
from own_sensor.windows import PARTS, cut_windows, split_by_group

__all__ = ["PARTS", "cut_windows", "read_sensor", "split_by_group"]
