"""What reviewers of replications look for: their files, in their forms, and in agreement with each other."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from sensegen_utils.data.uci_har import URLS
from sensegen_utils.report.audit import FEWEST, NEIGHBOURS, NLL_TOLERANCE
from sensegen_utils.report.records import PICTURES, computing_seconds

HERE = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((HERE / "CITATION.cff").read_text())
PAPER = CITATION["references"][0]
FOR_REVIEWERS = ("codecheck.yml", "metadata.yaml", "REMARK.md", "CITATION.cff", "CHANGELOG.md")


def front_matter():
    _, head, text = (HERE / "REMARK.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), text


@pytest.mark.parametrize("name", FOR_REVIEWERS)
def test_no_placeholder_stands_in_for_what_is_not_known(name):
    found = re.findall(r"FIXME|TODO|TBD|XXX|0000-000|zenodo\.\d|lorem", (HERE / name).read_text(), re.I)
    assert not found


def test_codecheck_configuration_names_outputs_that_exist_and_what_they_redraw():
    text = (HERE / "codecheck.yml").read_text("utf-8")
    assert text.splitlines()[0] == "---"
    told = yaml.safe_load(text)
    outputs = [each["file"] for each in told["manifest"]]
    assert len(outputs) == len(set(outputs)) >= 10 and "REPORT.md" in outputs
    for output in told["manifest"]:
        assert not Path(output["file"]).is_absolute() and ".." not in Path(output["file"]).parts
        assert (HERE / output["file"]).is_file(), output["file"]
        assert re.search(r"\bpaper\b", output["comment"], re.I) or re.match(
            'Report, (table|section|figure|lists) .*"', output["comment"]
        ), output["comment"]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=HERE, capture_output=True, text=True
    ).stdout.splitlines()
    assert not tracked or set(outputs) <= set(tracked)
    assert {f"results/full/figures/05_{name}.png" for name in PICTURES} <= set(outputs)
    paper = told["paper"]
    assert paper["title"] == PAPER["title"] and len(paper["authors"]) == len(PAPER["authors"])
    assert all(
        each["name"].endswith(known["family-names"])
        for each, known in zip(paper["authors"], PAPER["authors"], strict=True)
    )
    for reference in (paper["reference"], *paper["reference-other"]):
        assert re.fullmatch(r"https://\S+", reference) and not reference.endswith(".pdf")


def test_rescience_metadata():
    told = yaml.safe_load((HERE / "metadata.yaml").read_text("utf-8"))
    assert re.fullmatch(r"\[(Re|¬Re)\] .+", told["title"]) and told["title"].endswith(PAPER["title"])
    for field in ("abstract", "keywords", "language", "domain"):
        assert isinstance(told[field], str) and told[field].strip(), field
    assert told["type"] == "Replication" and "Python" in told["keywords"]
    assert [each["name"] for each in told["authors"]] == [each["name"] for each in CITATION["authors"]]
    replicated, code, data = (
        {key: value for item in told[part] for key, value in item.items()}
        for part in ("replication", "code", "data")
    )
    assert PAPER["title"] in replicated["cite"] and replicated["url"].startswith("https://arxiv.org/abs/")
    assert replicated["doi"].endswith(replicated["url"].rpartition("/")[2])
    assert code["license"] == CITATION["license"] == PROJECT["license"] and data["doi"]


def test_citation_changelog_and_package_name_one_version():
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    assert CITATION["version"] == PROJECT["version"]
    lines = (HERE / "CHANGELOG.md").read_text().splitlines()
    assert len(lines) <= 60
    versions = [line for line in lines if line.startswith("## ")]
    assert versions[0] == "## [Unreleased]" or versions[0].startswith(f"## [{PROJECT['version']}]")
    parts = {line for line in lines if line.startswith("### ")}
    assert parts <= {
        f"### {part}" for part in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
    }
    tags = subprocess.run(["git", "tag"], cwd=HERE, capture_output=True, text=True).stdout.split()
    assert all(f"[{tag.removeprefix('v')}]" in " ".join(versions) for tag in tags)


def test_remark_names_its_tier_and_notebooks_that_exist():
    told, text = front_matter()
    assert told["tier"] in (1, 2, 3) and told["title-original-paper"] == PAPER["title"]
    assert told["title"] == CITATION["title"] and "REMARK" in told["tags"]
    assert all((HERE / notebook).is_file() for notebook in told["notebooks"])
    assert all((HERE / link).exists() for link in re.findall(r"\]\((?!http)([^)]+)\)", text))
    needed = ("Dockerfile", "reproduce.sh", "README.md", "LICENSE", "CITATION.cff", "binder/environment.yml")
    assert all((HERE / name).is_file() for name in needed)
    readme = [line for line in (HERE / "README.md").read_text().splitlines() if line.strip()]
    assert len(readme) >= (50 if told["tier"] == 1 else 100)


@pytest.mark.parametrize(("script", "profile"), [("reproduce.sh", "full"), ("reproduce_min.sh", "quick")])
def test_an_alias_hands_its_arguments_on_from_any_folder(tmp_path, script, profile):
    assert os.access(HERE / script, os.X_OK)
    subprocess.run(["bash", "-n", HERE / script], check=True)
    house = tmp_path / "a house"
    house.mkdir()
    shutil.copy(HERE / script, house)
    (house / "run_all.sh").write_text('#!/usr/bin/env bash\nprintf "<%s>" "$@"\nexit 3\n')
    (house / "run_all.sh").chmod(0o755)
    ran = subprocess.run([house / script, "-n", "--cores", "1 2"], cwd="/", capture_output=True, text=True)
    assert (ran.stdout, ran.returncode) == (f"<{profile}><-n><--cores><1 2>", 3)


def instructions():
    """The Dockerfile's instructions, without comments, each on one line."""
    lines = [line for line in (HERE / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", "")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def test_the_image_is_pinned_locked_and_not_run_by_root():
    told = instructions()
    names = [name for name, _ in told]
    base = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-\w+@sha256:[0-9a-f]{64}", told[0][1])
    assert names.count("FROM") == 1 and base and base[1] in ("3.11", "3.12", "3.13")
    users = [what for name, what in told if name == "USER"]
    assert len(users) == 1 and users[0] not in ("root", "0")
    first = names.index("USER")
    assert all(name == "RUN" and what.startswith(("apt-get", "useradd")) for name, what in told[1:first])
    for name, what in told[first:]:
        if name == "COPY":
            owner, *sources, _ = what.split()
            assert owner == f"--chown={users[0]}"
            assert all((HERE / source).exists() for source in sources)
    assert told[-1] == ("CMD", '["./run_all.sh"]')


def test_the_image_makes_both_environments_as_run_all_does(tmp_path):
    (script,) = [
        re.search("-c '(.*)'", what, re.S)[1] for _, what in instructions() if "make_environment" in what
    ]
    for name in ("requirements.lock", "engine/requirements.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(HERE / name, tmp_path / name)
    stand_in = 'make_environment() { mkdir -p "$1"; echo "$1 from $2"; }\n'
    (tmp_path / "engine/environment.sh").write_text(stand_in)
    made = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert made.stdout == ".venv from requirements.lock\n.venv-engine from engine/requirements.lock\n"
    for folder, lock in ((".venv", "requirements.lock"), (".venv-engine", "engine/requirements.lock")):
        assert (tmp_path / folder / ".made").read_bytes() == (HERE / lock).read_bytes()
    ours = (HERE / "engine/environment.sh").read_text()
    assert ours.count("--require-hashes") == ours.count('-r "$2"') == 2  # uv and pip
    assert ("RUN", ".venv/bin/python -m pip install --no-deps --no-build-isolation -e .") in instructions()


def test_the_image_gets_every_file_that_git_tracks():
    listed = subprocess.run(["git", "ls-files"], cwd=HERE, capture_output=True, text=True).stdout.splitlines()
    lines = (HERE / ".dockerignore").read_text().splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line and not line.startswith("#")]
    patterns += [f"*/{line.removeprefix('**/')}" for line in lines if line.startswith("**/")]
    assert {".venv", ".venv-engine", "data"} <= set(patterns)
    for name in listed:
        for part in (name, *map(str, Path(name).parents)):
            assert not any(fnmatch.fnmatchcase(part, pattern) for pattern in patterns), name


def test_binder_installs_the_lock_and_is_not_led_to_the_dockerfile():
    told, conda = (
        yaml.safe_load((HERE / name).read_text()) for name in ("binder/environment.yml", "environment.yml")
    )
    (pip,) = [each["pip"] for each in told["dependencies"] if isinstance(each, dict)]
    assert [(HERE / "binder" / line.removeprefix("-r ")).resolve() for line in pip] == [
        HERE / "requirements.lock"
    ]
    pip[:] = [line.replace("../", "") for line in pip]
    assert told == conda, "but for the way to the lock"
    assert os.access(HERE / "binder/postBuild", os.X_OK)
    subprocess.run(["bash", "-n", HERE / "binder/postBuild"], check=True)


def test_the_workflow_runs_the_readmes_test_on_every_python_and_the_official_archive():
    text = (HERE / ".github/workflows/test.yml").read_text()
    told = yaml.safe_load(text)
    assert {"push", "pull_request"} <= told[True].keys()  # YAML 1.1 reads "on" so
    assert told["permissions"] == {"contents": "read"}
    (job,) = told["jobs"].values()
    matrix = job["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}
    assert matrix["python"] == ["3.11", "3.12", "3.13"] and PROJECT["requires-python"] == ">=3.11,<3.14"
    assert "latest" not in text
    uses = re.findall(r"uses: (\S+?)@(.*)", text)
    assert {name for name, _ in uses} == {"actions/checkout", "actions/setup-python", "actions/cache"}
    assert all(re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", version) for _, version in uses)
    assert "./run_all.sh test" in [step.get("run") for step in job["steps"]]
    record = json.loads((HERE / "results/full/records/01_data_preparation.json").read_text())
    assert told["env"]["HAR_SHA256"] == record["provenance"]["data"]["sha256"]
    assert told["env"]["HAR_URL"] in URLS
    (cache,) = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/cache@")]
    assert cache["key"] == "uci-har-${{ env.HAR_SHA256 }}"
    assert told["env"]["SENSEGEN_HAR_ARCHIVE"].endswith(cache["path"])
    for step in job["steps"]:
        subprocess.run(["bash", "-n", "-c", step.get("run", "")], check=True)


def test_what_counts_as_replicated_and_what_it_costs_agree_with_code_and_records():
    text = " ".join((HERE / "docs/reproduction.md").read_text().split())
    assert (
        f"within {NLL_TOLERANCE} nats per step" in text
        and "with fewer than five seeds, in their range" in text
    )
    assert f"the epochs around it, {NEIGHBOURS} on either side or to the end" in text and FEWEST == 5
    records = map(Path.read_text, (HERE / "results/full/records").glob("*.json"))
    hours = sum(computing_seconds(json.loads(record)) or 0 for record in records) / 3600
    least = float(re.search(r"at least (\d+) h of computing", text)[1])
    assert least <= hours < 2 * least
    quick = json.loads((HERE / "results/benchmarks/whole-quick-fresh.json").read_text())
    assert f"{quick['seconds']:.0f} s from the start" in text
