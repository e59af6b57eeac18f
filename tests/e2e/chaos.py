"""Who kills: SIGKILL for daemons and workers at moments that are told by what they have written, never by waiting a while."""

import json
import os
import random
import signal
import subprocess
import time
import urllib.error
from collections import Counter

import pytest

from conftest import BIN, alive

LIVE = ("starting", "running", "stopping")
AGAIN = {"paused": "resume", "cancelled": "retry", "skipped": "retry"}
DEADLINE_S = 60

# How often each dies at which moment. `orphaned` is a worker whose daemon was killed just before.
WORKER_DEATHS = {"starting": 6, "running": 7, "evaluating": 6, "checkpointing": 6, "stopping": 5, "orphaned": 5}
DAEMON_DEATHS = {"booting": 7, "idle": 3, "starting": 5, "running": 4, "evaluating": 3, "checkpointing": 3, "stopping": 4, "leaving": 3}
# How far a daemon has come when it is killed while it starts: it has the lock, the database, a door; or nothing yet.
BOOT_SIGNS = ("", "daemon.lock", "moelab.db-wal", "socket:")


def kill(pid):
    """SIGKILL to a process that is alive. False when it had died before."""
    if not alive(pid):
        return False
    os.kill(pid, signal.SIGKILL)
    return until(lambda: not alive(pid), f"process {pid} to die")


def until(condition, what, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.001)
    pytest.fail(f"waited {deadline_s} s in vain for {what}")


def open_files(pid):
    names = []
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                names.append(os.readlink(entry.path))
            except FileNotFoundError:
                pass
    except (FileNotFoundError, PermissionError):
        pass
    return names


