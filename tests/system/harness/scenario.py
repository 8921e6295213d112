"""One scenario: its machines, its checks, and its end, whatever happens."""

import contextlib
import re
import threading
import time
import traceback

from . import atlaskv, host
from .machine import Broken, Machine
from .report import Report, say

#: No scenario takes longer. Then its machines end, and with them whatever it waits for.
LIMIT_SECONDS = 900
#: How long a line that was sent to the journal may take until it is shown.
JOURNAL_SECONDS = 20


class Scenario:
    """What a scenario is given."""

    def __init__(self, name, clean, stock, keep):
        self.report = Report(name)
        self.stock = stock
        self.clean = clean
        self._keep = keep
        self._machines = []

    def check(self, what, is_so, detail=""):
        """Records a check."""
        return self.report.check(what, is_so, detail)

    def does(self, machine, what, command, code=0, says=None, hides=None, **how):
        """Runs a command and checks its exit code and what it prints. `says` and `hides` are regular
        expressions, or lists of them. What asks the journal is asked again for a while: a line may be under way."""
        end = time.monotonic() + (JOURNAL_SECONDS if "journalctl" in command else 0)
        if "journalctl" in command:
            machine.run("journalctl --sync")
        result, problems = self._try(machine, command, code, says, hides, how)
        while problems and time.monotonic() < end:
            time.sleep(0.1)
            result, problems = self._try(machine, command, code, says, hides, how)
        self.check(what, not problems, "\n".join([str(result), *problems]))
        return result

    @staticmethod
    def _try(machine, command, code, says, hides, how):
        """Runs a command once; its result, and what is not as it must be."""
        result = machine.run(command, **how)
        wanted = [says] if isinstance(says, str) else says or []
        hidden = [hides] if isinstance(hides, str) else hides or []
        codes = code if isinstance(code, (tuple, list)) else [code]
        missing = [it for it in wanted if not re.search(it, result.text, re.M)]
        present = [it for it in hidden if re.search(it, result.text, re.M)]
        problems = []
        if result.code not in codes:
            problems.append(f"exit code {result.code}, not {code}")
        problems += [f"does not say: {it}" for it in missing]
        problems += [f"says: {it}" for it in present]
        return result, problems

    @contextlib.contextmanager
    def machine(self, name="", source=None):
        """A fresh system, booted; ended and removed afterwards."""
        label = "-".join(filter(None, (self.report.name, name)))
        machine = Machine(label, source or self.clean)
        self._machines.append(machine)
        failed_before = self.report.failed
        try:
            machine.start()
            try:
                yield machine
            except Broken:
                _explain(machine)
                raise
            if self.report.failed > failed_before:
                _explain(machine)
            if self._keep:
                _wait_for_enter(machine)
            machine.poweroff()
        finally:
            machine.remove()
            self._machines.remove(machine)

    @contextlib.contextmanager
    def installed(self, name="", **how):
        """A fresh system with the package installed, as an administrator does it."""
        with self.machine(name) as machine:
            atlaskv.install(machine, self.stock, **how)
            yield machine

    def kill(self):
        """Ends its machines at once."""
        for machine in list(self._machines):
            machine.kill()


def _explain(machine):
    """Prints what an administrator would look at first."""
    for command in (
        "systemctl status --no-pager -n 0 'atlaskv*' 2>&1",
        "journalctl --no-pager -n 60 -o short-precise -u 'atlaskv*' 2>&1",
    ):
        try:
            said = str(machine.run(command))
        except Broken as error:
            said = str(error)
        say("\n".join(f"    | {line}" for line in said.splitlines()))


def _wait_for_enter(machine):
    say(f"{machine.name} is up. Enter it: nsenter -t {machine.leader()} -a bash. End it: press Enter here.")
    with contextlib.suppress(EOFError):
        input()


def prove(name, run, clean, stock, keep):
    """Runs a scenario to its end; its report."""
    scenario = Scenario(name, clean, stock, keep)
    timer = threading.Timer(LIMIT_SECONDS, scenario.kill)
    timer.daemon = True
    if not keep:
        timer.start()
    try:
        run(scenario)
    except (Broken, host.Skip) as error:
        scenario.check("goes on to its end", False, error)
    except Exception:  # pylint: disable=broad-except
        scenario.check("goes on to its end", False, traceback.format_exc())
    finally:
        timer.cancel()
    scenario.report.end()
    return scenario.report
