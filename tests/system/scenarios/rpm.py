"""rpm -i, -U, -e, through the package's real scriptlets."""

from harness import atlaskv

SECONDS = 30


def run(s):
    """rpm's own database in a Debian system: everything but the dependencies' names is as on Fedora."""
    with s.machine() as m:
        atlaskv.equip(m)
        m.put(s.stock.rpm, "/root/atlaskv.rpm")
        m.put(s.stock.newer_rpm, "/root/newer.rpm")
        m.write("/usr/lib/systemd/system-preset/90-default.preset", "enable atlaskv.service\ndisable atlaskv.socket\n")
        install(s, m)
        upgrade(s, m)
        refusals(s, m)
        erase(s, m)


def install(s, m):
    """User, files, unit."""
    s.does(m, "rpm -i", "rpm -i --nodeps --force-debian /root/atlaskv.rpm", timeout=120, hides="(?i)error|failed")
    s.does(m, "the user is made", "getent passwd atlaskv")
    s.does(
        m,
        "owners and modes are right",
        "stat -c '%n %a %U:%G' /etc/atlaskv /etc/atlaskv/atlaskv.toml",
        says=["^/etc/atlaskv 750 root:atlaskv$", "^/etc/atlaskv/atlaskv.toml 640 root:atlaskv$"],
    )
    s.does(m, "it is enabled as the preset says", "systemctl is-enabled atlaskv", says="^enabled$")
    s.does(m, "the timer is not", "systemctl is-enabled atlaskv-verify.timer", code=1, says="^disabled$")
    s.does(m, "systemctl start atlaskv", "systemctl start atlaskv && systemctl is-active atlaskv", says="^active$")
    s.does(m, "it serves", "atlaskv-ctl put kept yes && atlaskv-ctl get kept", says="^yes$")
    s.does(m, "exposure at most 1.0", "systemd-analyze security --threshold=10 atlaskv.service >/dev/null")
    s.does(m, "rpm -V finds every file as shipped", "rpm -V --nodeps atlaskv")


def upgrade(s, m):
    """The running daemon is restarted; an edited configuration is kept."""
    atlaskv.configure(m, '# mine\n[storage]\nsync = "every-write"\n')
    pid = atlaskv.main_pid(m)
    s.does(m, "rpm -U", "rpm -U --nodeps --force-debian /root/newer.rpm", timeout=120)
    s.does(m, "the new version is installed", "rpm -q atlaskv", says="^atlaskv-0.9.0")
    s.check("the daemon was restarted", atlaskv.main_pid(m) not in (0, pid), m.show("MainPID"))
    s.does(m, "the edited configuration is in force", "atlaskv-ctl --format json ping", says="every-write")
    s.does(m, "the data is there", "atlaskv-ctl get kept", says="^yes$")
    m.must("systemctl disable --now atlaskv")
    s.does(
        m,
        "rpm -U --oldpackage of a disabled, stopped service",
        "rpm -U --oldpackage --nodeps --force-debian /root/atlaskv.rpm",
        timeout=120,
    )
    s.does(m, "disabled stays disabled", "systemctl is-enabled atlaskv", code=1, says="^disabled$")
    s.does(m, "stopped stays stopped", "systemctl is-active atlaskv", code=3, says="^inactive$")
    m.must("systemctl enable --now atlaskv")


def refusals(s, m):
    """The same care as in the Debian package."""
    atlaskv.configure(m, "[server]\nunheard_of = 1\n")
    pid = atlaskv.main_pid(m)
    s.does(
        m,
        "a configuration that the new version refuses: rpm -U says so",
        "rpm -U --nodeps --force-debian /root/newer.rpm",
        timeout=120,
        says=["not restarted", "unheard_of"],
    )
    s.check("the old process goes on", atlaskv.main_pid(m) == pid and m.show("ActiveState") == "active")
    atlaskv.configure(m, "# mine\n")
    m.must("systemctl restart atlaskv; cp -a /var/lib/atlaskv/MANIFEST /root/MANIFEST")
    pid = atlaskv.main_pid(m)
    atlaskv.stamp_format(m, 99)
    s.does(
        m,
        "a downgrade that could not read the data is refused",
        "rpm -U --oldpackage --nodeps --force-debian /root/atlaskv.rpm",
        code=1,
        timeout=120,
        says="format 99",
    )
    s.does(m, "the newer version is still installed", "rpm -q atlaskv", says="^atlaskv-0.9.0")
    s.check("and was not stopped", atlaskv.main_pid(m) == pid and m.show("ActiveState") == "active")
    m.must("cp -a /root/MANIFEST /var/lib/atlaskv/MANIFEST")


def erase(s, m):
    """Programs go, data stays."""
    s.does(m, "rpm -e", "rpm -e --nodeps atlaskv", timeout=120)
    s.does(m, "the daemon is stopped", "pgrep atlaskvd", code=1)
    s.does(m, "the edited configuration is kept", "ls /etc/atlaskv", says=r"^atlaskv\.toml\.rpmsave$")
    s.does(m, "the data stays", "ls /var/lib/atlaskv", says="^MANIFEST$")
    s.does(
        m,
        "installed again, it finds it",
        "rpm -i --nodeps --force-debian /root/newer.rpm && systemctl start atlaskv && atlaskv-ctl get kept",
        timeout=120,
        says="^yes$",
    )