def last_events(journal, size=1 << 14):
    """Whole events at the end of a journal, newest first."""
    try:
        with open(journal, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return []
    events = []
    for line in reversed(lines):
        try:
            events.append(json.loads(line))
        except ValueError:
            pass  # torn, or cut by the window
    return events


class Chaos:
    """A daemon that is started again whenever it was killed, and the deaths so far."""

    def __init__(self, lab, seed, eval_interval, *options):
        self.lab, self.options, self.eval_interval = lab, options, eval_interval
        self.random = random.Random(seed)
        self.deaths = Counter()       # (victim, moment)
        self.of_run = Counter()       # workers killed, by run
        self.daemon = None

    # --- the daemon ---
    def launch(self):
        log = open(self.lab.folder / "daemon.log", "a")
        self.daemon = self.lab.daemon = subprocess.Popen([BIN / "moelab", "serve", "--port", "0", *self.options], cwd=self.lab.folder,
                                                         env=self.lab.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self):
        self.launch()
        announcement = self.lab.home / "daemon.json"

        def announced():
            assert self.daemon.poll() is None, (self.lab.folder / "daemon.log").read_text()
            try:
                return json.loads(announcement.read_text())["pid"] == self.daemon.pid
            except FileNotFoundError:
                return False

        until(announced, "the daemon to answer")

    def kill_daemon(self):
        if self.daemon.poll() is not None:
            return False
        self.daemon.kill()
        self.daemon.wait()
        return True

    def call(self, path, body=None):
        return json.loads(self.lab.get(path, body))

    def runs(self, *states):
        return self.call("/api/v1/runs?limit=1000" + ("&state=" + ",".join(states) if states else ""))["runs"]

    # --- moments ---
    def folder(self, run):
        return self.lab.home / "runs" / str(run["id"])

    def is_evaluating(self, run):
        for event in last_events(self.folder(run) / "events.jsonl"):
            if event["type"] in ("metrics", "eval"):
                return event["type"] == "metrics" and event["step"] % self.eval_interval == 0
        return False

    def is_checkpointing(self, run):
        try:
            return any(entry.name.startswith(".tmp_") for entry in os.scandir(self.folder(run) / "checkpoints"))
        except FileNotFoundError:
            return False

    def in_state(self, *states):
        """A run with a worker in one of these states, of those that have lost the fewest workers."""
        found = [run for run in self.runs(*states) if run.get("pid") and alive(run["pid"])]
        self.random.shuffle(found)
        return min(found, key=lambda run: self.of_run[run["id"]], default=None)

    def busy(self, is_busy):
        """A run whose worker is in the middle of something short: its files are watched closely."""
        for run in self.runs("running"):
            for _ in range(200):
                if not run.get("pid") or not alive(run["pid"]):
                    break
                if is_busy(run):
                    return run
                time.sleep(0.0005)
        return None

    def under_way(self):
        """A run that has written some more since it was looked at."""
        run = self.in_state("running")
        if not run:
            return None
        journal = self.folder(run) / "events.jsonl"
        target = journal.stat().st_size + self.random.randrange(30_000)
        until(lambda: journal.stat().st_size >= target or not alive(run["pid"]), "a run to go on")
        return run if alive(run["pid"]) else None

    def stopping(self):
        """A run that a person has just paused or cancelled; it is queued again later."""
        run = self.in_state("starting", "running")
        if not run:
            return None
        try:
            run = self.call(f"/api/v1/runs/{run['id']}/{self.random.choice(('pause', 'cancel'))}", {})
        except urllib.error.HTTPError as e:
            assert e.code == 409, e.read()  # it has ended meanwhile
            return None
        if self.random.random() < 0.5:  # in the middle of its last checkpoint
            until(lambda: self.is_checkpointing(run) or not alive(run["pid"]), "a stopped run to leave")
        return run if run.get("pid") and alive(run["pid"]) else None

    def moment(self, name):
        return {
            "starting": lambda: self.in_state("starting"),
            "running": self.under_way,
            "evaluating": lambda: self.busy(self.is_evaluating),
            "checkpointing": lambda: self.busy(self.is_checkpointing),
            "stopping": self.stopping,
            "orphaned": lambda: self.in_state("starting", "running"),
            "idle": lambda: True,
        }[name]()

    # --- deaths ---
    def kill_worker(self, moment):
        run = self.moment(moment)
        if not run:
            return False
        if moment == "orphaned":
            self.kill_daemon()
            self.deaths["daemon", "with a worker"] += 1
        hit = kill(run["pid"])
        # What is short may have ended in the meantime: the files tell.
        if hit and moment == "evaluating":
            hit = self.is_evaluating(run)
        if hit and moment == "checkpointing":
            hit = self.is_checkpointing(run)
        self.of_run[run["id"]] += 1
        if moment == "orphaned":
            self.start()
        return hit

    def kill_daemon_at(self, moment):
        if moment == "booting":
            self.kill_daemon()
            self.deaths["daemon", "before a start"] += 1
            sign = self.random.choice(BOOT_SIGNS)
            self.launch()
            until(lambda: self.daemon.poll() is not None or not sign or any(sign in name for name in open_files(self.daemon.pid)),
                  f"the daemon to open {sign}")
        elif moment == "leaving":
            if not self.in_state("starting", "running"):
                return False
            self.daemon.send_signal(signal.SIGINT)
            until(lambda: self.daemon.poll() is not None or self.has_asked(), "the daemon to ask its workers to leave")
        elif not self.moment(moment):
            return False
        hit = self.kill_daemon()
        self.start()
        return hit

    def has_asked(self):
        try:
            return bool(self.runs("stopping"))
        except (urllib.error.URLError, ConnectionError):
            return True  # its door is closed already

    def strike(self, victim, moment):
        """One death. Tries until the victim was really hit at that moment."""
        def hit():
            self.revive()
            return self.kill_worker(moment) if victim == "worker" else self.kill_daemon_at(moment)

        until(hit, f"a {victim} to kill while {moment}")
        self.deaths[victim, moment] += 1

    def revive(self):
        """Queues what was paused or cancelled, and what was skipped because of that."""
        states = {run["id"]: (run["state"], run["reason"]) for run in self.runs()}
        bad = {run: state for run, state in states.items() if state[0] not in (*LIVE, *AGAIN, "queued", "completed")}
        assert not bad, bad
        assert any(state != "completed" for state, _ in states.values()), "the matrix was done before all were killed: make the runs longer"
        for state, verb in AGAIN.items():
            for run in states:
                if states[run][0] == state:
                    self.call(f"/api/v1/runs/{run}/{verb}", {})

    def written(self):
        return sum(journal.stat().st_size for journal in self.lab.home.glob("runs/*/events.jsonl"))

    def rage(self, journal_bytes):
        """All deaths, spread over a matrix that writes so many bytes when it is left alone."""
        plan = [(victim, moment) for victim, deaths in (("worker", WORKER_DEATHS), ("daemon", DAEMON_DEATHS))
                for moment, count in deaths.items() for _ in range(count)]
        self.random.shuffle(plan)
        due = sorted(self.random.uniform(0, 0.8) * journal_bytes for _ in plan)
        for (victim, moment), target in zip(plan, due):
            until(lambda: self.written() >= target or not self.runs(*LIVE), "the matrix to go on")
            self.strike(victim, moment)
        return sum(self.deaths.values())
