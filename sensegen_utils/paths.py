"""Where things are, the same from JupyterLab, papermill and pytest."""

import os
from pathlib import Path

# SENSEGEN_ROOT lets tests run the real notebooks against a scratch folder.
ROOT = Path(os.environ.get("SENSEGEN_ROOT", Path(__file__).resolve().parents[1]))
DATA = ROOT / "data"
