"""Root file systems: a clean Debian made once, and a copy of it for each machine."""

import hashlib
import shutil
import subprocess

from . import host

#: What a machine has besides Debian's smallest system. Only this; what atlaskv itself needs comes by its
#: own dependencies or is here already.
PACKAGES = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "procps",
    "iproute2",
    "python3",
    "less",
    "man-db",
    "bash-completion",
    "curl",
    "dpkg-dev",
    "rpm",
    "autopkgtest",
]

#: Run in the new root by mmdebstrap, `$1` is its path.
PREPARE = """
set -e
mkdir -p "$1/var/log/journal"
# There is no network in the machines: what is installed there comes from file:// repositories.
rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*
echo force-unsafe-io > "$1/etc/dpkg/dpkg.cfg.d/test"
echo atlaskv-test > "$1/etc/hostname"
echo '127.0.0.1 localhost atlaskv-test' > "$1/etc/hosts"
: > "$1/etc/machine-id"
"""


def clean():
    """The path of a clean root file system; makes it if there is none yet."""
    suite = host.os_release()["VERSION_CODENAME"]
    recipe = "\n".join([suite, *PACKAGES, PREPARE])
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    root = host.WORK / f"root-{suite}-{key}"
    if root.is_dir():
        return root
    host.WORK.mkdir(parents=True, exist_ok=True)
    for old in host.WORK.glob("root-*"):
        shutil.rmtree(old)
    making = host.WORK / "root-making"
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        f"--customize-hook={PREPARE}",
        suite,
        str(making),
    ]
    print(f"making a clean {suite} system", flush=True)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        timeout=900,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        raise RuntimeError(f"mmdebstrap failed: {done.stdout[-600:].strip()}")
    making.rename(root)
    return root


def copy(source, target):
    """A copy of a root file system, sharing blocks where the file system can."""
    remove(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True, timeout=600)


def remove(root):
    """Removes a root file system."""
    if root.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True, timeout=120)
