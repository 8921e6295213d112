"""The packages under test: what `make` built, variants of it, and apt repositories of them."""

import functools
import os
import pathlib
import shutil
import subprocess
import threading

from . import host
from .machine import Broken
from .report import say

#: A build takes minutes; this bounds one that hangs.
BUILD_SECONDS = 3600


def tool(*command, cwd=None, output=None):
    """Runs a program of the host that has to succeed."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL, timeout=300, check=False,
        stdout=output or subprocess.PIPE, stderr=subprocess.PIPE if output else subprocess.STDOUT,
    )
    if done.returncode != 0:
        said = (done.stderr if output else done.stdout).decode(errors="replace")
        raise Broken(f"{' '.join(map(str, command))} failed:\n{said[-3000:]}")


def build():
    """Builds the packages from this tree. Raises what make says when that fails."""
    command = ["make", "deb", "rpm", "apt-repo"]
    say(f"$ {' '.join(command)}")
    subprocess.run(command, cwd=host.REPOSITORY, stdin=subprocess.DEVNULL, timeout=BUILD_SECONDS, check=True)


class Stock:
    """The packages, and what is made of them for the tests."""

    def __init__(self):
        self._lock = threading.Lock()
        self.packages = pathlib.Path(os.environ.get("ATLASKV_PACKAGES", host.REPOSITORY / "target/packages"))
        self.made = host.WORK / "stock"
        shutil.rmtree(self.made, ignore_errors=True)
        self.made.mkdir(parents=True)

    def _one(self, pattern):
        found = [path for path in self.packages.glob(pattern) if "dbgsym" not in path.name]
        if len(found) != 1:
            raise Broken(f"{len(found)} of {pattern} in {self.packages}, not one")
        return found[0]

    @property
    def deb(self):
        """The Debian package."""
        return self._one("atlaskv_*.deb")

    @property
    def rpm(self):
        """The RPM package."""
        return self._one("atlaskv-*.rpm")

    @functools.cached_property
    def version(self):
        """The version of the Debian package."""
        asked = subprocess.run(
            ["dpkg-deb", "-f", str(self.deb), "Version"], check=True, capture_output=True, text=True, timeout=30,
        )
        return asked.stdout.strip()

    def variant(self, version, name="", edit=None):
        """The same package with another version; `edit` may change the unpacked tree before it is packed."""
        with self._lock:
            target = self.made / f"atlaskv_{version}{name}.deb"
            if target.exists():
                return target
            tree = self.made / f"tree-{version}{name}"
            tool("dpkg-deb", "-R", self.deb, tree)
            control = tree / "DEBIAN/control"
            text = control.read_text(encoding="utf-8")
            control.write_text(text.replace(f"\nVersion: {self.version}\n", f"\nVersion: {version}\n"), encoding="utf-8")
            if edit:
                edit(tree)
            tool("dpkg-deb", "-Zgzip", "-z1", "-b", tree, target)
            shutil.rmtree(tree)
            return target

    @functools.cached_property
    def shim(self):
        """The slow disk, built."""
        target = self.made / "slow.so"
        source = host.REPOSITORY / "tests/system/guest/slow_disk.c"
        tool("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", target, source, "-ldl")
        return target


def serve(machine, *debs, path="/srv/apt"):
    """Makes a directory of the machine an apt repository of these packages, and the only one it knows."""
    pool = machine.path(path)
    shutil.rmtree(pool, ignore_errors=True)
    pool.mkdir(parents=True)
    for deb in debs:
        shutil.copy(deb, pool)
    with (pool / "Packages").open("wb") as index:
        tool("apt-ftparchive", "packages", ".", cwd=pool, output=index)
    machine.write("/etc/apt/sources.list.d/atlaskv.list", f"deb [trusted=yes] file:{path} ./\n")
    machine.must("apt update")
