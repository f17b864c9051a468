"""What the site is made of. `./run_all.sh site` itself checks the pages, in a browser where there is one."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from sensegen_utils import files

HERE = Path(__file__).resolve().parents[1]


def test_the_api_page_shows_the_docstrings_there_are():
    command = [sys.executable, HERE / "site/api.py"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == (HERE / "docs/api.md").read_text("utf-8"), "run: python site/api.py >docs/api.md"


def test_the_python_of_the_questions_runs(tmp_path, monkeypatch, simulated_archive):
    monkeypatch.setenv("SENSEGEN_HAR_ARCHIVE", str(simulated_archive))
    monkeypatch.setattr(files, "DATA", tmp_path)
    monkeypatch.chdir(tmp_path)
    drivers, states = np.repeat(list("abcdef"), 1280), np.tile(np.repeat(["stop", "go"], 640), 6)
    drive = pd.DataFrame(np.random.default_rng(0).normal(size=(len(drivers), 2)), columns=["x", "y"])
    drive.assign(driver=drivers, state=states).to_csv("drive.csv", index=False)
    blocks = re.findall(r"```python\n(.*?)```", (HERE / "docs/questions.md").read_text("utf-8"), re.S)
    names, values = {}, []
    for block in blocks:
        *first, last = ast.parse(block).body
        exec(compile(ast.Module(first, []), "questions.md", "exec"), names)
        how = "eval" if isinstance(last, ast.Expr) else "exec"
        tree = ast.Expression(last.value) if how == "eval" else ast.Module([last], [])
        values.append(eval(compile(tree, "questions.md", how), names))
    entropy, people, drawn, copies = values[0], values[2], values[3], values[7]
    assert (round(float(entropy), 2), drawn, copies) == (-3.19, (1, 1000, 6), 0), "as the comments say"
    assert set(people) == {*range(1, 10)}
    assert len(names["longer"]["x"]) == 10 and len(blocks) == 9


def test_every_question_has_a_link_and_a_line_of_code():
    for answer in (HERE / "docs/questions.md").read_text("utf-8").split("\n## ")[1:]:
        links = re.findall(r"\]\(([^)#]+)", answer)
        assert links and "```python" in answer, answer
        assert all((HERE / "docs" / link).is_file() for link in links), links
