"""What Python does, over a host that may lie. The canary of tests/hostile/lying.py is in memory and in a file of the enclave's own
all the time."""

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time

SECRET = bytes(byte ^ 0x9C for byte in os.environb[b"CANARY_SEED"])
COPIES = [bytes(bytearray(SECRET)) for _ in range(1000)]
DIGEST = hashlib.sha256(SECRET).digest()


def files(number: int) -> None:
    path = f"/data/file{number}"
    with open(path, "w") as file:
        file.write("x" * 5000)
    with open(path) as file:
        file.read()
    os.rename(path, f"{path}.moved")
    os.listdir("/data")
    os.unlink(f"{path}.moved")


def network(number: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        with socket.create_connection(server.getsockname(), 0.5) as client:
            peer, _ = server.accept()
            with peer:
                client.sendall(b"question")
                peer.settimeout(0.5)
                peer.recv(100)


def modules(number: int) -> None:
    __import__(("json", "decimal", "csv", "email.message")[number % 4])


def children(number: int) -> None:
    subprocess.run(["/usr/bin/true"], timeout=5, check=False)


def clocks(number: int) -> None:
    before = time.monotonic()
    time.sleep(0.001)
    if time.monotonic() < before:
        print("wrong: the monotonic clock went back", file=sys.stderr)


def work(number: int) -> None:
    for turn in range(3):
        for what in (files, network, modules, children, clocks):
            with contextlib.suppress(Exception):  # whatever a lie may cause
                what(number + turn)


with open("/tmp/secret", "wb") as file:
    file.write(SECRET)
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
if any(hashlib.sha256(copy).digest() != DIGEST for copy in COPIES):
    print("wrong: the secret changed", file=sys.stderr)
os._exit(0)
