"""A booted system: systemd-nspawn with systemd in it, driven with nsenter. Without a network of its own
but loopback, so nothing leaves it."""

import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from . import host, root

# Only a failure waits so long: a machine that is shared may be slow.
BOOT_SECONDS = 180
COMMAND_SECONDS = 120
STOP_SECONDS = 60
#: The exit status of nspawn for "start me again", when it may not do so itself.
REBOOT_STATUS = 133

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "SYSTEMD_PAGER": "cat",
    "SYSTEMD_COLORS": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Broken(Exception):
    """The machine did not do what the test needs to go on."""


class Result:
    """How a command ended."""

    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    @property
    def text(self):
        """Everything it printed."""
        return self.out + self.err

    def __str__(self):
        said = self.text.strip()
        return f"$ {self.command}\n{said}\n[{self.code}]" if said else f"$ {self.command}\n[{self.code}]"


class Machines:
    """All machines that run, so that none is left behind."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = set()
        self._closed = False

    def add(self, machine):
        """Notes a machine; refuses when all are being ended."""
        with self._lock:
            if self._closed:
                raise Broken("interrupted")
            self._running.add(machine)

    def remove(self, machine):
        """Forgets a machine."""
        with self._lock:
            self._running.discard(machine)

    def kill_all(self):
        """Ends all machines at once, and lets no new one start."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for machine in running:
            machine.kill()


ALL = Machines()


