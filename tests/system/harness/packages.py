"""The packages under test: what `make` built, variants of it, and apt repositories of them."""

import functools
import itertools
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
#: Signs the tests' repositories; made for each run.
KEY = "system-tests@atlaskv.invalid"


def tool(*command, cwd=None, output=None, environment=None):
    """Runs a program of the host that has to succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
        env={**os.environ, **(environment or {})},
        stdout=output or subprocess.PIPE,
        stderr=subprocess.PIPE if output else subprocess.STDOUT,
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
        self._numbers = itertools.count(1)
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
            ["dpkg-deb", "-f", str(self.deb), "Version"], check=True, capture_output=True, text=True, timeout=30
        )
        return asked.stdout.strip()

    def variant(self, version, edit=None):
        """The same package with another version; `edit` may change the unpacked tree before it is packed.
        What a version is has to be the same whoever asks for it."""
        with self._lock:
            target = self.made / self.deb.name.replace(f"_{self.version}_", f"_{version}_")
            if target.exists():
                return target
            tree = self.made / f"tree-{version}"
            tool("dpkg-deb", "-R", self.deb, tree)
            control = tree / "DEBIAN/control"
            text = control.read_text(encoding="utf-8")
            control.write_text(
                text.replace(f"\nVersion: {self.version}\n", f"\nVersion: {version}\n"), encoding="utf-8"
            )
            if edit:
                edit(tree)
            tool("dpkg-deb", "-Zgzip", "-z1", "-b", tree, target)
            shutil.rmtree(tree)
            return target

    @functools.cached_property
    def newer_rpm(self):
        """The RPM package with a later version, of the same programs."""
        later = self.made / "rpm"
        tool("make", "rpm", "-o", "build", "VERSION=0.9.0", f"PACKAGES={later}", cwd=host.REPOSITORY)
        return next(later.glob("atlaskv-0.9.0-*.rpm"))

    def repository(self, debs):
        """A signed apt repository of these packages; its directory."""
        with self._lock:
            number = next(self._numbers)
            inbox, target = self.made / f"inbox-{number}", self.made / f"apt-{number}"
            inbox.mkdir()
            for deb in debs:
                shutil.copy(deb, inbox)
            home = self.made / "gnupg"
            signing = {"GNUPGHOME": str(home), "ATLASKV_GPG_KEY": KEY}
            if not home.exists():
                home.mkdir(mode=0o700)
                tool(
                    "gpg",
                    "--batch",
                    "--quiet",
                    "--passphrase",
                    "",
                    "--quick-generate-key",
                    KEY,
                    "default",
                    "sign",
                    "never",
                    environment=signing,
                )
            tool(host.REPOSITORY / "packaging/make-apt-repo", inbox, target, environment=signing)
            tool("gpgconf", "--kill", "gpg-agent", environment=signing)
            return target

    @functools.cached_property
    def shim(self):
        """The slow disk, built."""
        target = self.made / "slow.so"
        source = host.REPOSITORY / "tests/system/guest/slow_disk.c"
        tool("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", target, source, "-ldl")
        return target


def provide(machine, stock, *debs):
    """Puts a signed apt repository of these packages into a machine, at /srv/atlaskv."""
    source = stock.repository(debs or [stock.deb])
    target = machine.path("/srv/atlaskv")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    text = (source / "atlaskv.sources").read_text(encoding="utf-8")
    machine.write("/srv/atlaskv/atlaskv.sources", text.replace(str(source), "/srv/atlaskv"))


def serve(machine, stock, *debs):
    """The same, and makes it the only repository that the machine knows."""
    provide(machine, stock, *debs)
    machine.must("cp /srv/atlaskv/atlaskv.sources /etc/apt/sources.list.d/ && apt update")
