"""The rooms of the helper: data -> model -> judge -> report, no arrow back, no circle, and thin."""

import ast
from graphlib import TopologicalSorter

import pytest

from sensegen_utils.files import ROOT

PACKAGE = ROOT / "sensegen_utils"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
ROOMS = ("data", "model", "judge", "report")


def room(module):
    """0 for what all rooms stand on, 1 to 4 for data to report; the public door stands on data and model."""
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in ROOMS:
        return 1 + ROOMS.index(parts[1])
    return 2 if parts[-1] == "synthetic" else 0


def imports(path):
    """What a module imports, also within functions: of the package the modules."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


GRAPH = {module: {each for each in imports(path) if each in FILES} for module, path in FILES.items()}


@pytest.mark.parametrize("module", FILES)
def test_no_arrow_goes_back(module):
    wrong = [each for each in GRAPH[module] if room(each) > room(module)]
    assert not wrong, f"{module} imports {wrong}"


def test_there_is_no_circle():
    TopologicalSorter(GRAPH).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", ["own_sensor", "fast_keras", "ported"])
def test_a_package_beside_the_helper_stands_on_its_own(package):
    for path in (ROOT / package).glob("*.py"):
        assert "sensegen_utils" not in {each.split(".")[0] for each in imports(path)}, path.name


def test_nothing_of_the_package_imports_what_stands_beside_it():
    for module, path in FILES.items():
        beside = [each for each in imports(path) if each.split(".")[0] in ("benchmarks", "engine", "tests")]
        assert not beside, f"{module} imports {beside}"
