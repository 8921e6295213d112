"""What goes wrong at a start: once, with one clear message and its exit code; nothing loops."""

from harness import atlaskv

SECONDS = 45


def run(s):
    """Each fault on the same machine, mended before the next."""
    with s.installed() as m:
        m.must("atlaskv-ctl put kept yes && atlaskv-ctl flush")
        configuration(s, m)
        lock(s, m)
        port(s, m)
        full(s, m)
        read_only(s, m)
        newer(s, m)
        damaged_table(s, m)
        damaged_log(s, m)


def fails(s, m, what, code, says):
    """A start that fails once, visibly."""
    m.must(
        "systemctl stop atlaskv; systemctl reset-failed atlaskv; journalctl --rotate -q; journalctl --vacuum-time=1us -q"
    )
    s.does(m, f"{what}: systemctl start says so", "systemctl start atlaskv", code=1)
    shown = m.must("systemctl show -p ExecMainStatus,Result,NRestarts,ActiveState,SubState atlaskv")
    fields = dict(line.split("=", 1) for line in shown.splitlines())
    expected = {
        "ExecMainStatus": str(code),
        "Result": "exit-code",
        "NRestarts": "0",
        "ActiveState": "failed",
        "SubState": "failed",
    }
    s.check(f"{what}: it fails once, with {code}", fields == expected, shown)
    s.does(
        m,
        f"{what}: the status shows the code",
        "systemctl status atlaskv",
        code=3,
        says=rf"code=exited, status={code}(/|\))",
    )
    # By what the daemon itself sends: of a process that is gone the journal may no longer find out the unit.
    m.must("journalctl --sync")
    errors = m.must("journalctl -p err -o cat SYSLOG_IDENTIFIER=atlaskvd || true").strip().splitlines()
    s.check(
        f"{what}: one message, which says what is wrong",
        len(errors) == 1,
        "\n".join(errors) or m.must("journalctl -u atlaskv"),
    )
    s.does(m, f"{what}: the message", "journalctl -o cat SYSLOG_IDENTIFIER=atlaskvd", says=says)


def works_again(s, m, what):
    """After mending, the same command starts it."""
    s.does(
        m,
        f"{what}: mended, it starts and the data is there",
        "systemctl reset-failed atlaskv; systemctl restart atlaskv && atlaskv-ctl get kept",
        says="^yes$",
    )


def configuration(s, m):
    """A key that does not exist."""
    atlaskv.configure(m, "[server]\nlissten = 1\n")
    fails(s, m, "bad configuration", 2, [r"/etc/atlaskv/atlaskv\.toml", "lissten"])
    s.does(
        m,
        "bad configuration: --check-config says the same",
        "runuser -u atlaskv -- atlaskvd --config /etc/atlaskv/atlaskv.toml --check-config",
        code=2,
        says="lissten",
    )
    atlaskv.configure(m, "")
    works_again(s, m, "bad configuration")


def lock(s, m):
    """Another daemon has the directory."""
    m.must("systemctl stop atlaskv")
    m.must(
        "systemd-run -q --unit=test-holder --uid=atlaskv --gid=atlaskv /usr/bin/atlaskvd --data-dir /var/lib/atlaskv "
        "--listen 127.0.0.1:7400 --admin-socket /tmp/holder.sock"
    )
    m.wait("the other daemon serves", "atlaskv-ctl --addr 127.0.0.1:7400 ping")
    holder = m.show("MainPID", "test-holder")
    fails(s, m, "lock held", 4, [rf"process {holder}\b", "/var/lib/atlaskv"])
    m.must("systemctl stop test-holder")
    works_again(s, m, "lock held")


def port(s, m):
    """Somebody else listens there."""
    m.must("systemctl stop atlaskv")
    m.must(
        "systemd-run -q --unit=test-port python3 -c \"import socket, signal; s = socket.create_server(('127.0.0.1', 7390)); signal.pause()\""
    )
    m.wait("the port is taken", "ss -ltn | grep 127.0.0.1:7390")
    fails(s, m, "port taken", 6, [r"127\.0\.0\.1:7390", "in use"])
    m.must("systemctl stop test-port")
    works_again(s, m, "port taken")


