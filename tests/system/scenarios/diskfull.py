"""A full disk (ext4) and a used-up quota (Btrfs): what is refused, what goes on, how it resumes.

Binaries: those of target/release.
"""

import contextlib
import errno
import os
import time

from harness import host, image, local

SECONDS = 30
DELETE = 0x12
VALUE = b"v" * 32768
#: The reserve is then about 6.3 MiB.
STORAGE = """
memtable_size = "1 MiB"
segment_size = "2 MiB"
max_value_size = "64 KiB"
max_batch_size = "1 MiB"
max_batch_operations = 1000
"""
BALLAST = 12 << 20
FULL = r"full"


def run(s):
    """Once with the disk full, once with a quota used up; both on images."""
    try:
        with image.mounted(image.make("full", "ext4", 64)) as place:
            story(s, "disk full", place / "data")
    except host.Skip as reason:
        print(f"diskfull: skipped: {reason}", flush=True)
    try:
        quota(s)
    except host.Skip as reason:
        print(f"diskfull: quota skipped: {reason}", flush=True)


def quota(s):
    """In a Btrfs subvolume with a limit: like a user's quota it ends in EDQUOT, and kernels that were built without
    quotas have it. There a rename may be refused for want of room too."""
    with image.mounted(image.make("quota", "btrfs", 320)) as place:
        home = place / "limited"
        try:
            image.run("btrfs", "subvolume", "create", home)
            image.run("btrfs", "quota", "enable", place)
            image.run("btrfs", "qgroup", "limit", "40M", home)
        except OSError as error:
            raise host.Skip(str(error)) from error
        limited(s, home / "data", lambda: image.run("btrfs", "qgroup", "limit", "160M", home))


def key(number):
    """The n-th key."""
    return b"k%08d" % number


def fill(client, first=0):
    """Puts until one is refused; how many were answered, and the refusal."""
    for number in range(first, 100_000):
        try:
            client.put(key(number), VALUE)
        except local.Refused as refused:
            return number, str(refused)
    raise RuntimeError("it does not get full")


def delete(client, numbers):
    """Deletes keys, each answered."""
    for number in numbers:
        client.send(DELETE, local.field(key(number)))
        client.receive()


def all_there(client, numbers):
    """Whether every one of these keys has its value."""
    return all(value == VALUE for value in local.values(client, [key(number) for number in numbers]))


def exits(s, what, daemon, code, *arguments, **how):
    """Runs atlaskv-ctl once and checks its exit code."""
    got, said = daemon.ctl(*arguments, **how)
    return s.check(what, got == code, f"exit code {got}, not {code}: {said}\n{daemon.stats()}") and said


def refuses_puts(s, name, daemon, client, written):
    """Checks that a put is refused and why, and the figures; fills anew what a flush or a merge gives back meanwhile.
    How many puts were answered."""
    last = {}

    def once():
        last["written"], _ = fill(client, last.get("written", written))
        code, said = daemon.ctl("put", "big", "-", give=VALUE)
        last.update(code=code, said=said, stats=daemon.stats())
        return code == 8 and last["stats"]["engine.state"] == "disk-full"

    done = within_a_minute(once)
    s.check(f"{name}: atlaskv-ctl put has exit code 8, and the figures say why", done, last)
    s.check(f"{name}: and says so", FULL in last["said"], last)
    return last["written"]


