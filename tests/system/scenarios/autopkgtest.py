"""autopkgtest: the tests that the Debian package ships, in a booted system."""

from harness import host

SECONDS = 40


def run(s):
    """With the null runner, inside the machine: the machine is the isolation that the tests ask for."""
    with s.machine() as m:
        for path in sorted((host.REPOSITORY / "packaging/debian").rglob("*")):
            if path.is_file():
                m.put(
                    path,
                    f"/srv/source/debian/{path.relative_to(host.REPOSITORY / 'packaging/debian')}",
                    path.stat().st_mode & 0o777,
                )
        m.put(s.stock.deb, f"/srv/{s.stock.deb.name}")
        # 0: all passed. 2 would mean that some were skipped.
        s.does(
            m,
            "autopkgtest",
            f"autopkgtest --ignore-restrictions=isolation-container /srv/{s.stock.deb.name} /srv/source -- null",
            timeout=600,
            says=["smoke +PASS", "crash +PASS"],
        )
