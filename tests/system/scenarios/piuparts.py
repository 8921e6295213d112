"""piuparts: install, upgrade, remove and purge in a bare Debian leave nothing they should not."""

import subprocess

from harness import host

SECONDS = 50
#: What these tests install is not on any mirror. The data that purge leaves is meant to stay.
OPTIONS = [
    "--skip-minimize",
    "--no-upgrade-test",
    "--ignore-regex=/var/lib/atlaskv.*",
    "--ignore-regex=/var/cache/debconf/tmp.ci.*",
]


def run(s):
    """As `make piuparts` does it, but for the base: a copy of the one that these tests have made already."""
    suite = host.os_release()["VERSION_CODENAME"]
    command = ["piuparts", "--distribution", suite, "--existing-chroot", str(s.clean), *OPTIONS, str(s.stock.deb)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
    s.check("piuparts", done.returncode == 0, done.stdout + done.stderr)
