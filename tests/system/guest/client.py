#!/usr/bin/env python3
"""A client written from docs/protocol.md alone, with the loads that the system tests put on the daemon.

client.py load ACKS [--threads N] [--value-size N] [--token-file FILE]
    writes until SIGTERM, reconnecting as needed, and notes each acknowledged write in files of directory ACKS
client.py check ACKS        every write noted there is in the store; 1 if one is not
client.py knock             connects, asks and hangs up, again and again, until SIGTERM; then says how
                            often that was refused or broken off
client.py fill --number N --value-size B    prints N entries as `atlaskv-ctl import` takes them
client.py hold --number N            holds N connections open until SIGTERM; says when it has them
"""

import argparse
import itertools
import json
import pathlib
import signal
import socket
import struct
import sys
import threading
import time

PING, HELLO, GET, PUT = 0x01, 0x02, 0x10, 0x11
VALUE, WRITTEN, ERROR = 0x82, 0x84, 0xFF
#: Longer than any pause that the tests make on purpose.
TIMEOUT_SECONDS = 60

stopping = threading.Event()


class Refused(Exception):
    """The server answered with an error."""


def field(data):
    """`bytes` of the protocol."""
    return struct.pack("<I", len(data)) + data


class Client:
    """One connection."""

    def __init__(self, address, token=None):
        self.socket = socket.create_connection(address, TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        self.ids = itertools.count(1)
        if token:
            self.greet(token)

    def greet(self, token):
        """Presents the token."""
        self.send(HELLO, field(b"system tests") + b"\x01" + field(token))
        self.receive()

    def close(self):
        """Hangs up."""
        self.reader.close()
        self.socket.close()

    def send(self, opcode, payload=b""):
        """Sends a request without waiting."""
        head = struct.pack("<IBBHI", 8 + len(payload), 1, opcode, 0, next(self.ids))
        self.socket.sendall(head + payload)

    def receive(self):
        """The next answer: status and payload."""
        head = self.reader.read(12)
        if len(head) < 12:
            raise ConnectionError("the server hung up")
        length, _, status, _, _ = struct.unpack("<IBBHI", head)
        payload = self.reader.read(length - 8)
        if len(payload) < length - 8:
            raise ConnectionError("the server hung up")
        if status == ERROR:
            code, size = struct.unpack_from("<HI", payload)
            raise Refused(f"{code}: {payload[6:6 + size].decode()}")
        return status, payload

    def put(self, key, value):
        """Writes; returns when it is acknowledged."""
        self.send(PUT, field(key) + field(value))
        status, _ = self.receive()
        if status != WRITTEN:
            raise ConnectionError(f"status {status} to a put")

    def ping(self):
        """Asks whether it is there."""
        self.send(PING)
        self.receive()


def value_of(thread, number, size):
    """What write `number` of `thread` writes."""
    text = f"{thread}/{number}/".encode()
    return (text * (size // len(text) + 1))[: max(size, len(text))]


class Writer(threading.Thread):
    """Writes new keys, one after another, and its counter, over and over."""

    def __init__(self, given, thread):
        super().__init__()
        self.given, self.number = given, thread
        self.acks = (given.acks / str(thread)).open("ab", buffering=0)

    def run(self):
        client = None
        for number in itertools.count(int(time.time() * 1e6)):
            if stopping.is_set():
                return
            try:
                client = client or Client(self.given.address, self.given.token)
                client.put(f"{self.number}/{number}".encode(), value_of(self.number, number, self.given.value_size))
                self.acks.write(f"k {number}\n".encode())
                client.put(f"{self.number}/counter".encode(), str(number).encode())
                self.acks.write(f"c {number}\n".encode())
            except (OSError, Refused):
                # What became of this write is not known; go on with the next.
                if client:
                    client.close()
                client = None
                stopping.wait(0.02)


def load(given):
    """Writes until it is told to stop."""
    given.acks.mkdir(parents=True, exist_ok=True)
    writers = [Writer(given, thread) for thread in range(given.threads)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return 0


def values(client, keys):
    """The values of keys, None where there is none. Pipelined, a bounded number at a time."""
    found = []
    for start in range(0, len(keys), 200):
        part = keys[start : start + 200]
        for key in part:
            client.send(GET, field(key))
        for _ in part:
            status, payload = client.receive()
            found.append(payload[12:] if status == VALUE else None)
    return found


def check(given):
    """Compares the store with what was acknowledged."""
    client = Client(given.address, given.token)
    acknowledged = lost = 0
    for path in sorted(given.acks.iterdir()):
        lines = [line.split() for line in path.read_text().splitlines()]
        numbers = [int(number) for kind, number in lines if kind == "k"]
        keys = [f"{path.name}/{number}".encode() for number in numbers]
        for number, value in zip(numbers, values(client, keys)):
            acknowledged += 1
            start = f"{path.name}/{number}/".encode()
            if value is None or not value.startswith(start) or value != value_of(path.name, number, len(value)):
                lost += 1
                print(f"lost or wrong: {path.name}/{number}", file=sys.stderr)
        counted = [int(number) for kind, number in lines if kind == "c"]
        if counted:
            acknowledged += 1
            value = values(client, [f"{path.name}/counter".encode()])[0]
            if value is None or int(value) < max(counted):
                lost += 1
                print(f"counter {path.name} is {value}, acknowledged {max(counted)}", file=sys.stderr)
    print(json.dumps({"acknowledged": acknowledged, "lost": lost}))
    return 0 if acknowledged and not lost else 1


def knock(given):
    """Connects again and again; says at the end how it went."""
    asked = answered = refused = broken = 0
    while not stopping.is_set():
        asked += 1
        try:
            client = Client(given.address, given.token)
        except OSError:
            refused += 1
            continue
        try:
            client.ping()
            answered += 1
        except (OSError, Refused):
            broken += 1
        client.close()
        if asked % 50 == 1:
            print(json.dumps({"answered": answered, "refused": refused, "broken": broken}), flush=True)
    print(json.dumps({"answered": answered, "refused": refused, "broken": broken}), flush=True)
    return 0


def hold(given):
    """Holds connections open."""
    clients = [Client(given.address, given.token) for _ in range(given.number)]
    for client in clients:
        client.ping()
    print(f"holding {len(clients)}", flush=True)
    stopping.wait()
    return 0


def fill(given):
    """Entries whose keys sort as they are printed."""
    for number in range(given.number):
        print(f"fill:{number:08}\t{value_of('fill', number, given.value_size).decode()}")
    return 0


def main():
    """Does what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("acks", nargs="?", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--value-size", type=int, default=100)
    parser.add_argument("--number", type=int, default=1)
    parser.add_argument("--port", type=int, default=7390)
    parser.add_argument("--token-file", type=pathlib.Path)
    given = parser.parse_args()
    given.address = ("127.0.0.1", given.port)
    given.token = given.token_file.read_bytes().strip() if given.token_file else None
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    return COMMANDS[given.what](given)


COMMANDS = {"load": load, "check": check, "knock": knock, "hold": hold, "fill": fill}


if __name__ == "__main__":
    sys.exit(main())
