"""Checks: a line for each, and what is needed to understand one that failed."""

import threading
import time

_print_lock = threading.Lock()
#: The most lines of detail printed under a check that failed, and again at the end of all.
DETAIL_LINES = 80
REPEATED_LINES = 25


def say(text):
    """Prints lines whole, whoever else prints."""
    with _print_lock:
        print(text, flush=True)


class Report:
    """The checks of one scenario."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failures = []
        self.took = 0.0
        self._began = time.monotonic()

    @property
    def failed(self):
        """How many checks failed."""
        return len(self.failures)

    def check(self, what, is_so, detail=""):
        """Records a check; `detail` is printed when it fails."""
        if is_so:
            self.passed += 1
            say(f"{self.name}: ok    {what}")
        else:
            said = str(detail).strip().splitlines()[-DETAIL_LINES:]
            self.failures.append((what, said))
            say(f"{self.name}: FAIL  {what}" + "".join(f"\n    {line}" for line in said))
        return bool(is_so)

    def verdict(self):
        """The line of the closing table; under it what failed and why, for who sees only a log's end."""
        lines = [f"{self.name:16} {self.passed:4} checks {self.took:6.1f} s  {'FAILED' if self.failures else 'ok'}"]
        for what, said in self.failures:
            lines.append(f"    {what}")
            lines += [f"      | {line}" for line in said[-REPEATED_LINES:]]
        return "\n".join(lines)

    def end(self):
        """The scenario is over."""
        self.took = time.monotonic() - self._began
