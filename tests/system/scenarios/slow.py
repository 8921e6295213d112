"""Long starts and stops under short limits: they end well while they make progress, and only then."""

import time

from harness import atlaskv

SECONDS = 75

#: What systemd allows without being asked for more, far below what the slow disk makes it take.
START_SECONDS = 4
STOP_SECONDS = 3
#: Less than a memtable, so that all of it waits for the replay or the last flush.
MEBIBYTES = 40
#: Files are read and written in pieces of 256 KiB: 12 s for all of it, about a second for 4 MiB.
SLOW_READS = "read .log 75\n"
#: 48 s for all of it: there is time to look at it before it is made to stall.
SLOWER_READS = "read .log 300\n"
SLOW_WRITES = "write .sst 75\n"
#: A start that stalls ends at the latest when the last extension has run out.
STALL_SECONDS = 90


def run(s):
    """One machine, with the slow disk preloaded."""
    with s.installed() as m:
        atlaskv.slow_disk(m, s.stock)
        atlaskv.drop_in(m, f"[Service]\nRestart=no\nTimeoutStartSec={START_SECONDS}\nTimeoutStopSec={STOP_SECONDS}\n")
        m.must("systemctl restart atlaskv")
        atlaskv.fill(m, MEBIBYTES)
        slow_stop(s, m)
        m.must("systemctl start atlaskv")
        hurried_stop(s, m)
        m.must("systemctl start atlaskv")
        filled = atlaskv.fill(m, MEBIBYTES)
        m.must("systemctl kill -s KILL --kill-whom=main atlaskv")
        m.wait("it is dead", "systemctl is-failed atlaskv")
        stalled_start(s, m)
        slow_start(s, m, filled)


def watched(m, command, seconds):
    """Runs a systemctl job; how long it took, how it ended, and the texts that the status had meanwhile."""
    began = time.monotonic()
    m.must(f"systemctl {command} atlaskv --no-block")
    texts = set()
    while time.monotonic() < began + seconds:
        shown = m.must("systemctl show -p StatusText,ActiveState,Result atlaskv")
        fields = dict(line.partition("=")[::2] for line in shown.splitlines())
        texts.add(fields["StatusText"])
        if fields["ActiveState"] in ("active", "inactive", "failed") and m.run("systemctl list-jobs").out.startswith(
            "No jobs"
        ):
            break
        time.sleep(0.1)
    return time.monotonic() - began, fields, sorted(texts)


def slow_stop(s, m):
    """The last flush takes much longer than TimeoutStopSec."""
    atlaskv.set_faults(m, SLOW_WRITES)
    took, fields, texts = watched(m, "stop", 120)
    atlaskv.set_faults(m, "")
    s.check(
        f"a flush of {took:.0f} s under TimeoutStopSec={STOP_SECONDS} ends well",
        fields["Result"] == "success" and fields["ActiveState"] == "inactive" and took > 2 * STOP_SECONDS,
        f"{took} {fields}",
    )
    s.check("and the status said how far it was", any("%" in text for text in texts), "\n".join(texts))
    s.does(
        m, "nothing is left to replay", "atlaskv-verify --format json /var/lib/atlaskv", says='"clean_shutdown":true'
    )


def hurried_stop(s, m):
    """The last flush would take long, and a second SIGTERM does without it."""
    filled = atlaskv.fill(m, MEBIBYTES)
    atlaskv.set_faults(m, SLOW_WRITES)
    m.must("systemctl stop atlaskv --no-block")
    m.wait("the final flush has begun", "systemctl show -P StatusText atlaskv | grep -q 'final flush'")
    began = time.monotonic()
    m.must("systemctl kill -s TERM --kill-whom=main atlaskv")
    m.wait("it has ended", 'test "$(systemctl show -P ActiveState atlaskv)" = inactive')
    s.check(f"a second SIGTERM ends it in {time.monotonic() - began:.1f} s", m.show("Result") == "success")
    atlaskv.set_faults(m, "")
    s.does(m, "it says so", "journalctl -u atlaskv -o cat", says="no final flush, the next start replays the log")
    m.must("systemctl start atlaskv")
    s.does(m, "and everything is there", f"atlaskv-ctl scan --prefix fill: | cmp - {filled}")
    m.must("systemctl stop atlaskv")


def slow_start(s, m, filled):
    """The replay takes much longer than TimeoutStartSec."""
    atlaskv.set_faults(m, SLOW_READS)
    took, fields, texts = watched(m, "start", 180)
    atlaskv.set_faults(m, "")
    s.check(
        f"a replay of {took:.0f} s under TimeoutStartSec={START_SECONDS} ends well",
        fields["ActiveState"] == "active" and took > 2 * START_SECONDS,
        f"{took} {fields}",
    )
    s.check(
        "and the status said which segment and how far",
        any("segment" in text and "%" in text for text in texts),
        "\n".join(texts),
    )
    s.does(m, "everything is there", f"atlaskv-ctl scan --prefix fill: | cmp - {filled}")


def stalled_start(s, m):
    """The replay makes progress for a while and then none."""
    atlaskv.set_faults(m, SLOWER_READS)
    m.must("systemctl start atlaskv --no-block")
    m.wait(
        "it is longer under way than it may without progress",
        f"test $(( $(systemctl show -P ExecMainStartTimestampMonotonic atlaskv) + {START_SECONDS + 1} * 1000000 ))"
        " -lt $(python3 -c 'import time; print(int(time.monotonic() * 1e6))')",
    )
    s.does(m, "while it makes progress it is starting", "systemctl is-active atlaskv", code=3, says="^activating$")
    atlaskv.set_faults(m, "read .log hang\n")
    began = time.monotonic()
    m.wait("it failed", "systemctl is-failed atlaskv", STALL_SECONDS)
    atlaskv.set_faults(m, "")
    s.check(
        f"a replay that stalls is ended, after {time.monotonic() - began:.0f} s",
        m.show("Result") == "timeout",
        m.show("Result"),
    )
