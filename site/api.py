"""Prints docs/api.md from the docstrings, read as text: python site/api.py >docs/api.md."""

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
JUDGES = ("__init__", "two_sample", "distances", "utility", "privacy", "contenders", "checks")
FILES = ("sensegen_utils/synthetic.py", "own_sensor/reading.py", "own_sensor/windows.py")
FILES += tuple(f"sensegen_utils/judge/{name}.py" for name in JUDGES)
HEAD = """# The helper's functions

For whoever calls them from code of their own: what draws samples, what reads a recording, and the judges.
Import them by the module in the heading: `from sensegen_utils.synthetic import sample`.
Windows are arrays (n, steps, channels). [Questions](questions.md) shows the most used ones at work.

*`python site/api.py >docs/api.md` wrote this page from the docstrings; a test compares the two.*
"""


def call(function):
    """Return how a function is called, with its defaults, on lines of at most 88 characters."""
    arguments = ast.unparse(function.args).replace("'", '"')
    if len(function.name) + len(arguments) < 86:
        return f"{function.name}({arguments})"
    lines = textwrap.fill(arguments, 84, break_long_words=False, break_on_hyphens=False)
    return f"{function.name}(\n{textwrap.indent(lines, '    ')}\n)"


print(HEAD.strip())
for file in FILES:
    module = ast.parse((ROOT / file).read_text("utf-8"))
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    print(f"\n## {name}\n\n{ast.get_docstring(module)}")
    print(f"\nSource: [`{file}`](../{file})")
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            print(f"\n### {node.name}\n\n```text\n{call(node)}\n```\n\n{ast.get_docstring(node)}")
