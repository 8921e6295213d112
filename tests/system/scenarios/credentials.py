"""The token as a systemd credential: missing, present, encrypted; and what clients see."""

from harness import atlaskv

SECONDS = 30
TOKEN = "correct-horse-battery-staple"
FILE = "/etc/atlaskv/token"


def run(s):
    """One machine through all states."""
    with s.installed() as m:
        s.does(m, "without a token file it starts and wants none", "atlaskv-ctl put a 1")
        present(s, m)
        wrong(s, m)
        beyond_loopback(s, m)
        by_file(s, m)
        encrypted(s, m)
        s.does(m, "the token is in no log", f"journalctl -o verbose | grep -c {TOKEN}", code=1, says="^0$")


def present(s, m):
    """A file beside the configuration becomes a credential."""
    m.write(FILE, f"{TOKEN}\n", 0o600)
    m.write("/root/token", f"{TOKEN}\n", 0o600)
    m.write("/root/wrong", "guess-guess-guess-guess\n", 0o600)
    m.must("systemctl restart atlaskv")
    s.does(m, "with a token, a client without one is refused", "atlaskv-ctl get a", code=8, says="token")
    s.does(m, "root asks how it is without one", "atlaskv-ctl stats && atlaskv-ctl health && atlaskv-ctl check")
    s.does(m, "over TCP nobody does", "atlaskv-ctl --addr 127.0.0.1:7390 health", code=8, says="token")
    s.does(m, "with the token it is served", "atlaskv-ctl --token-file /root/token get a", says="^1$")
    s.does(m, "the admin socket needs none", "atlaskv-ctl --socket /run/atlaskv/atlaskv.sock get a", says="^1$")
    s.does(
        m,
        "the credential is for the daemon alone",
        "runuser -u nobody -- cat /run/credentials/atlaskv.service/token",
        code=1,
    )
    s.does(m, "no other user reads the file", f"runuser -u atlaskv -- cat {FILE}", code=1, says="Permission denied")
    s.does(
        m,
        "the process shows it nowhere",
        f"cat /proc/$(systemctl show -P MainPID atlaskv)/environ /proc/$(systemctl show -P MainPID atlaskv)/cmdline | grep -ac {TOKEN}",
        code=1,
        says="^0$",
    )
    load = atlaskv.Load(m, "token", "--token-file /root/token")
    load.wait_for_more(200)
    load.stop()
    s.does(
        m,
        "a client made from the document presents it",
        f"{atlaskv.CLIENT} check {load.acks} --token-file /root/token",
        says='"lost": 0',
    )


def wrong(s, m):
    """Guessing is refused, and then refused for a while."""
    s.does(m, "a wrong token is refused", "atlaskv-ctl --token-file /root/wrong get a", code=8, says="token")
    s.does(
        m,
        "many wrong ones are slowed down",
        "for i in $(seq 100); do atlaskv-ctl --token-file /root/wrong get a; done 2>&1 | sort | uniq -c",
        says="too many|wait",
    )
    s.does(m, "and it is logged, without the token", "journalctl -u atlaskv -o cat", says="(?i)token", hides="guess")
    m.must("systemctl restart atlaskv")


def beyond_loopback(s, m):
    """A token allows a listen address that everybody reaches."""
    atlaskv.configure(m, '[server]\nlisten = "0.0.0.0:7390"\n')
    m.must("systemctl restart atlaskv")
    s.does(
        m,
        "with a token a listen address beyond loopback is allowed",
        "atlaskv-ctl --token-file /root/token get a",
        says="^1$",
    )
    m.must(f"mv {FILE} {FILE}.away && systemctl stop atlaskv")
    s.does(m, "without one it is refused", "systemctl start atlaskv", code=1)
    s.does(m, "and the status says with what code", "systemctl status atlaskv", code=3, says="status=2/INVALIDARGUMENT")
    atlaskv.configure(m, "")
    m.must("systemctl reset-failed atlaskv && systemctl start atlaskv")


def by_file(s, m):
    """A file that the configuration names, changed by a reload."""
    m.write("/etc/atlaskv/clients", "the-first-token-of-all\n", 0o640)
    m.must("chown root:atlaskv /etc/atlaskv/clients")
    atlaskv.configure(m, '[server]\ntoken_file = "/etc/atlaskv/clients"\n')
    m.must("systemctl reload atlaskv")
    m.wait("a token is wanted", "! atlaskv-ctl get a")
    m.write("/root/first", "the-first-token-of-all\n", 0o600)
    s.does(m, "a reload takes a token_file in", "atlaskv-ctl --token-file /root/first get a", says="^1$")
    m.path("/etc/atlaskv/clients").write_text("the-second-token-of-all\n", encoding="utf-8")
    m.must("systemctl reload atlaskv")
    m.wait("the first token is over", "! atlaskv-ctl --token-file /root/first get a")
    m.write("/root/second", "the-second-token-of-all\n", 0o600)
    s.does(m, "a reload changes the token", "atlaskv-ctl --token-file /root/second get a", says="^1$")
    atlaskv.configure(m, "")
    m.must("systemctl restart atlaskv")


def encrypted(s, m):
    """On the disk only what this machine can read."""
    m.must(
        f"printf %s {TOKEN} | systemd-creds encrypt --with-key=host --name=token - /etc/atlaskv/token.cred", timeout=120
    )
    s.check("the encrypted file does not show the token", TOKEN not in m.must("cat /etc/atlaskv/token.cred"))
    m.must(
        "install -D -m 0644 /usr/share/doc/atlaskv/examples/token-encrypted.conf /etc/systemd/system/atlaskv.service.d/token.conf"
    )
    m.must("systemctl daemon-reload && systemctl restart atlaskv")
    s.does(m, "with the encrypted token, a client without one is refused", "atlaskv-ctl get a", code=8, says="token")
    s.does(
        m, "with the encrypted token, the token is accepted", "atlaskv-ctl --token-file /root/token get a", says="^1$"
    )
    m.must("systemctl stop atlaskv && sed -i 's/A/B/g' /etc/atlaskv/token.cred")
    s.does(m, "a damaged credential does not become no token", "systemctl start atlaskv", code=1)
    s.does(m, "and the status says so", "systemctl status atlaskv", code=3, says="CREDENTIALS")
