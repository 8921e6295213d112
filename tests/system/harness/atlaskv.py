"""AtlasKV in a machine: installing it, configuring it, putting load on it, slowing its disk."""

import json

from . import host, packages

GUEST = host.REPOSITORY / "tests/system/guest"
CLIENT = "/opt/atlaskv-test/client.py"
FAULTS = "/opt/atlaskv-test/faults"
SHIM = "/usr/lib/atlaskv-test/slow.so"
CONFIG = "/etc/atlaskv/atlaskv.toml"
DATA = "/var/lib/atlaskv"


def install(machine, stock, deb=None):
    """Installs the package from a repository, with the command an administrator types."""
    packages.serve(machine, stock, deb or stock.deb)
    machine.must("apt install -y atlaskv", timeout=120)
    equip(machine)


def equip(machine):
    """Puts the test's own programs into a machine."""
    machine.put(GUEST / "client.py", CLIENT, 0o755)


def drop_in(machine, text, name="test", unit="atlaskv.service"):
    """Changes the unit as an administrator does."""
    machine.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
    machine.must("systemctl daemon-reload")


def undrop(machine, name="test", unit="atlaskv.service"):
    """Takes such a change back."""
    machine.path(f"/etc/systemd/system/{unit}.d/{name}.conf").unlink()
    machine.must("systemctl daemon-reload")


def configure(machine, text, path=CONFIG):
    """Replaces the configuration."""
    machine.write(path, text, 0o640)
    machine.must(f"chown root:atlaskv {path}")


def slow_disk(machine, stock, faults=""):
    """Preloads the slow disk into the daemon from its next start on."""
    machine.put(stock.shim, SHIM, 0o644)
    set_faults(machine, faults)
    drop_in(machine, f"[Service]\nEnvironment=LD_PRELOAD={SHIM}\n", "slow-disk")


def set_faults(machine, faults):
    """Says what is slow from now on; see guest/slow_disk.c."""
    machine.write(FAULTS, faults)


def fill(machine, mebibytes):
    """Imports so much; what was imported stays in the file that it returns."""
    path = "/opt/atlaskv-test/fill.tsv"
    machine.must(f"{CLIENT} fill --number {mebibytes * 64} --value-size 16384 > {path} && atlaskv-ctl import {path}")
    return path


def stamp_format(machine, version):
    """Makes the store's format this version, as a program that writes it would; see docs/format.md."""
    machine.must(f"""python3 -c '
import struct, zlib
path = "{DATA}/MANIFEST"
old = open(path, "rb").read()
head = old[:8] + struct.pack("<I", {version})
new = head + struct.pack("<I", zlib.crc32(head + old[16:])) + old[16:]
open(path, "r+b").write(new)
'""")


def stats(machine):
    """The figures of `atlaskv-ctl stats`."""
    return json.loads(machine.must("atlaskv-ctl --format json stats"))["stats"]


def active(machine, unit="atlaskv"):
    """Waits until the unit is active."""
    machine.wait(f"{unit} is active", f"systemctl is-active {unit}", timeout=60)


def kill(machine, unit="atlaskv"):
    """SIGKILL, and the wait for another process that serves: a moment long the dead one still counts as active, and
    still answers."""
    pid = main_pid(machine, unit)
    machine.must(f"systemctl kill -s KILL --kill-whom=main {unit}")
    replaced(machine, pid, unit)


def replaced(machine, pid, unit="atlaskv"):
    """Waits until another process than this one serves."""
    machine.wait(f"{unit}: another process than {pid}", lambda: main_pid(machine, unit) not in (0, pid), 60)
    active(machine, unit)


def main_pid(machine, unit="atlaskv"):
    """The daemon's process number, in the machine."""
    return int(machine.show("MainPID", unit))


class Load:
    """Writers in the machine, which note what was acknowledged outside the data directory."""

    def __init__(self, machine, name="load", arguments=""):
        self.machine = machine
        self.unit = f"test-{name}"
        self.acks = f"/opt/atlaskv-test/{name}"
        machine.must(f"systemd-run -q --unit={self.unit} {CLIENT} load {self.acks} {arguments}")

    def acknowledged(self):
        """How many writes were acknowledged so far."""
        files = list(self.machine.path(self.acks).glob("*"))
        return sum(path.read_bytes().count(b"\n") for path in files)

    def wait_for_more(self, writes=500, timeout=60):
        """Waits until so many more writes were acknowledged."""
        goal = self.acknowledged() + writes
        self.machine.wait(f"{writes} more writes", lambda: self.acknowledged() >= goal, timeout)

    def stop(self):
        """Ends the writers."""
        self.machine.must(f"systemctl stop {self.unit}")

    def check(self, scenario, what="every acknowledged write is there"):
        """Checks that nothing acknowledged is missing."""
        scenario.does(self.machine, f"{what} ({self.acknowledged()})", f"{CLIENT} check {self.acks}", says='"lost": 0')
