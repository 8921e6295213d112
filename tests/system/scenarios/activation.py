"""Socket activation: no connection refused across restarts and kills; the sealed drop-in serves."""

import json

from harness import atlaskv

SECONDS = 40
EXAMPLES = "/usr/share/doc/atlaskv/examples"
RESTARTS = 3
KILLS = 3


def run(s):
    """First with the socket alone, then sealed."""
    with s.installed() as m:
        atlaskv.drop_in(m, "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=100ms\n")
        # As atlaskv.socket itself says.
        s.does(
            m,
            "the socket unit is taken into use",
            "systemctl stop atlaskv.service && systemctl enable --now atlaskv.socket "
            "&& systemctl start atlaskv.service",
        )
        s.does(m, "the daemon serves what systemd opened", "atlaskv-ctl put a 1 && atlaskv-ctl get a", says="^1$")
        s.does(m, "the admin socket is its own", "atlaskv-ctl flush")
        no_refusals(s, m, "with atlaskv.socket")
        s.does(
            m, "a connection starts a stopped daemon", "systemctl stop atlaskv.service && atlaskv-ctl get a", says="^1$"
        )
        s.does(m, "and it is active", "systemctl is-active atlaskv.service")
        sealed(s, m)


def no_refusals(s, m, how):
    """Clients come and go while the daemon is restarted and killed."""
    # That of an earlier run would be written over from its beginning.
    m.must("rm -f /opt/atlaskv-test/knock.json")
    m.must(
        f"systemd-run -q --unit=test-knock -p StandardOutput=file:/opt/atlaskv-test/knock.json {atlaskv.CLIENT} knock"
    )
    knocks(m, 100)
    load = atlaskv.Load(m, "load")
    for _ in range(RESTARTS):
        load.wait_for_more(100)
        m.must("systemctl restart atlaskv.service", timeout=90)
    for _ in range(KILLS):
        load.wait_for_more(100)
        atlaskv.kill(m, "atlaskv.service")
    load.wait_for_more(100)
    knocks(m, last(m)["answered"] + 100)
    m.must("systemctl stop test-knock")
    load.stop()
    counted = last(m)
    s.check(
        f"{how}: {counted['answered']} connections answered, none refused in {RESTARTS} restarts and {KILLS} kills",
        counted["refused"] == 0,
        counted,
    )
    load.check(s)
    m.must(f"rm -r {load.acks}")


def last(m):
    """What the knocking client counted last."""
    path = m.path("/opt/atlaskv-test/knock.json")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    # The last line may not have its end yet.
    lines = text[: text.rfind("\n") + 1].splitlines()
    return json.loads(lines[-1]) if lines else {"answered": 0}


def knocks(m, count):
    """Waits until so many were answered."""
    m.wait(f"{count} connections", lambda: last(m)["answered"] >= count, 60)


def sealed(s, m):
    """No network of its own."""
    s.does(
        m,
        "the sealed drop-in is taken into use",
        f"install -D -m 0644 {EXAMPLES}/sealed.conf /etc/systemd/system/atlaskv.service.d/sealed.conf && systemctl daemon-reload && "
        "systemctl stop atlaskv.service && systemctl enable --now atlaskv.socket && systemctl start atlaskv.service",
    )
    s.does(
        m,
        "sealed, it serves",
        "atlaskv-ctl put sealed yes && atlaskv-ctl get sealed && atlaskv-ctl flush",
        says="^yes$",
    )
    s.does(
        m,
        "it has no network but a loopback of its own",
        "nsenter -t $(systemctl show -P MainPID atlaskv) -n ip -o link",
        says="lo",
        hides="host0|eth",
    )
    s.check(
        "and no TCP socket but systemd's",
        "7390" not in m.must("nsenter -t $(systemctl show -P MainPID atlaskv) -n ss -ltn"),
    )
    s.does(
        m,
        "exposure at most 0.2, by the running manager",
        "systemd-analyze security --threshold=2 atlaskv.service | tail -n 1",
        says="SAFE|:",
    )
    s.does(
        m,
        "exposure at most 0.2, by the running manager (its exit code)",
        "systemd-analyze security --threshold=2 atlaskv.service >/dev/null",
    )
    s.does(
        m,
        "exposure at most 0.2, of the files",
        "mkdir -p /tmp/u && systemctl cat atlaskv.service > /tmp/u/atlaskv.service && "
        "systemd-analyze security --offline=true --threshold=2 /tmp/u/atlaskv.service > /tmp/u/said; code=$?; tail -n 1 /tmp/u/said; exit $code",
    )
    no_refusals(s, m, "sealed")
    m.reboot()
    s.does(m, "sealed, after a reboot it serves", "atlaskv-ctl get sealed", says="^yes$")
