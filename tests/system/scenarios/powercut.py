"""Power cuts on ext4, XFS and Btrfs: crash images taken under load, each started, every promise checked.

The data directory is on a file system in an image, which lies on XFS: `cp --reflink=always` copies it at one
moment. What the file system had not written then is not in the copy, as after a power cut. Binaries: those of
target/release. ATLASKV_POWERCUT_IMAGES sets the images for each file system and policy, ATLASKV_TEST_SEED the
moments.
"""

import os
import random
import threading
import time

from harness import host, image, local

SECONDS = 45
WRITERS = 4
POLICIES = ("every-write", "interval", "os-default")
VALUE = b"v" * 200
#: Small, so that flushes, compactions and new segments are always under way.
STORAGE = 'memtable_size = "8 KiB"\nsegment_size = "16 KiB"\nsync_interval_ms = 20\n'


class Writer(threading.Thread):
    """Writes keys 0, 1, 2, … of its own; knows how many were acknowledged."""

    def __init__(self, daemon, number):
        super().__init__(daemon=True)
        self.client, self.number = daemon.client(), number
        self.sent = self.acknowledged = 0
        self.stopping = False

    def run(self):
        while not self.stopping:
            self.sent += 1
            try:
                self.client.put(key(self.number, self.acknowledged), VALUE)
            except OSError:
                return
            self.acknowledged += 1


def key(writer, number):
    """The key of a writer's n-th write."""
    return b"%d/%08d" % (writer, number)


def run(s):
    """Every file system under every policy."""
    seed = int(os.environ.get("ATLASKV_TEST_SEED", random.randrange(1 << 32)))
    images = int(os.environ.get("ATLASKV_POWERCUT_IMAGES", 2))
    print(f"powercut: ATLASKV_TEST_SEED={seed} ATLASKV_POWERCUT_IMAGES={images}", flush=True)
    chance = random.Random(seed)
    try:
        with image.mounted(image.make("reflink", "xfs", 4096)) as base:
            for kind in image.MAKE:
                for policy in POLICIES:
                    try:
                        cut(s, base, kind, policy, images, chance)
                    except host.Skip as reason:
                        print(f"powercut: skipped: {kind}: {reason}", flush=True)
                        break
    except host.Skip as reason:
        # Without a copy of one moment there is no crash image.
        print(f"powercut: skipped: no file system with reflink: {reason}", flush=True)


def cut(s, base, kind, policy, images, chance):
    """Takes the images under load, then starts each."""
    disk = image.make(base / "disk.img", kind, 320)
    taken = []
    with image.mounted(disk) as place:
        with local.Daemon(place / "data", f'sync = "{policy}"\n{STORAGE}') as daemon:
            writers = [Writer(daemon, number) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            busy = wait_for_compaction(daemon)
            for number in range(images):
                time.sleep(chance.uniform(0.1, 0.8))
                taken.append(take(base, disk, daemon, writers, policy, number))
            for writer in writers:
                writer.stopping = True
            for writer in writers:
                writer.join(60)
    s.check(f"{kind}, {policy}: flushes and compactions are under way", busy)
    for number, (crash, promised) in enumerate(taken):
        started(s, f"{kind}, {policy}, image {number}", kind, crash, promised)
        crash.unlink()
    disk.unlink()


def wait_for_compaction(daemon):
    """Whether the load has led to one; it must within a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if daemon.stats()["engine.compactions"] > 0:
            return True
        time.sleep(0.05)
    return False


def take(base, disk, daemon, writers, policy, number):
    """One crash image, and how many writes of each writer it must hold."""
    promised = [writer.acknowledged for writer in writers]
    if policy != "every-write":
        code, said = daemon.ctl("sync")
        if code != 0:
            raise RuntimeError(said)
        # So that there is something that nothing proves.
        time.sleep(0.05)
    crash = base / f"crash-{number}.img"
    image.run("cp", "--reflink=always", disk, crash)
    return crash, promised


def started(s, what, kind, crash, promised):
    """Mounts a crash image, verifies it, starts the daemon, and looks for everything promised."""
    options = ["nouuid"] if kind == "xfs" else []
    with image.mounted(crash, *options) as place:
        code, said = local.verify(place / "data")
        try:
            with local.Daemon(place / "data", STORAGE) as daemon:
                held = [prefix(daemon, number) for number in range(WRITERS)]
        except RuntimeError as error:
            s.check(f"{what}: it starts", False, f"{error}\n{said}")
            return
    s.check(f"{what}: verify finds nothing lost", code == 0, said)
    gaps = [number for number, (_, whole) in enumerate(held) if not whole]
    lost = [number for number, (count, _) in enumerate(held) if count < promised[number]]
    s.check(
        f"{what}: all {sum(promised)} promised writes are there",
        not lost and not gaps,
        f"promised {promised}, found {held}",
    )


def prefix(daemon, writer):
    """How many keys of a writer are there, and whether they are its first ones with the values written."""
    code, said = daemon.ctl("scan", "--prefix", f"{writer}/")
    if code != 0:
        raise RuntimeError(said)
    found = said.count("\n")
    client = daemon.client()
    whole = all(value == VALUE for value in local.values(client, [key(writer, number) for number in range(found)]))
    client.close()
    return found, whole