class Machine:
    """One system: its root directory and, while it runs, its processes."""

    def __init__(self, name, source):
        # Unique among machines of other runs on this host.
        self.name = f"akv-{name}-{os.getpid()}"
        self.root = host.WORK / "machines" / self.name
        self.log = host.WORK / "machines" / f"{self.name}.log"
        self._nspawn = None
        self._leader = None
        self._started_by_us = not pathlib.Path("/run/systemd/system").is_dir()
        root.copy(source, self.root)

    # Life

    def start(self):
        """Boots and waits until the system is up."""
        # If the thread that starts it ends, however it ends, the machine ends too: setpriv makes the kernel
        # kill unshare, and then unshare's child with all that is in its process namespace.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--fork",
            "--pid",
            "--mount-proc",
            "--kill-child=KILL",
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            f"--machine={self.name}",
            "--register=no",
            "--boot",
            "--private-network",
            "--console=pipe",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
        ]
        if self._started_by_us:
            # No service manager on the host: each machine gets control groups of its own from us.
            command.append("--keep-unit")
            enter = "".join(f"mkdir -p {dir} && echo $$ > {dir}/cgroup.procs; " for dir in self._groups())
            command = ["sh", "-c", f'{enter}exec "$@"', "sh", *command]
        ALL.add(self)
        with self.log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_up()

    def _wait_until_up(self):
        deadline = time.monotonic() + BOOT_SECONDS
        state = ""
        while time.monotonic() < deadline:
            if self._nspawn.poll() is not None:
                break
            self._leader = self._find_leader()
            if self._leader:
                state = self.run("systemctl is-system-running --wait", timeout=BOOT_SECONDS).out.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.05)
        self.kill()
        said = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise Broken(f"{self.name} did not boot (state '{state}'):\n{said}")

    def poweroff(self):
        """Shuts the system down as an administrator does."""
        if self._nspawn is None or self._nspawn.poll() is not None:
            self._forget()
            return
        self.run("systemctl poweroff", timeout=STOP_SECONDS)
        try:
            self._nspawn.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def reboot(self):
        """Restarts the system as an administrator does."""
        leader = self._leader
        self.run("systemctl reboot", timeout=STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if self._nspawn.poll() is not None:
                if self._nspawn.returncode != REBOOT_STATUS:
                    raise Broken(f"the reboot ended with {self._nspawn.returncode}")
                self._forget()
                self.start()
                return
            if self._find_leader() not in (leader, None):
                self._wait_until_up()
                return
            time.sleep(0.05)
        raise Broken("the system did not reboot")

    def kill(self):
        """Ends it at once, as when the power is cut (what the kernel holds stays)."""
        process = self._nspawn
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(STOP_SECONDS)
        self._forget()

    def remove(self):
        """Ends it and removes its files."""
        self.kill()
        root.remove(self.root)
        self.log.unlink(missing_ok=True)

    def _forget(self):
        self._nspawn = self._leader = None
        ALL.remove(self)
        if self._started_by_us:
            self._remove_groups()

    def _remove_groups(self):
        # They can be removed once the last process is really gone, a moment after it was killed.
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            paths = [path for group in self._groups() for path in (group, *group.glob("**/"))]
            for path in sorted(paths, key=lambda path: len(path.parts), reverse=True):
                try:
                    path.rmdir()
                except OSError:
                    pass
            if not any(group.is_dir() for group in self._groups()):
                return
            time.sleep(0.02)

    def _groups(self):
        """The control groups of this machine, in each hierarchy that systemd uses."""
        top = pathlib.Path("/sys/fs/cgroup")
        if (top / "cgroup.procs").exists():
            return [top / self.name]
        return [top / kind / self.name for kind in ("systemd", "unified") if (top / kind).is_dir()]

    def _find_leader(self):
        """The first process of the machine, by its number on the host."""
        if self._nspawn is None:
            return None
        parents = {}
        firsts = []
        own = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
        depth = len(re.search(r"^NSpid:\s+(.*)", own, re.M).group(1).split())
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                status = (entry / "status").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            pid = int(entry.name)
            parents[pid] = int(re.search(r"^PPid:\s+(\d+)", status, re.M).group(1))
            numbers = re.search(r"^NSpid:\s+(.*)", status, re.M).group(1).split()
            # First in a namespace within unshare's namespace: nspawn itself is first in the latter.
            if len(numbers) > depth + 1 and numbers[-1] == "1":
                firsts.append(pid)
        for pid in firsts:
            above = parents.get(pid)
            while above:
                if above == self._nspawn.pid:
                    return pid
                above = parents.get(above)
        return None

    def leader(self):
        """The number, on the host, of its first process."""
        return self._leader

    # What is done in it

    def run(self, command, timeout=COMMAND_SECONDS, user=None, stdin=None):
        """Runs a shell command in the machine, as root or another user."""
        if self._leader is None:
            raise Broken(f"{self.name} does not run")
        words = ["nsenter", "-t", str(self._leader), "-a", "env", "-i"]
        words += [f"{key}={value}" for key, value in ENVIRONMENT.items()]
        if user:
            words += ["runuser", "-u", user, "--"]
        words += ["bash", "-c", f"cd /root 2>/dev/null || cd /; {command}"]
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        )
        given = None if stdin is None else stdin.encode()
        try:
            out, err = process.communicate(given, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"(ended after {timeout} s)".encode()
        decode = lambda data: data.decode("utf-8", "backslashreplace")
        return Result(command, process.returncode, decode(out), decode(err))

    def must(self, command, **how):
        """Runs a command that has to succeed for the test to go on; what it printed on stdout."""
        result = self.run(command, **how)
        if result.code != 0:
            raise Broken(str(result))
        return result.out

    def wait(self, what, condition, timeout=90):
        """Waits until a shell command succeeds or a function answers with something true."""
        deadline = time.monotonic() + timeout
        while True:
            if callable(condition):
                answer = last = condition()
            else:
                last = self.run(condition)
                answer = last.code == 0
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise Broken(f"not within {timeout} s: {what}\n{last}")
            time.sleep(0.05)

    def write(self, path, text, mode=0o644):
        """Writes a file in the machine."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def put(self, source, path, mode=0o644):
        """Copies a file of the host into the machine."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pathlib.Path(source).read_bytes())
        target.chmod(mode)

    def path(self, path):
        """Where a file of the machine lies on the host. Not for what is mounted inside (/run, /tmp)."""
        return self.root / path.lstrip("/")

    def show(self, prop, unit="atlaskv"):
        """A property of a unit."""
        return self.must(f"systemctl show -P {prop} {unit}").strip()


def sweep():
    """Removes the files of machines whose run was killed; their processes ended with it."""
    for path in (host.WORK / "machines").glob("akv-*"):
        run = path.name.removesuffix(".log").rpartition("-")[2]
        if pathlib.Path("/proc", run).exists():
            continue
        if path.is_dir():
            root.remove(path)
        else:
            path.unlink()


def require_boot(clean):
    """Skips unless a system can be booted here."""
    machine = None
    try:
        machine = Machine("try", clean)
        machine.start()
        machine.poweroff()
    except (Broken, OSError, subprocess.SubprocessError) as error:
        raise host.Skip(f"no system boots here: {str(error).strip().splitlines()[-1]}") from error
    finally:
        if machine is not None:
            machine.remove()
