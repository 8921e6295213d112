"""atlaskv@NAME.service: daemons of their own configuration, data and port, beside the first."""

from harness import atlaskv, packages

SECONDS = 20
PORTS = {"one": 7391, "two": 7392}


def run(s):
    """Two instances and the service itself."""
    with s.installed() as m:
        m.must("atlaskv-ctl put name main")
        for name, port in PORTS.items():
            atlaskv.configure(m, f'[server]\nlisten = "127.0.0.1:{port}"\n', f"/etc/atlaskv/{name}.toml")
            s.does(m, f"systemctl enable --now atlaskv@{name}", f"systemctl enable --now atlaskv@{name}")
            s.does(m, f"{name} serves on its port", f"atlaskv-ctl --addr 127.0.0.1:{port} put name {name}")
        for name, port in PORTS.items():
            s.does(
                m,
                f"{name} has its own data",
                f"atlaskv-ctl --addr 127.0.0.1:{port} get name && ls /var/lib/atlaskv-{name}/MANIFEST",
                says=f"^{name}$",
            )
            s.does(
                m, f"{name} has its own admin socket", f"atlaskv-ctl --socket /run/atlaskv-{name}/atlaskv.sock flush"
            )
            s.does(
                m,
                f"{name} has its own status",
                f"systemctl status atlaskv@{name}",
                says=["Status: ", rf"atlaskvd --config /etc/atlaskv/{name}\.toml"],
            )
        s.does(m, "the service itself has its own", "atlaskv-ctl get name", says="^main$")
        s.does(
            m,
            "the directories are closed",
            "stat -c '%a %U:%G' /var/lib/atlaskv-one /run/atlaskv-one",
            says=r"\A750 atlaskv:atlaskv\n750 atlaskv:atlaskv\n\Z",
        )
        apart(s, m)
        m.reboot()
        s.does(
            m,
            "after a reboot all are there",
            "atlaskv-ctl --addr 127.0.0.1:7391 get name; atlaskv-ctl --addr 127.0.0.1:7392 get name",
            says=["^one$", "^two$"],
        )
        upgraded(s, m)


def apart(s, m):
    """What happens to one happens to no other."""
    pids = [atlaskv.main_pid(m, unit) for unit in ("atlaskv", "atlaskv@two")]
    atlaskv.kill(m, "atlaskv@one")
    m.must("atlaskv-ctl --addr 127.0.0.1:7391 get name")
    m.must("systemctl restart atlaskv@one")
    s.check(
        "a crash and a restart of one leave the others alone",
        pids == [atlaskv.main_pid(m, unit) for unit in ("atlaskv", "atlaskv@two")],
    )
    m.write("/etc/atlaskv/two.token", "the-token-of-instance-two\n", 0o600)
    m.write("/root/two", "the-token-of-instance-two\n", 0o600)
    m.must("systemctl restart atlaskv@two")
    s.does(m, "each has its own token", "atlaskv-ctl --addr 127.0.0.1:7392 get name", code=8)
    s.does(m, "which it takes", "atlaskv-ctl --token-file /root/two --addr 127.0.0.1:7392 get name", says="^two$")
    m.must("rm /etc/atlaskv/two.token && systemctl restart atlaskv@two")
    atlaskv.configure(m, "[server]\nunheard_of = 1\n", "/etc/atlaskv/three.toml")
    s.does(m, "an instance with a bad configuration fails", "systemctl start atlaskv@three", code=1)
    s.does(m, "with its own code", "systemctl status atlaskv@three", code=3, says="status=2/INVALIDARGUMENT")
    s.does(
        m,
        "an instance without one fails too",
        "systemctl start atlaskv@four; systemctl status atlaskv@four",
        code=3,
        says=r"four\.toml",
    )


def upgraded(s, m):
    """An upgrade restarts those that run, and only those."""
    pids = {unit: atlaskv.main_pid(m, unit) for unit in ("atlaskv", "atlaskv@one")}
    m.must("systemctl stop atlaskv@two")
    packages.serve(m, s.stock, s.stock.variant("0.1.1"))
    m.must("apt upgrade -y", timeout=120)
    s.check(
        "an upgrade restarts the instances that run",
        all(atlaskv.main_pid(m, unit) not in (0, pid) for unit, pid in pids.items()),
        pids,
    )
    s.does(m, "and starts none that was stopped", "systemctl is-active atlaskv@two", code=3)
