"""apt upgrades and downgrades: what runs goes on unless the new version is sure to start."""

from harness import atlaskv, packages

SECONDS = 60
#: Stands in for a program of a new version: answers one question its own way, and is the program otherwise.
WRAPPER = """#!/bin/sh
case " $* " in *" {flag} "*) echo "{message}" >&2; exit {code} ;; esac
exec {program}.real "$@"
"""


def wrap(program, flag, message, code):
    """An edit of the unpacked package, see WRAPPER."""

    def edit(tree):
        path = tree / program
        path.rename(f"{path}.real")
        path.write_text(WRAPPER.format(program=f"/{program}", flag=flag, message=message, code=code), encoding="utf-8")
        path.chmod(0o755)

    return edit


def new_default(tree):
    """An edit of the unpacked package: another shipped configuration."""
    path = tree / "etc/atlaskv/atlaskv.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n# A line of the new version.\n", encoding="utf-8")


def run(s):
    """Each upgrade on the machine of the one before."""
    with s.installed() as m:
        m.must("atlaskv-ctl put kept yes")
        plain(s, m)
        disabled(s, m)
        edited(s, m)
        refused(
            s,
            m,
            "a new version that refuses the configuration",
            "0.3.0",
            wrap("usr/bin/atlaskvd", "--check-config", "server.listen: no longer allowed", 2),
            "no longer allowed",
        )
        refused(
            s,
            m,
            "a new version that objects to the data",
            "0.3.1",
            wrap("usr/bin/atlaskv-verify", "--quick", "000000000003.sst is damaged", 3),
            "is damaged",
        )
        by_configuration(s, m)
        downgrade(s, m)
        both_changed(s, m)


def offer(s, m, version, edit=None):
    """Puts a version into the repository."""
    packages.serve(m, s.stock, s.stock.deb, s.stock.variant(version, edit))


def upgrade(s, m, what, **how):
    """The command that an administrator types; unattended, so that a question would be an error."""
    return s.does(m, what, "apt upgrade -y </dev/null", timeout=120, **how)


def installed(m):
    """The version that dpkg has."""
    return m.must("dpkg-query -W -f '${Version} ${db:Status-Status}' atlaskv")


def plain(s, m):
    """The daemon is restarted, once, and keeps its data."""
    pid = atlaskv.main_pid(m)
    load = atlaskv.Load(m)
    load.wait_for_more(200)
    offer(s, m, "0.1.1")
    upgrade(s, m, "apt upgrade")
    s.check("the new version is installed", installed(m) == "0.1.1 installed", installed(m))
    load.wait_for_more(200)
    load.stop()
    s.check("the daemon was restarted", atlaskv.main_pid(m) != pid and m.show("ActiveState") == "active")
    s.does(m, "it is still enabled", "systemctl is-enabled atlaskv", says="^enabled$")
    s.does(m, "the data is there", "atlaskv-ctl get kept", says="^yes$")
    load.check(s)


def disabled(s, m):
    """What the administrator switched off stays off."""
    m.must("systemctl disable --now atlaskv")
    offer(s, m, "0.1.2")
    upgrade(s, m, "apt upgrade of a disabled, stopped service")
    s.does(m, "disabled stays disabled", "systemctl is-enabled atlaskv", code=1, says="^disabled$")
    s.does(m, "stopped stays stopped", "systemctl is-active atlaskv", code=3, says="^inactive$")
    m.must("systemctl start atlaskv")
    offer(s, m, "0.1.3")
    upgrade(s, m, "apt upgrade of a disabled service that runs")
    s.does(m, "disabled stays disabled while it runs", "systemctl is-enabled atlaskv", code=1, says="^disabled$")
    s.does(m, "and it runs", "systemctl is-active atlaskv", says="^active$")
    m.must("systemctl enable atlaskv")


