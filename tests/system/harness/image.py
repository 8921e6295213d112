"""File systems in image files, on loop devices: made, mounted, filled up, and always taken away again."""

import contextlib
import os
import pathlib
import random
import shutil
import subprocess

from . import host

ALL = host.WORK / "images"
#: This run's own: others may be under way.
HOME = ALL / str(os.getpid())
#: File system -> how it is made. XFS and Btrfs want no less than the 320 MiB that powercut gives them.
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


def run(*command):
    """Runs a program of the host; what it says when it fails is in the exception."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: {done.stdout.strip()}")
    return done.stdout


def make(name, kind, mebibytes, *more):
    """An image with a file system of this kind; host.Skip where it cannot be made."""
    HOME.mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(name) if "/" in str(name) else HOME / f"{name}.img"
    if not shutil.which(MAKE[kind][0], path="/usr/sbin:/sbin:/usr/bin:/bin"):
        raise host.Skip(f"{MAKE[kind][0]} is not here")
    path.unlink(missing_ok=True)
    with path.open("wb") as image:
        image.truncate(mebibytes << 20)
    run(*MAKE[kind], *more, path)
    return path


@contextlib.contextmanager
def mounted(image, *options):
    """The image, mounted on a directory of its own; host.Skip where the kernel does not take it."""
    place = HOME / f"mnt-{random.randrange(1 << 48):012x}"
    place.mkdir(parents=True)
    try:
        run("mount", "-o", ",".join(["loop", *options]), image, place)
    except OSError as error:
        place.rmdir()
        raise host.Skip(str(error)) from error
    try:
        yield place
    finally:
        unmount(place)


def unmount(place):
    """Takes a mount away; its loop device goes with it."""
    with contextlib.suppress(OSError):
        run("umount", place)
    if place.is_mount():
        run("umount", "-l", place)
    place.rmdir()


def sweep():
    """Takes away what runs that are over have left, and at its end what this one has: an image may lie on
    another, so the newest first."""
    mounts = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    places = [line.split()[1] for line in mounts]
    for run_of in ALL.glob("*"):
        if run_of != HOME and pathlib.Path("/proc", run_of.name).exists():
            continue
        for place in reversed([place for place in places if place.startswith(f"{run_of}/")]):
            subprocess.run(["umount", "-l", place], check=False, timeout=60)
        shutil.rmtree(run_of, ignore_errors=True)
