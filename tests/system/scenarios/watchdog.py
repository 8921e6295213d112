"""The watchdog: a stuck engine is ended and restarted; an idle, full or read-only one is healthy."""

import time

from harness import atlaskv

SECONDS = 60
WATCHDOG_SECONDS = 5
#: Takes all room that there is.
FILL = "cat /dev/zero >> /var/lib/atlaskv/filler 2>/dev/null || true"


def run(s):
    """One machine with a short watchdog and the slow disk preloaded."""
    with s.installed() as m:
        atlaskv.slow_disk(m, s.stock)
        atlaskv.drop_in(m, f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\nRestartSec=100ms\n")
        m.must("systemctl restart atlaskv")
        s.does(
            m,
            "core dumps are off, also for the watchdog's",
            "systemctl show -p LimitCORE atlaskv",
            says="^LimitCORE=0$",
        )
        idle(s, m)
        stuck_sync(s, m)
        full(s, m)


def outlive_watchdog(m):
    """Waits for three times the watchdog's patience: only then has it proved anything."""
    end = time.monotonic() + 3 * WATCHDOG_SECONDS
    m.wait("the watchdog's time", lambda: time.monotonic() > end, 4 * WATCHDOG_SECONDS)


def idle(s, m):
    """Nobody asks for anything; the daemon proves that it could, and writes nothing."""
    m.must("atlaskv-ctl put before idle && atlaskv-ctl sync")
    m.wait("the mark after the last write is written", lambda: marked(m))
    log = "cd /var/lib/atlaskv && sha256sum MANIFEST *.log && stat -c '%n %Y' MANIFEST *.log"
    before, pid = m.must(log), atlaskv.main_pid(m)
    outlive_watchdog(m)
    s.check("an idle daemon is fed", atlaskv.main_pid(m) == pid and m.show("NRestarts") == "0")
    s.check("and writes nothing", m.must(log) == before, m.must(log))


def marked(m):
    """Whether the last entry of the log is the mark that follows quiet: no mark follows a mark."""
    newest = "$(ls -t /var/lib/atlaskv/*.log | head -n 1)"
    return m.run(f"atlaskv-verify --dump {newest} | grep '^offset.* LSN ' | tail -n 1 | grep durable-mark").code == 0


def stuck_sync(s, m):
    """A sync never comes back, as on a disk that died."""
    load = atlaskv.Load(m, "stuck", "--threads 2")
    load.wait_for_more(200)
    pid = atlaskv.main_pid(m)
    atlaskv.set_faults(m, "sync .log hang\n")
    m.wait("the watchdog ended it", "journalctl -u atlaskv -o cat | grep 'Watchdog timeout'", 60)
    atlaskv.set_faults(m, "")
    m.wait("a new process", lambda: atlaskv.main_pid(m) not in (0, pid), 60)
    load.wait_for_more()
    load.stop()
    s.check("a daemon whose sync hangs is ended and restarted", m.show("NRestarts") == "1", m.show("NRestarts"))
    load.check(s)


def full(s, m):
    """A restart would not make room."""
    m.must("systemctl stop atlaskv")
    mount = "mount -t tmpfs -o size=400m,mode=0750,uid=$(id -u atlaskv),gid=$(id -g atlaskv) test /var/lib/atlaskv"
    m.must(f"{mount} && systemctl reset-failed atlaskv && systemctl start atlaskv && atlaskv-ctl put kept yes")
    restarts = m.show("NRestarts")
    m.must(FILL)
    # Until what was reserved is used up as well.
    m.wait(
        "writes are refused and the status says so",
        f"{FILL}; ! head -c 4000000 /dev/zero | atlaskv-ctl put big - && systemctl show -P StatusText atlaskv | grep -i full",
        60,
    )
    outlive_watchdog(m)
    # A flush that ended meanwhile may have made room.
    m.wait("writes are refused still", f"{FILL}; ! head -c 4000000 /dev/zero | atlaskv-ctl put big -", 60)
    s.check(
        "a daemon on a full disk is fed",
        m.show("NRestarts") == restarts and m.show("ActiveState") == "active",
        m.show("NRestarts"),
    )
    s.does(
        m,
        "writes are refused with their code",
        "head -c 4000000 /dev/zero | atlaskv-ctl put big -",
        code=8,
        says="full",
    )
    s.does(m, "its status says so", "systemctl show -P StatusText atlaskv", says="(?i)full")
    s.does(m, "and reads", "atlaskv-ctl get kept", says="^yes$")
    m.must("rm /var/lib/atlaskv/filler")
    m.wait("the status is well again", "! systemctl show -P StatusText atlaskv | grep -i full", 60)
    s.does(m, "it takes writes again by itself", "head -c 4000000 /dev/zero | atlaskv-ctl put big -")
