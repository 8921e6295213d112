"""The weekly verification: shipped and not enabled; what it says of sound files and of damaged ones."""

from harness import atlaskv

SECONDS = 25


def run(s):
    """One machine, sound first."""
    with s.installed() as m:
        not_enabled(s, m)
        enabled(s, m)
        sound(s, m)
        instance(s, m)
        no_daemon(s, m)
        stopped_meanwhile(s, m)
        damaged(s, m)
        purged(s, m)


def not_enabled(s, m):
    """Only its owner enables it."""
    for unit in ("atlaskv-verify.timer", "atlaskv-verify@x.timer"):
        s.does(m, f"{unit} is not enabled", f"systemctl is-enabled {unit}", code=1, says="^disabled$")
        s.does(m, f"{unit} does not run", f"systemctl is-active {unit}", code=3, says="^inactive$")
    s.does(
        m,
        "exposure of the verification at most 0.2",
        "systemd-analyze security --threshold=2 atlaskv-verify.service >/dev/null",
    )


def sound(s, m):
    """A start of the service is a verification."""
    m.must("for i in $(seq 200); do echo \"key-$i\t$(head -c 1500 /dev/urandom | base64 -w 0)\"; done > /root/keys.tsv")
    m.must("atlaskv-ctl import /root/keys.tsv && atlaskv-ctl flush")
    s.does(m, "no verification yet", "atlaskv-ctl stats", hides="verification")
    s.does(m, "systemctl start atlaskv-verify.service", "systemctl start atlaskv-verify.service")
    figures = atlaskv.stats(m)
    s.check("stats show the outcome", figures.get("verification.verdict") == "sound", figures)
    s.check("every byte was read", figures.get("verification.bytes", 0) > 200 * 2000, figures)
    s.does(
        m,
        "its journal has the outcome",
        "journalctl -o cat _SYSTEMD_UNIT=atlaskv-verify.service",
        says="^sound: 0 findings",
    )
    s.does(m, "the daemon's too", "journalctl -o cat _SYSTEMD_UNIT=atlaskv.service", says="^verified the store's files")


def enabled(s, m):
    """The timer waits for its time."""
    s.does(m, "systemctl enable --now atlaskv-verify.timer", "systemctl enable --now atlaskv-verify.timer")
    s.does(
        m,
        "it is to come, and not at once",
        "systemctl list-timers --no-pager atlaskv-verify.timer",
        says=r"left\s.*atlaskv-verify\.service$",
    )
    m.must("systemctl disable --now atlaskv-verify.timer")
    s.check("it has not verified yet", m.show("ExecMainStartTimestamp", "atlaskv-verify.service") == "")


def instance(s, m):
    """An instance is verified over its own socket."""
    atlaskv.configure(m, '[server]\nlisten = "127.0.0.1:7391"\n', "/etc/atlaskv/one.toml")
    m.must("systemctl start atlaskv@one")
    s.does(m, "systemctl start atlaskv-verify@one.service", "systemctl start atlaskv-verify@one.service")
    s.does(
        m,
        "the instance was verified",
        "atlaskv-ctl --socket /run/atlaskv-one/atlaskv.sock stats",
        says=r"verification\.verdict\s+sound",
    )
    m.must("systemctl stop atlaskv@one")


def no_daemon(s, m):
    """A daemon that is stopped stays so."""
    m.must("systemctl stop atlaskv")
    s.does(m, "without a daemon it is not started", "systemctl start atlaskv-verify.service", code=1)
    s.does(m, "which is no failed unit", "systemctl is-failed atlaskv-verify.service", code=1, says="^inactive$")
    s.does(m, "and starts none", "systemctl is-active atlaskv", code=3, says="^inactive$")
    m.must("systemctl start atlaskv")


def stopped_meanwhile(s, m):
    """The daemon's stop ends a verification, which is no failure."""
    m.must("atlaskv-ctl verify --rate 1MiB --no-wait && systemctl start --no-block atlaskv-verify.service")
    m.wait("it waits for the outcome", "systemctl show -P ActiveState atlaskv-verify.service | grep activating")
    m.wait("its program runs", "pgrep -f 'atlaskv-ctl .* verify$'")
    s.does(m, "the daemon stops while it is verified", "systemctl stop atlaskv")
    shown = m.must("systemctl show -p ActiveState,Result atlaskv-verify.service atlaskv.service").split()
    s.check("neither unit has failed", sorted(shown) == ["ActiveState=inactive"] * 2 + ["Result=success"] * 2, shown)


def damaged(s, m):
    """A byte that no one reads has changed."""
    table = m.must("ls -S /var/lib/atlaskv/*.sst | head -n 1").strip()
    middle = int(m.must(f"stat -c %s {table}")) // 2
    m.must(f"""python3 -c '
file = open("{table}", "r+b")
file.seek({middle})
byte = file.read(1)[0]
file.seek({middle})
file.write(bytes([byte ^ 1]))
'""")
    m.must("systemctl start atlaskv")
    s.does(m, "the daemon starts and does not notice", "atlaskv-ctl health", says="^healthy")
    s.does(m, "damaged: the verification fails", "systemctl start atlaskv-verify.service", code=1)
    s.does(
        m,
        "damaged: the status has the exit code of atlaskv-ctl",
        "systemctl status atlaskv-verify.service",
        code=3,
        says=[r"code=exited, status=3(/|\))", "^.*damaged: "],
    )
    s.does(m, "damaged: systemctl --failed lists it", "systemctl --failed", says="atlaskv-verify.service")
    name = table.rsplit("/", 1)[1]
    s.does(
        m,
        "damaged: the daemon's journal names the file",
        "journalctl -p err -o cat _SYSTEMD_UNIT=atlaskv.service",
        says=rf"^verifying the store's files found: damaged: {name}, offset \d+",
    )
    s.does(
        m,
        "damaged: journalctl -x explains it",
        "journalctl -x -u atlaskv",
        says=["^░░ Subject: Verifying found damage", "^░░ .*atlaskv-verify /var/lib/atlaskv", f"^░░ {name}, offset"],
    )
    s.check("damaged: stats say so", atlaskv.stats(m)["verification.verdict"] == "damaged")
    s.does(m, "damaged: the daemon goes on", "atlaskv-ctl put after yes && atlaskv-ctl get after", says="^yes$")


def purged(s, m):
    """What its owner enabled goes with the package."""
    m.must("systemctl enable --now atlaskv-verify.timer")
    s.does(m, "apt purge with the timer enabled", "apt purge -y atlaskv", timeout=120)
    s.does(m, "purged: the timer does not run", "systemctl is-active atlaskv-verify.timer", code=(3, 4), says="^inactive$")
    s.does(
        m,
        "purged: it is enabled nowhere, and its stamp is gone",
        "find /etc/systemd /var/lib/systemd -name '*atlaskv-verify*'",
        says=r"\A\Z",
    )