def within_a_minute(condition):
    """Whether a condition comes to hold."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def resumes(daemon):
    """Whether puts are taken again, of the same process."""
    return within_a_minute(lambda: daemon.ctl("put", "resumed", "yes")[0] == 0) and daemon.process.poll() is None


def hog(ballast, left=lambda: 0):
    """Somebody else takes what room there is, and leaves as many bytes as are to be left by then."""
    try:
        ballast.touch()
    except OSError as error:
        # A quota can leave no room for a name.
        if error.errno not in (errno.EDQUOT, errno.ENOSPC) or left() > 0:
            raise
        return
    with ballast.open("ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(65536))
                os.fsync(file.fileno())
        bytes_left = left()
        if bytes_left > 0:
            file.truncate(max(0, file.tell() - bytes_left))
            os.fsync(file.fileno())


def held(data):
    """Bytes of the reserve that are held."""
    with contextlib.suppress(FileNotFoundError):
        return (data / "RESERVE.tmp").stat().st_size
    return 0


def story(s, name, data):
    """Full, restarted while full, room made, full again, emptied by deletes."""
    ballast = data.parent / "ballast"
    # More than the reserve, so that its removal makes room for that too; what hog() adds may be less.
    ballast.write_bytes(bytes(BALLAST))
    with local.Daemon(data, STORAGE) as daemon:
        client = daemon.client()
        whole = held(data)
        written, _ = fill(client)
        # What was freed of the reserve is the store's alone: less is promised where somebody else takes that too.
        hog(ballast, lambda: whole - held(data))
        written, refusal = fill(client, written)
        s.check(f"{name}: {written} puts of 32 KiB, then refused, saying why", FULL in refusal, refusal)
        written = refuses_puts(s, name, daemon, client, written)
        s.check(f"{name}: reads go on", all_there(client, range(written)))
        exits(s, f"{name}: a delete is done", daemon, 0, "delete", key(0).decode())
        exits(s, f"{name}: a flush is done", daemon, 0, "flush")
        hog(ballast, lambda: whole - held(data))
        exits(s, f"{name}: deletes are still done", daemon, 0, "delete", key(1).decode())
        written = refuses_puts(s, f"{name} again", daemon, client, written)
    with local.Daemon(data, STORAGE) as daemon:
        client = daemon.client()
        s.check(f"{name}: killed and started again, reads are served", all_there(client, range(2, written)))
        s.check(f"{name}: what was deleted stays so", local.values(client, [key(0), key(1)]) == [None, None])
        written, refusal = fill(client, written)
        s.check(f"{name}: and puts are refused", FULL in refusal, refusal)
        ballast.unlink()
        s.check(f"{name}: with room made, writing resumes without a restart", resumes(daemon), daemon.stats())
        written, _ = fill(client, written)
        kept = range(written - 5, written)
        delete(client, range(2, written - 5))
        exits(s, f"{name}: full again and mostly deleted, a compaction is done", daemon, 0, "compact")
        s.check(f"{name}: deletes alone make room", resumes(daemon), daemon.stats())
        s.check(f"{name}: what was not deleted is there", all_there(client, kept))
    code, said = local.verify(data)
    s.check(f"{name}: verify finds nothing lost", code == 0, said)


def limited(s, data, make_room):
    """A quota used up, and raised. What Btrfs writes anew at each append is not held back, so no more is promised
    than while the quota leaves room for that."""
    name = "quota used up"
    with local.Daemon(data, STORAGE) as daemon:
        client = daemon.client()
        written, refusal = fill(client)
        s.check(f"{name}: {written} puts of 32 KiB, then refused, saying why", FULL in refusal, refusal)
        written = refuses_puts(s, name, daemon, client, written)
        s.check(f"{name}: reads go on", all_there(client, range(written)))
        hog(data.parent / "ballast")
        last = key(written - 1).decode()
        code, said = daemon.ctl("delete", last)
        # An append into room that was preallocated takes new room there, for a moment.
        refused = code == 8 and FULL in said
        s.check(f"{name}, to the last byte: a delete is done, or refused as on a full disk", code == 0 or refused, said)
        s.check(f"{name}, to the last byte: nothing is read-only", daemon.stats()["engine.state"] != "read-only")
        written -= 1
        make_room()
        s.check(f"{name}: with the quota raised, writing resumes without a restart", resumes(daemon), daemon.stats())
        s.check(f"{name}: and all is there", all_there(client, range(written)))
    with local.Daemon(data, STORAGE) as daemon:
        s.check(f"{name}: also after a kill", all_there(daemon.client(), range(written)))
    code, said = local.verify(data)
    s.check(f"{name}: verify finds nothing lost", code == 0, said)