def full(s, m):
    """No room at all, on a file system of its own."""
    m.must("systemctl stop atlaskv && cp -a /var/lib/atlaskv /var/lib/saved")
    m.must("mount -t tmpfs -o size=256m,mode=0750,uid=$(id -u atlaskv),gid=$(id -g atlaskv) test /var/lib/atlaskv")
    m.must(
        "cp -a --sparse=always /var/lib/saved/. /var/lib/atlaskv/; dd if=/dev/zero of=/var/lib/atlaskv/filler bs=64k 2>/dev/null || true"
    )
    before = m.must("cd /var/lib/atlaskv && sha256sum MANIFEST *.sst")
    fails(s, m, "disk full", 8, ["(?i)space|full", "/var/lib/atlaskv"])
    s.check("disk full: nothing was changed", m.must("cd /var/lib/atlaskv && sha256sum MANIFEST *.sst") == before)
    m.must("rm /var/lib/atlaskv/filler")
    works_again(s, m, "disk full")
    m.must("systemctl stop atlaskv && umount /var/lib/atlaskv && rm -r /var/lib/saved && systemctl start atlaskv")


def read_only(s, m):
    """A file system that takes no writes."""
    m.must("systemctl stop atlaskv")
    atlaskv.drop_in(m, "[Service]\nStateDirectory=\nReadOnlyPaths=/var/lib/atlaskv\n")
    fails(
        s,
        m,
        "read-only directory",
        8,
        ["(?i)read-only file system", "/var/lib/atlaskv", "(?i)ReadWritePaths|data-dir.conf|mount"],
    )
    atlaskv.undrop(m)
    works_again(s, m, "read-only directory")


def newer(s, m):
    """Data of a version to come."""
    m.must("systemctl stop atlaskv && cp -a /var/lib/atlaskv/MANIFEST /root/MANIFEST")
    atlaskv.stamp_format(m, 99)
    before = m.must("cd /var/lib/atlaskv && sha256sum MANIFEST *.log *.sst")
    fails(s, m, "newer format", 7, ["99", r"\b1\b"])
    s.check(
        "newer format: nothing was touched", m.must("cd /var/lib/atlaskv && sha256sum MANIFEST *.log *.sst") == before
    )
    m.must("cp -a /root/MANIFEST /var/lib/atlaskv/MANIFEST")
    works_again(s, m, "newer format")


def damaged_table(s, m):
    """A bit of a table's header."""
    m.must("systemctl stop atlaskv")
    table = m.must("ls /var/lib/atlaskv/*.sst | head -n 1").strip()
    m.must(f"cp -a {table} /root/table && printf X | dd of={table} bs=1 seek=9 conv=notrunc status=none")
    fails(s, m, "damaged table", 3, [table.rsplit("/", 1)[1].replace(".", r"\."), "atlaskv-verify"])
    m.must(f"cp -a /root/table {table}")
    works_again(s, m, "damaged table")


def damaged_log(s, m):
    """A bit of an entry that is proven to have been synced."""
    m.must("systemctl stop atlaskv && systemctl start atlaskv")
    m.must("for i in $(seq 20); do atlaskv-ctl put log:$i needle-$i >/dev/null; done; atlaskv-ctl sync")
    # This entry carries that all before it was synced.
    m.must("atlaskv-ctl put proof 1 && atlaskv-ctl sync")
    # A restart would move it all from the log to a table.
    atlaskv.drop_in(m, "[Service]\nRestart=no\n")
    m.must("systemctl kill -s KILL --kill-whom=main atlaskv")
    m.wait("it is dead", "systemctl is-failed atlaskv")
    atlaskv.undrop(m)
    log = m.must("grep -l needle-10 /var/lib/atlaskv/*.log").strip()
    at = m.must(f"grep -abo needle-10 {log} | head -n 1").split(":")[0]
    m.must(f"cp -a {log} /root/log && printf X | dd of={log} bs=1 seek={at} conv=notrunc status=none")
    fails(s, m, "damaged log", 3, [log.rsplit("/", 1)[1].replace(".", r"\."), "atlaskv-verify"])
    s.does(
        m,
        "damaged log: atlaskv-verify says the same",
        "atlaskv-verify /var/lib/atlaskv",
        code=3,
        says=log.rsplit("/", 1)[1],
    )
    m.must(f"cp -a /root/log {log}")
    works_again(s, m, "damaged log")
    s.does(m, "damaged log: mended, every entry is there", "atlaskv-ctl scan --prefix log: | wc -l", says="^20$")
