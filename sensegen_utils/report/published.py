"""What the report, and the public code behind it, state: config/published.yaml, with each number's source."""

from sensegen_utils.profiles import read

globals().update(read("published"))
