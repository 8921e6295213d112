"""systemctl reload: good, bad, two at once, under load; what cannot change live is named."""

from harness import atlaskv

SECONDS = 30


def run(s):
    """One machine, one load through all reloads, one process."""
    with s.installed() as m:
        load = atlaskv.Load(m)
        load.wait_for_more()
        pid = atlaskv.main_pid(m)
        good(s, m)
        bad(s, m)
        twice(s, m)
        restart_needed(s, m)
        load.wait_for_more()
        load.stop()
        s.check("one process all the while", atlaskv.main_pid(m) == pid, m.show("MainPID"))
        load.check(s)
        s.check("nothing failed and nothing restarted", (m.show("Result"), m.show("NRestarts")) == ("success", "0"))


def policy(m):
    """The sync policy in force."""
    return m.must("atlaskv-ctl --format json ping")


def takes_effect(m, text):
    """Waits until the policy in force is this one: `systemctl reload` may return a moment before."""
    m.wait(f"the policy is {text}", lambda: f'"sync":"{text}"' in policy(m))


def good(s, m):
    """Sync policy, limits and log level change live."""
    atlaskv.configure(m, '[storage]\nsync = "every-write"\nmax_value_size = "1 KiB"\n[log]\nlevel = "debug"\n')
    s.does(m, "systemctl reload", "systemctl reload atlaskv")
    takes_effect(m, "every-write")
    s.does(m, "the sync policy changed", "atlaskv-ctl --format json ping", says="every-write")
    s.does(m, "the limit changed", "head -c 2000 /dev/zero | atlaskv-ctl put big -", code=8, says="1024|1 KiB")
    m.wait("it is active, not reloading", "systemctl show -p ActiveState atlaskv | grep -x ActiveState=active")
    s.does(m, "the reload is in the journal", "journalctl -u atlaskv -o cat", says=["(?i)reload", "sync"])
    atlaskv.configure(m, '[storage]\nsync = "interval"\n')
    s.does(m, "atlaskv-ctl reload --wait", "atlaskv-ctl reload --wait", says="sync")
    takes_effect(m, "interval")
    s.does(
        m, "and it says what is in force", "atlaskv-ctl config show", says=r"storage\.sync\s+interval\s+.*atlaskv\.toml"
    )


def bad(s, m):
    """A bad file changes nothing."""
    atlaskv.configure(m, '[storage]\nsync = "sometimes"\n')
    s.does(m, "systemctl reload with a bad file fails", "systemctl reload atlaskv", code=1)
    s.does(m, "the reason is in the journal", "journalctl -u atlaskv -o cat", says="sometimes")
    s.does(m, "the old configuration is in force", "atlaskv-ctl --format json ping", says="interval")
    s.does(m, "it is active", "systemctl is-active atlaskv")
    # The same without the check that the unit makes first.
    m.must("systemctl kill -s HUP --kill-whom=main atlaskv")
    m.wait(
        "the refusal is logged",
        "journalctl -u atlaskv -o cat | grep -iE 'reload.*refused|refused.*reload|old configuration'",
    )
    s.does(m, "SIGHUP with a bad file changes nothing", "atlaskv-ctl --format json ping", says="interval")
    m.wait("it is active again", "systemctl is-active atlaskv")
    s.does(m, "atlaskv-ctl reload with a bad file fails", "atlaskv-ctl reload --wait", code=2, says="sometimes")


def twice(s, m):
    """Two reloads at once, by both ways."""
    atlaskv.configure(m, '[storage]\nsync = "os-default"\n')
    s.does(m, "two reloads at once", "systemctl reload atlaskv & first=$!; systemctl reload atlaskv && wait $first")
    takes_effect(m, "os-default")
    atlaskv.configure(m, '[storage]\nsync = "interval"\n')
    m.must("kill -HUP $(systemctl show -P MainPID atlaskv); kill -HUP $(systemctl show -P MainPID atlaskv)")
    takes_effect(m, "interval")
    m.wait("it is active", "systemctl is-active atlaskv")
    s.does(m, "twenty reloads in a row", "for i in $(seq 20); do systemctl reload atlaskv || exit; done")


def restart_needed(s, m):
    """What cannot change live is named, and does not change."""
    atlaskv.configure(m, '[server]\nlisten = "127.0.0.1:7399"\n')
    s.does(
        m,
        "atlaskv-ctl reload names what needs a restart",
        "atlaskv-ctl reload --wait",
        says=[r"server\.listen", "restart"],
    )
    m.wait(
        "the log names it", "journalctl -u atlaskv -o cat | grep -E 'server\\.listen.*restart|restart.*server\\.listen'"
    )
    s.does(m, "the old address answers", "atlaskv-ctl ping")
    atlaskv.configure(m, "")
    m.must("systemctl reload atlaskv")
