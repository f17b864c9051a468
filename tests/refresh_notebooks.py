"""Execute the notebooks in place, in full, and keep the outputs that nbval compares.

For maintainers, after a change of a notebook: python tests/refresh_notebooks.py [05 06 ...]
It needs the official archive, and finds the committed runs of the full profile.
"""

import sys

import nbformat
import papermill
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from sensegen_utils.data.uci_har import load_har
from sensegen_utils.files import ROOT

if load_har()["kind"] != "official":
    raise SystemExit("the committed outputs are those of the official archive; set $SENSEGEN_HAR_ARCHIVE")

for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
    if sys.argv[1:] and path.name.split("_")[0] not in sys.argv[1:]:
        continue
    executed = papermill.execute_notebook(path, None, kernel_name="python3", cwd=path.parent)
    executed.metadata.pop("papermill", None)
    executed.metadata.pop("widgets", None)
    executed.metadata.kernelspec.display_name = "Python 3"
    executed.metadata.language_info = {"name": "python"}
    for cell in executed.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            for output in cell.outputs:  # notebook 10: its controls live in a kernel that is gone
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            # Progress bars and logs: they differ from run to run and are no results.
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    # Which prints come in one message is chance.
    executed, _ = CoalesceStreamsPreprocessor().preprocess(executed, {})
    nbformat.write(executed, path)
