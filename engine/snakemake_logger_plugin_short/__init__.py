"""What the terminal shows: a line when a run starts, a line when it ends, warnings and failures in full.

Snakemake finds this plugin by its name. When a run ends, it says one number that the run found, how many runs
are done, and about how many minutes are left. All else is in results/<profile>/logs/ and, with --verbose, on
the terminal.
"""

import json
import logging
import os
import re
import sys
import time
from pathlib import Path

import receipts
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

# What Snakemake says of its own bookkeeping: nothing that a reader could act on.
BOOKKEEPING = (
    "Cannot restore", "Restored previous version", "Warning: the following output files of rule",
    "--keep-incomplete mode is set", "At least one job did not complete", "Exiting because a job execution",
    "No SLURM account given", "No account was given", "Unable to guess SLURM account",
)  # fmt: skip


class LogHandler(LogHandlerBase):
    """Prints the lines; Snakemake hands it every event."""

    writes_to_stream, writes_to_file, needs_rulegraph = True, False, False
    has_filter = has_formatter = True

    def __post_init__(self):
        """Begin with nothing known: events tell all."""
        self.runs, self.started, self.done = {}, {}, 0  # runs: {job id: (rule, run, folder)}
        self.waiting, self.at_a_time, self.total, self.wanted = {}, 1, 0, []
        self.took = self.expected = 0  # seconds of what is done
        self.verbose = bool(os.environ.get("SENSEGEN_VERBOSE"))

    def emit(self, record):
        """Print what there is to say of one event."""
        event = getattr(record, "event", None)
        handle = {
            LogEvent.RUN_INFO: self.plan,
            LogEvent.RESOURCES_INFO: self.resources,
            LogEvent.JOB_INFO: self.start,
            LogEvent.JOB_FINISHED: self.finish,
            LogEvent.JOB_ERROR: self.fail,
        }.get(event)
        text = str(record.msg or "")
        if handle:
            handle(record)
        elif "Nothing to be done" in text:
            say("== nothing to run: all that is asked for is there, made with these settings")
        elif record.levelno >= logging.WARNING and not (
            # A failed run is told by `fail`.
            any(each in text for each in BOOKKEEPING) or "CalledProcessError" in text
        ):
            say(text, stream=sys.stderr)
        elif self.verbose and event != LogEvent.DEBUG_DAG and text:
            say(text)

    def plan(self, record):
        """Note how many runs of each kind there are to do."""
        if self.wanted:  # a dry run ends with the same table
            say(*(line for line, seconds in sorted(self.wanted)))
            whole = receipts.spoken(sum(seconds for line, seconds in self.wanted))
            say(f"== {len(self.wanted)} to run, about {whole} on one core")
            return
        self.waiting = {rule: number for rule, number in record.stats.items() if rule not in ("all", "total")}
        self.total = sum(self.waiting.values())

    def resources(self, record):
        """Note how many runs go at a time."""
        self.at_a_time = getattr(record, "cores", None) or getattr(record, "nodes", None) or self.at_a_time

    def start(self, record):
        """Say that a run starts; in a dry run, that it would, why, and how long it takes."""
        if not record.log:  # the rule all
            return
        log = Path(record.log[0])
        name, folder = log.stem, log.parents[1]
        self.runs[record.jobid] = (record.rule_name, name, folder)
        if self.common_settings.dryrun:
            last = receipts.PLAN["last"].get(name)
            seconds = last or receipts.PLAN["by_rule"][record.rule_name]
            took = f"{'took' if last else 'takes about'} {receipts.spoken(seconds)}{' last' if last else ''}"
            why = receipts.PLAN["changed"].get(name) or in_words(record.reason)
            self.wanted.append((f"-- {name}: {took} ({why})", seconds))
            return
        self.started[record.jobid] = time.monotonic()
        self.waiting[record.rule_name] = self.waiting.get(record.rule_name, 1) - 1
        say(f"-- {name} ({folder.name})")

    def left(self):
        """Return how long the rest takes, in words, if that is known."""
        by_rule, now = receipts.PLAN["by_rule"], time.monotonic()
        rest = [by_rule[rule] for rule, number in self.waiting.items() for _ in range(number)]
        rest += [max(0, by_rule[self.runs[job][0]] - (now - begun)) for job, begun in self.started.items()]
        # Than the machine of config/*.yaml; the first few short runs say little.
        slower = max(1, (self.took + 60) / (self.expected + 60))
        seconds = slower * max([sum(rest) / self.at_a_time, *rest], default=0)
        return f", about {max(1, round(seconds / 60))} min left" if rest else ""

    def finish(self, record):
        """Say that a run ended, what it found, and how far all is."""
        if record.job_id not in self.started:
            return
        rule, name, folder = self.runs[record.job_id]
        seconds = time.monotonic() - self.started.pop(record.job_id)
        self.done += 1
        self.took += seconds
        self.expected += receipts.PLAN["by_rule"][rule]
        end = ending(folder, name)
        for warning in end.get("warnings", ()):
            say(f"{name}: {warning}", stream=sys.stderr)
        found = f": {end['tells']}" if end.get("tells") else ""
        say(f"== {name} done in {seconds:.0f} s{found} ({self.done} of {self.total}{self.left()})")

    def fail(self, record):
        """Show the traceback of a failed run, its name, and the way on."""
        rule, name, folder = self.runs.get(record.jobid, (None, record.rule_name, None))
        self.started.pop(record.jobid, None)
        end = ending(folder, name) if folder else {}
        for warning in end.get("warnings", ()):
            say(f"{name}: {warning}", stream=sys.stderr)
        say(end.get("error") or last_lines(record.log), stream=sys.stderr)
        again = f"./run_all.sh {receipts.PLAN['profile']}"
        lines = [
            f"== FAILED: {name}; the traceback stands above, all that it said in {', '.join(record.log)}",
            f"== To go on from the last checkpoint: {again}   To start again: {again} --fresh",
        ]
        if self.started and not receipts.PLAN["profile"].startswith("sweep"):  # there, the others go on
            lines.append(
                f"== This ends when what runs is done: {', '.join(self.runs[j][1] for j in self.started)}"
            )
        say(*lines, stream=sys.stderr)


def last_lines(logs):
    """Return the end of the logs of a run that could not note its own end: somebody killed it."""
    return "\n".join(
        "\n".join(Path(log).read_text("utf-8").splitlines()[-20:]) for log in logs if Path(log).exists()
    )


def in_words(reason):
    """Return Snakemake's reason in few words, with names of runs for all their files."""
    missing = re.findall(r"[^,; ]+", reason.partition("Missing output files: ")[2].partition(";")[0])
    if any("/runs/" in path for path in missing):
        return "not done yet"
    if missing:
        return f"not there: {', '.join(sorted(Path(path).name for path in missing))}"
    others = sorted(set(re.findall(r"/runs/([^,; ]+)[.]json", reason)))
    more = f" and {len(others) - 3} more" if others[3:] else ""
    return f"after {', '.join(others[:3])}{more}" if others else reason


def ending(folder, name):
    """Return what the runner noted at the end of a run."""
    try:
        return json.loads((folder / "logs" / f"{name}.end.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def say(*lines, stream=None):
    """Print at once: the terminal may be a file that somebody watches."""
    print(*lines, sep="\n", file=stream or sys.stdout, flush=True)
