"""The host: whether it can run these tests, and what they need on it."""

import os
import pathlib
import shutil
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
#: Everything these tests make on the host is below here.
WORK = REPOSITORY / "target" / "system"

#: Debian package -> a program of it that is needed.
NEEDED = {
    "apt-utils": "apt-ftparchive",
    "autopkgtest": "autopkgtest",
    "btrfs-progs": "mkfs.btrfs",
    "debhelper": "dh",
    "dpkg-dev": "dpkg-buildpackage",
    "e2fsprogs": "mkfs.ext4",
    "fakeroot": "fakeroot",
    "gcc": "gcc",
    "gpg": "gpg",
    "lintian": "lintian",
    "mmdebstrap": "mmdebstrap",
    "piuparts": "piuparts",
    "rpm": "rpmbuild",
    "systemd-container": "systemd-nspawn",
    "util-linux": "nsenter",
    "xfsprogs": "mkfs.xfs",
}


class Skip(Exception):
    """These tests cannot run on this machine, and why."""


def os_release():
    """The fields of /etc/os-release."""
    fields = {}
    try:
        text = pathlib.Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return fields
    for line in text.splitlines():
        key, found, value = line.partition("=")
        if found:
            fields[key] = value.strip('"')
    return fields


def require_debian_and_root():
    """Skips unless this is Debian and we are root."""
    if os.geteuid() != 0:
        raise Skip("it boots systems and needs root")
    release = os_release()
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        raise Skip("it needs Debian, whose packages make the systems it boots")


def missing():
    """The Debian packages whose programs are not here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name, program in NEEDED.items() if not shutil.which(program, path=path)]


def install_missing():
    """Installs what the tests need on the host."""
    names = missing()
    if names:
        print(f"installing on this machine: {' '.join(names)}", flush=True)
        need = [str(REPOSITORY / "packaging/need"), *names]
        subprocess.run(need, stdin=subprocess.DEVNULL, timeout=900, check=True)
