"""apt install atlaskv, word for word: users, owners, modes, hardening, first use, a reboot."""

from harness import atlaskv, packages

SECONDS = 20

#: Path, type and mode, owner:group. Everything of the system that belongs to the service.
FILES = """
/etc/atlaskv drwxr-x--- root:atlaskv
/etc/atlaskv/atlaskv.toml -rw-r----- root:atlaskv
/var/lib/atlaskv drwxr-x--- atlaskv:atlaskv
/var/lib/atlaskv/MANIFEST -rw------- atlaskv:atlaskv
/var/lib/atlaskv/LOCK -rw------- atlaskv:atlaskv
/run/atlaskv drwxr-x--- atlaskv:atlaskv
/run/atlaskv/atlaskv.sock srw-rw---- atlaskv:atlaskv
/usr/bin/atlaskvd -rwxr-xr-x root:root
/usr/bin/atlaskv-ctl -rwxr-xr-x root:root
/usr/bin/atlaskv-verify -rwxr-xr-x root:root
/usr/bin/atlaskv-compact-offline -rwxr-xr-x root:root
/usr/bin/atlaskv-bench -rwxr-xr-x root:root
/lib/systemd/system/atlaskv.service -rw-r--r-- root:root
/lib/systemd/system/atlaskv@.service -rw-r--r-- root:root
/lib/systemd/system/atlaskv.socket -rw-r--r-- root:root
/lib/systemd/system/atlaskv-verify.service -rw-r--r-- root:root
/lib/systemd/system/atlaskv-verify@.service -rw-r--r-- root:root
/lib/systemd/system/atlaskv-verify.timer -rw-r--r-- root:root
/lib/systemd/system/atlaskv-verify@.timer -rw-r--r-- root:root
/usr/share/doc/atlaskv/copyright -rw-r--r-- root:root
"""

MANUALS = [
    "1 atlaskv-ctl",
    "1 atlaskv-verify",
    "1 atlaskv-compact-offline",
    "1 atlaskv-bench",
    "5 atlaskv.toml",
    "7 atlaskv",
    "8 atlaskvd",
]


def run(s):
    """The whole story on one machine."""
    with s.machine() as m:
        packages.serve(m, s.stock)
        s.does(m, "apt install atlaskv", "apt install atlaskv </dev/null", timeout=120, hides=["warning", "rror"])
        s.does(m, "it is active", "systemctl is-active atlaskv", says="^active$")
        s.does(m, "it is enabled", "systemctl is-enabled atlaskv", says="^enabled$")
        s.does(m, "the socket unit is not enabled", "systemctl is-enabled atlaskv.socket", code=1, says="^disabled$")
        s.does(
            m,
            "it told systemd that it is ready",
            "systemctl show -p Type,StatusText atlaskv",
            says=["^Type=notify$", "^StatusText=.+"],
        )
        s.does(
            m,
            "systemctl status shows what it does",
            "systemctl status atlaskv",
            says=[r"Active: active \(running\)", "Status: "],
        )
        s.does(m, "nothing of the system failed", "systemctl is-system-running", says="^running$")
        owners_and_modes(s, m)
        hardening(s, m)
        manuals(s, m)
        first_use(s, m)
        m.reboot()
        after_reboot(s, m)


def owners_and_modes(s, m):
    """Who owns what."""
    s.does(
        m,
        "the user is a system user who cannot log in",
        "getent passwd atlaskv",
        says=r"^atlaskv:x:[1-9]\d{0,2}:\d+:[^:]*:/var/lib/atlaskv:/usr/sbin/nologin$",
    )
    s.does(m, "the daemon runs as that user", "ps -o user= -p $(systemctl show -P MainPID atlaskv)", says="^atlaskv$")
    for line in FILES.strip().splitlines():
        path, mode, owner = line.split()
        s.does(m, f"{path} is {mode} {owner}", f"stat -c '%A %U:%G' {path}", says=f"^{mode} {owner}$")
    s.does(
        m, "no one else reads the data", "runuser -u nobody -- ls /var/lib/atlaskv", code=2, says="Permission denied"
    )
    s.does(
        m,
        "no one else reads the configuration",
        "runuser -u nobody -- cat /etc/atlaskv/atlaskv.toml",
        code=1,
        says="Permission denied",
    )
    s.does(
        m,
        "no one else administers",
        "runuser -u nobody -- atlaskv-ctl --socket /run/atlaskv/atlaskv.sock flush",
        code=(5, 6, 8),
        says="[Pp]ermission denied",
    )
    m.must("useradd -m -G atlaskv alice")
    s.does(m, "a member of the group administers", "atlaskv-ctl flush", user="alice")


