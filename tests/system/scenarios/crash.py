"""SIGKILL, SIGSTOP and a power cut under load: systemd restarts, everything acknowledged is there."""

from harness import atlaskv

SECONDS = 60
KILLS = 5
#: More than any stall of a busy machine: the restarts are counted.
WATCHDOG_SECONDS = 10


def run(s):
    """All crashes, one after another, on one machine under one load."""
    with s.installed() as m:
        # Not the subject here: so many crashes in so short a time.
        atlaskv.drop_in(m, f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=100ms\nWatchdogSec={WATCHDOG_SECONDS}\n")
        m.must("systemctl restart atlaskv")
        load = atlaskv.Load(m)
        load.wait_for_more(2000)
        for number in range(1, KILLS + 1):
            killed(s, m, load, number)
        stopped(s, m, load)
        load.stop()
        load.check(s)
        s.does(m, "the restarts are counted", "systemctl show -P NRestarts atlaskv", says=f"^{KILLS + 1}$")
        s.does(
            m,
            "a report of the recovery is in the status",
            "systemctl status atlaskv",
            says=r'Status: ".*last start: after a crash, \d+ operations replayed',
        )
        s.does(m, "and in the figures", "atlaskv-ctl stats", says="recover")
        s.does(m, "and in the log", "journalctl -u atlaskv -o cat", says="recovered")
        every_write(s, m)
        s.does(m, "verify finds nothing lost", "systemctl stop atlaskv; atlaskv-verify /var/lib/atlaskv", says="sound")


def killed(s, m, load, number):
    """SIGKILL while writers write."""
    pid = atlaskv.main_pid(m)
    atlaskv.kill(m)
    load.wait_for_more()
    s.check(f"restarted after SIGKILL {number} and writers go on", atlaskv.main_pid(m) != pid)


def stopped(s, m, load):
    """SIGSTOP: alive for the kernel, dead for everybody else."""
    pid = atlaskv.main_pid(m)
    m.must(f"kill -STOP {pid}")
    atlaskv.replaced(m, pid)
    load.wait_for_more()
    s.does(
        m,
        "the watchdog ended the stopped process",
        "journalctl -u atlaskv -o cat",
        says=["Watchdog timeout", "code=(killed|dumped), status=6/ABRT"],
    )


def every_write(s, m):
    """The power goes: the machine's processes end at once and nothing is flushed by them."""
    atlaskv.configure(m, '[storage]\nsync = "every-write"\n')
    m.must("systemctl restart atlaskv")
    load = atlaskv.Load(m, "power")
    load.wait_for_more()
    m.kill()
    m.start()
    atlaskv.active(m)
    load.check(s, "after the machine itself was ended, every acknowledged write is there")