def edited(s, m):
    """The administrator's configuration is the administrator's."""
    atlaskv.configure(m, '# mine\n[storage]\nsync = "every-write"\n')
    m.must("systemctl reload atlaskv")
    offer(s, m, "0.2.0")
    upgrade(s, m, "apt upgrade with an edited configuration asks nothing")
    s.does(m, "the edited configuration is kept", "cat /etc/atlaskv/atlaskv.toml", says="^# mine$")
    s.does(m, "with its mode and owner", "stat -c '%a %U:%G' /etc/atlaskv/atlaskv.toml", says="^640 root:atlaskv$")
    s.does(m, "and it is in force", "atlaskv-ctl --format json ping", says="every-write")


def refused(s, m, what, version, edit, reason):
    """The new programs are installed, the old process goes on."""
    pid = atlaskv.main_pid(m)
    offer(s, m, version, edit=edit)
    upgrade(
        s,
        m,
        f"{what}: apt upgrade succeeds and says why it did not restart",
        says=["not restarted", reason, "systemctl restart atlaskv"],
    )
    s.check(f"{what}: the old process goes on", atlaskv.main_pid(m) == pid and m.show("ActiveState") == "active")
    s.does(m, f"{what}: and serves", "atlaskv-ctl put during yes && atlaskv-ctl get during", says="^yes$")
    s.check(f"{what}: dpkg is content", installed(m) == f"{version} installed", installed(m))


def by_configuration(s, m):
    """The same by a configuration that no version accepts, and its mending."""
    offer(s, m, "0.4.0")
    atlaskv.configure(m, "[server]\nunheard_of = 1\n")
    pid = atlaskv.main_pid(m)
    upgrade(s, m, "a file that was broken meanwhile: apt upgrade says so", says=["not restarted", "unheard_of"])
    s.check("a file that was broken meanwhile: the old process goes on", atlaskv.main_pid(m) == pid)
    atlaskv.configure(m, "")
    s.does(
        m, "mended, the command that it named works", "systemctl restart atlaskv && atlaskv-ctl get kept", says="^yes$"
    )


def downgrade(s, m):
    """An older version that could not read the data is refused before anything stops."""
    pid = atlaskv.main_pid(m)
    m.must("cp -a /var/lib/atlaskv/MANIFEST /root/MANIFEST")
    # The daemon that runs does not read it again.
    atlaskv.stamp_format(m, 99)
    command = f"apt install -y --allow-downgrades atlaskv={s.stock.version}"
    s.does(
        m,
        "a downgrade that could not read the data is refused",
        command,
        code=100,
        timeout=120,
        says=["format 99", r"reads data of format \d+"],
    )
    s.check("the daemon was not stopped", atlaskv.main_pid(m) == pid and m.show("ActiveState") == "active")
    s.check("the newer version is still installed", installed(m) == "0.4.0 installed", installed(m))
    s.does(m, "and serves", "atlaskv-ctl get kept", says="^yes$")
    m.must("cp -a /root/MANIFEST /var/lib/atlaskv/MANIFEST")
    s.does(m, "a downgrade that can read the data is done", command, timeout=120)
    s.check("the older version is installed", installed(m) == f"{s.stock.version} installed", installed(m))
    s.does(m, "and has the data", "atlaskv-ctl get kept", says="^yes$")


def both_changed(s, m):
    """The administrator's configuration, and a new one shipped."""
    atlaskv.configure(m, "# mine\n")
    offer(s, m, "0.5.0", edit=new_default)
    s.does(
        m,
        "where both changed it, what apt is told is done",
        "apt upgrade -y -o Dpkg::Options::=--force-confold </dev/null",
        timeout=120,
    )
    s.does(
        m,
        "the edited one is kept, the new one beside it",
        "cat /etc/atlaskv/atlaskv.toml && tail -n 1 /etc/atlaskv/atlaskv.toml.dpkg-dist",
        says=["^# mine$", "^# A line of the new version"],
    )
