"""Find the data and say where their results go: `engine/find_data.py PROFILE` prints a folder and a sha256.

All else that it says, that data are simulated above all, goes to stderr.
"""

import contextlib
import sys

from sensegen_utils.data.uci_har import load_har
from sensegen_utils.files import results_dir
from sensegen_utils.profiles import get_profile

get_profile(sys.argv[1])  # refuses an unknown name
with contextlib.redirect_stdout(sys.stderr):
    har = load_har()
print(results_dir(sys.argv[1], har["kind"]).name, har["sha256"])
