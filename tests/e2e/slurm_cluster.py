"""A real Slurm of one node on loopback: munged, slurmctld and slurmd of Debian's packages, with a configuration, ports and a key of their own
under a temporary directory. Two character devices stand in for GPUs. Needs root, as slurmd does."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
START_S = 30

CONFIG = """
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=1000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES DefMemPerCPU=1000 MaxTime=INFINITE State=UP
PartitionName=short Nodes={host} DefMemPerCPU=1000 MaxTime=10 State=UP
"""
GRES = "Name=gpu File=/dev/zero\nName=gpu File=/dev/null\n"


class CannotStart(Exception):
    """Why there is no Slurm here."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class SlurmCluster:
    def __init__(self):
        self.path = os.environ["PATH"] + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
        missing = [name for name in PROGRAMS if not shutil.which(name, path=self.path)]
        if missing:
            raise CannotStart(f"not installed: {', '.join(missing)} (scripts/install.sh --tests brings them)")
        if os.geteuid() != 0:
            raise CannotStart("a one-node Slurm runs as root only")
        self.folder = Path(tempfile.mkdtemp(prefix="moelab_slurm_"))
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        config = CONFIG.format(name="moelab_test", host=socket.gethostname().split(".")[0], folder=self.folder, ctld_port=free_port(),
                               slurmd_port=free_port())
        (self.folder / "slurm.conf").write_text(config)
        (self.folder / "gres.conf").write_text(GRES)
        self.env = {**os.environ, "PATH": self.path, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self.daemons = []
        self.start()

    def start(self):
        self.begin("munged", "--foreground", "--force", f"--socket={self.folder}/munge.sock", f"--key-file={self.folder}/munge.key",
                   f"--pid-file={self.folder}/munge.pid", f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munge.seed")
        self.until((self.folder / "munge.sock").exists, "munged")
        self.start_controller()
        self.begin("slurmd", "-D")
        self.until(lambda: self.ask("sinfo", "--noheader", "--partition=main", "--format=%t") == "idle", "slurmd")

    def start_controller(self):
        self.begin("slurmctld", "-D")
        self.until(lambda: "main" in self.ask("sinfo", "--noheader", "--format=%R"), "slurmctld")

    def begin(self, *command):
        log = open(self.folder / f"{command[0]}.out", "a")
        self.daemons.append(subprocess.Popen(command, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def until(self, condition, what):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if condition():
                return
            if self.daemons[-1].poll() is not None:
                break
            time.sleep(0.05)
        logs = "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in sorted(self.folder.glob("*.*")) if log.suffix in {".log", ".out"})
        self.stop()
        raise CannotStart(f"{what} does not come up\n{logs}")

    def ask(self, *command):
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        return done.stdout.strip() if done.returncode == 0 else ""

    def jobs(self, *options):
        """{number: state} of jobs that have not ended, or of all with --states=all."""
        lines = self.ask("squeue", "--me", "--noheader", "--format=%i %T", *options).splitlines()
        return {int(number): state for number, state in (line.split() for line in lines)}

    def stop_controller(self):
        controller = next(d for d in self.daemons if d.args[0] == "slurmctld" and d.poll() is None)
        controller.terminate()
        controller.wait(30)

    def stop(self):
        if self.daemons and self.daemons[-1].poll() is None:
            self.ask("scancel", "--me")
            self.ask("scancel", "--me", "--batch", "--signal=KILL")
        for daemon in reversed(self.daemons):
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(20)
                except subprocess.TimeoutExpired:
                    daemon.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