def hardening(s, m):
    """Both ways of asking, at most 1.0; and what a unit promises is in force."""
    s.does(
        m,
        "systemd-analyze verify has nothing to say",
        "systemd-analyze verify atlaskv.service atlaskv.socket atlaskv-verify.timer atlaskv-verify@x.timer",
        hides="atlaskv",
    )
    s.does(
        m,
        "exposure at most 1.0, of the file",
        "systemd-analyze security --offline=true --threshold=10 /lib/systemd/system/atlaskv.service >/dev/null",
    )
    s.does(
        m,
        "exposure at most 1.0, by the running manager",
        "systemd-analyze security --threshold=10 atlaskv.service >/dev/null",
    )
    s.does(
        m, "exposure of instances at most 1.0", "systemd-analyze security --threshold=10 atlaskv@x.service >/dev/null"
    )
    s.does(
        m,
        "the daemon has no capabilities and gains none",
        "cat /proc/$(systemctl show -P MainPID atlaskv)/status",
        says=[r"^CapEff:\s0+$", r"^CapBnd:\s0+$", r"^NoNewPrivs:\s1$", r"^Seccomp:\s2$"],
    )
    s.does(
        m, "no core dumps", "cat /proc/$(systemctl show -P MainPID atlaskv)/limits", says=r"^Max core file size\s+0\s+0"
    )
    s.does(
        m,
        "what cannot be seen in here is asked for",
        "systemctl show -p OOMScoreAdjust,LimitNOFILE,UMask,WatchdogUSec atlaskv",
        says=["^OOMScoreAdjust=-500$", "^LimitNOFILE=65536$", "^UMask=0077$", "^WatchdogUSec=30s$"],
    )


def manuals(s, m):
    """Manuals and completions are where people look for them."""
    for manual in MANUALS:
        s.does(m, f"man {manual}", f"MANWIDTH=80 man -P cat {manual}", says="^NAME", timeout=90)
    s.does(
        m,
        "bash completes",
        "bash -lic 'source /usr/share/bash-completion/bash_completion; "
        "_completion_loader atlaskv-ctl; complete -p atlaskv-ctl' 2>/dev/null",
        says="atlaskv-ctl",
    )
    s.does(
        m,
        "completions for zsh and fish are there",
        "ls /usr/share/zsh/vendor-completions/_atlaskv-ctl /usr/share/fish/vendor_completions.d/atlaskv-ctl.fish",
    )


def first_use(s, m):
    """What a person tries first."""
    s.does(m, "atlaskv-ctl put", "atlaskv-ctl put greeting hello", says=r"^\d+/\d+$")
    s.does(m, "atlaskv-ctl get", "atlaskv-ctl get greeting", says="^hello$")
    s.does(m, "atlaskv-ctl stats", "atlaskv-ctl stats", says="running")
    s.does(
        m,
        "an ordinary user puts and gets",
        "atlaskv-ctl put user:nobody here && atlaskv-ctl get user:nobody",
        user="nobody",
        says="^here$",
    )
    s.does(m, "atlaskv-verify beside the running daemon", "atlaskv-verify /var/lib/atlaskv", says="sound")
    s.does(
        m,
        "atlaskv-compact-offline is refused while it runs",
        "atlaskv-compact-offline /var/lib/atlaskv",
        code=4,
        says=r"atlaskvd, process \d+ \(unit atlaskv\.service\)",
    )
    s.does(m, "the ready message is in the journal", "journalctl -u atlaskv -o cat", says="ready")


def after_reboot(s, m):
    """The machine comes back by itself."""
    atlaskv.active(m)
    s.does(m, "after a reboot the data is there", "atlaskv-ctl get greeting", says="^hello$")
    s.does(m, "the shutdown before it was clean", "journalctl -u atlaskv -b -1 -o cat", says="stopped")
    s.does(m, "it stops well", "systemctl stop atlaskv")
    s.check("and leaves with 0", m.show("ExecMainStatus") == "0" and m.show("Result") == "success", m.show("Result"))
