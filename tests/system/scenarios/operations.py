"""docs/operations.md: every command, in order, as it stands there."""

import re

from harness import atlaskv, host, packages

SECONDS = 60
COMMAND_SECONDS = 180


def run(s):
    """One machine, from the installation to the removal."""
    with s.machine() as m:
        packages.provide(m, s.stock)
        text = (host.REPOSITORY / "docs/operations.md").read_text(encoding="utf-8")
        commands = list(parse(text))
        s.check("the document has commands", len(commands) > 50, len(commands))
        for command, lines, codes in commands:
            s.does(
                m, f"# {command}", command, code=codes, says=[pattern(line) for line in lines], timeout=COMMAND_SECONDS
            )
        s.check("the service runs at the end", m.show("ActiveState") == "active", atlaskv.main_pid(m))


def parse(text):
    """Each command of the console blocks, with the lines below it and the exit codes that it may have."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for part in re.split(r"^# ", block, flags=re.M)[1:]:
            command, *lines = part.splitlines()
            codes = [0]
            if lines and re.fullmatch(r"\[\d( or \d)*\]", lines[-1]):
                codes = [int(code) for code in re.findall(r"\d", lines.pop())]
            yield command, lines, codes


def pattern(line):
    """A line of the document as a regular expression: `…` is anything."""
    return "^" + ".*".join(re.escape(piece) for piece in line.split("…")) + "$"
