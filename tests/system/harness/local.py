"""The release binaries run here, without a machine: a daemon on a socket and a port of its own."""

import json
import pathlib
import socket
import subprocess
import sys
import time

from . import host, image

sys.path.insert(0, str(host.REPOSITORY / "tests/system/guest"))
from client import Client, Refused, field, values  # noqa: E402, F401  pylint: disable=wrong-import-position,unused-import

RELEASE = host.REPOSITORY / "target/release"
START_SECONDS = 60


def verify(data):
    """Runs atlaskv-verify; exit code and what it said."""
    done = subprocess.run(
        [RELEASE / "atlaskv-verify", data],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout


class Daemon:
    """atlaskvd on a data directory; killed at the end, whatever happens."""

    def __init__(self, data, storage=""):
        # Not beside the data: there may be no room.
        self.home = image.HOME / ("run" + str(pathlib.Path(data).relative_to(image.HOME)).replace("/", "-"))
        self.home.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = free.getsockname()
        config = self.home / "atlaskv.toml"
        config.write_text(
            f'[server]\nlisten = "127.0.0.1:{self.address[1]}"\nadmin_socket = "{self.home}/sock"\n'
            f'[storage]\ndata_dir = "{data}"\n{storage}\n',
            encoding="utf-8",
        )
        self.log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [RELEASE / "atlaskvd", "--config", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log,
        )

    def __enter__(self):
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client().close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.kill()
                    raise RuntimeError(f"atlaskvd does not start:\n{self.said()}") from None
                time.sleep(0.01)

    def __exit__(self, *_):
        self.kill()

    def said(self):
        """What it wrote to standard error."""
        return (self.home / "log").read_text(encoding="utf-8", errors="replace")[-3000:]

    def client(self):
        """A connection."""
        return Client(self.address)

    def ctl(self, *arguments, give=None):
        """Runs atlaskv-ctl; exit code and what it said."""
        done = subprocess.run(
            [RELEASE / "atlaskv-ctl", "--socket", self.home / "sock", *arguments],
            input=give,
            stdin=None if give is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace")

    def stats(self):
        """The figures."""
        return json.loads(self.ctl("--format", "json", "stats")[1])["stats"]

    def kill(self):
        """SIGKILL, and its end."""
        self.process.kill()
        self.process.wait()
        self.log.close()
