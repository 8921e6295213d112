"""The journal: priorities, fields, message ids, the catalog; and the other targets of the log."""

import json
import re

from harness import atlaskv, host

SECONDS = 25


def run(s):
    """What an administrator looks up."""
    ids = message_ids()
    with s.installed() as m:
        m.must("systemctl restart atlaskv")
        s.does(
            m,
            "journalctl MESSAGE_ID= finds the starts",
            f"journalctl -o cat MESSAGE_ID={ids['READY']}",
            says="ready on",
        )
        entry = one(m, ids["READY"])
        s.check(
            "an entry has priority, id, unit and fields",
            entry.get("PRIORITY") == "6"
            and entry.get("_SYSTEMD_UNIT") == "atlaskv.service"
            and entry.get("SYSLOG_IDENTIFIER") == "atlaskvd"
            and entry.get("_TRANSPORT") == "journal",
            json.dumps(entry, indent=1),
        )
        s.does(
            m,
            "journalctl -x explains a start and names a command",
            f"journalctl -x -o short MESSAGE_ID={ids['READY']}",
            says=["^░░ Subject: AtlasKV is ready", "^░░ .*(atlaskv-ctl|systemctl)"],
        )
        catalog(s, m, ids)
        refused_start(s, m, ids)
        recovery(s, m, ids)
        targets(s, m)


def message_ids():
    """The ids that the daemon's source defines."""
    text = (host.REPOSITORY / "src/logging/message.rs").read_text(encoding="utf-8")
    return dict(re.findall(r'^    ([A-Z_]+) = "([0-9a-f]{32})"', text, re.M))


def one(m, message_id):
    """The last entry with this id."""
    return json.loads(m.must(f"journalctl --sync; journalctl -o json -n 1 MESSAGE_ID={message_id}"))


def catalog(s, m, ids):
    """Every id that the daemon may log is explained."""
    listed = m.must("journalctl --list-catalog")
    missing = [name for name, number in ids.items() if number not in listed]
    s.check(f"the catalog explains all {len(ids)} messages", ids and not missing, missing)


def refused_start(s, m, ids):
    """A start that fails is found by its id and explained."""
    atlaskv.configure(m, "[server]\nunheard_of = 1\n")
    m.run("systemctl restart atlaskv")
    s.does(
        m,
        "journalctl -x explains a start that failed",
        f"journalctl -x -p err MESSAGE_ID={ids['START_FAILED']}",
        says=["unheard_of", "--check-config"],
    )
    atlaskv.configure(m, "")
    m.must("systemctl reset-failed atlaskv && systemctl start atlaskv")


def recovery(s, m, ids):
    """One honest report after each start."""
    m.must("atlaskv-ctl put a 1 && atlaskv-ctl sync")
    atlaskv.kill(m)
    m.must("atlaskv-ctl get a")
    s.does(
        m,
        "a recovery is reported with its id",
        f"journalctl -o cat -n 1 MESSAGE_ID={ids['RECOVERED']}",
        says=["recovered", "LSN"],
    )
    s.does(
        m,
        "and in the status",
        "systemctl show -P StatusText atlaskv",
        says=r"last start: after a crash, \d+ operations replayed",
    )
    s.does(m, "and in the figures", "atlaskv-ctl stats", says="recover")


def targets(s, m):
    """Levels change by reload; syslog and standard error by restart."""
    atlaskv.configure(m, '[log]\nlevel = "error"\n')
    m.must("systemctl reload atlaskv")
    m.wait("the level is error", "atlaskv-ctl config show | grep 'log.level.*error'")
    atlaskv.configure(m, '[log]\ntarget = "syslog"\n')
    m.must("systemctl restart atlaskv")
    m.wait("lines come by syslog", "journalctl -o cat _TRANSPORT=syslog SYSLOG_IDENTIFIER=atlaskvd | grep ready")
    s.does(
        m,
        "target syslog: priorities are kept",
        "journalctl -o json -n 1 _TRANSPORT=syslog SYSLOG_IDENTIFIER=atlaskvd",
        says='"PRIORITY":"6"',
    )
    atlaskv.configure(m, '[log]\ntarget = "stderr"\n')
    m.must("systemctl restart atlaskv")
    m.wait(
        "lines come by standard error", "journalctl -o cat _TRANSPORT=stdout _SYSTEMD_UNIT=atlaskv.service | grep ready"
    )
    s.check("target stderr: lines are there", True)
    atlaskv.configure(m, "")
    m.must("systemctl restart atlaskv")
