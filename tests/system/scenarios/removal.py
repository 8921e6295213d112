"""apt remove, purge, install again: data is never removed with the package."""

import re

from harness import atlaskv

SECONDS = 30


def run(s):
    """One machine, one store, through all of it."""
    with s.installed() as m:
        m.must("atlaskv-ctl put kept yes")
        atlaskv.configure(m, '# mine\n[storage]\nsync = "every-write"\n')
        removed(s, m)
        command = purged(s, m)
        gone(s, m, command)


def removed(s, m):
    """Data and configuration stay."""
    s.does(m, "apt remove", "apt remove -y atlaskv", timeout=120)
    s.does(m, "the daemon is stopped", "pgrep atlaskvd", code=1)
    s.does(m, "it stopped well", "journalctl -u atlaskv -o cat", says="stopped: everything is flushed and synced")
    s.does(m, "the configuration stays", "cat /etc/atlaskv/atlaskv.toml", says="^# mine$")
    s.does(m, "the data stays", "ls /var/lib/atlaskv", says="^MANIFEST$")
    s.does(m, "no program stays", "ls /usr/bin/atlaskv*", code=2)
    s.does(
        m, "no unit is broken", "systemctl is-system-running; systemctl --failed --no-legend", code=0, says="^running$"
    )
    s.does(m, "installed again, it starts", "apt install -y atlaskv", timeout=120)
    s.does(m, "with its data", "atlaskv-ctl get kept", says="^yes$")
    s.does(m, "and its configuration", "atlaskv-ctl --format json ping", says="every-write")


def purged(s, m):
    """The configuration goes; the data stays and its place is named. The command that was printed."""
    m.write("/etc/atlaskv/token", "secret\n", 0o600)
    m.must("cp /etc/atlaskv/atlaskv.toml /etc/atlaskv/second.toml")
    said = s.does(
        m,
        "apt purge says where the data stays and what removes it",
        "apt purge -y atlaskv",
        timeout=120,
        says=["/var/lib/atlaskv", "rm -rf /var/lib/atlaskv"],
    )
    s.does(m, "the configuration is gone, tokens too", "ls -d /etc/atlaskv", code=2)
    s.does(m, "the data is there", "ls /var/lib/atlaskv", says="^MANIFEST$")
    s.does(
        m,
        "nothing else is left",
        "ls -d /run/atlaskv /usr/share/doc/atlaskv /etc/systemd/system/*.wants/atlaskv.service",
        code=2,
        hides="^/",
    )
    s.does(
        m,
        "installed again, it is active and enabled",
        "apt install -y atlaskv && systemctl is-active atlaskv && systemctl is-enabled atlaskv",
        timeout=120,
        says=["^active$", "^enabled$"],
    )
    s.does(m, "with the data of before", "atlaskv-ctl get kept", says="^yes$")
    s.does(m, "and the default configuration", "atlaskv-ctl --format json ping", says="interval")
    printed = re.search(r"rm -rf \S+", said.text)
    return printed.group(0) if printed else "false"


def gone(s, m, command):
    """The command that purge printed does what it says."""
    m.must("apt purge -y atlaskv", timeout=120)
    s.does(m, "the printed command removes the data", command)
    s.does(m, "now it is gone", "ls -d /var/lib/atlaskv", code=2)
    s.does(
        m,
        "installed again, it starts empty",
        "apt install -y atlaskv && atlaskv-ctl get kept",
        code=1,
        timeout=120,
        says="not found",
    )
