"""Serves files over HTTP to a client in the same process."""

import functools
import hashlib
import http.server
import threading
import urllib.request


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory="/usr/lib/python3.11"))
threading.Thread(target=server.serve_forever, daemon=True).start()
for name in ("argparse.py", "json/", "missing"):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{name}") as response:
            data = response.read()
            print(name, response.status, response.headers["Content-Type"], len(data), hashlib.sha256(data).hexdigest())
    except OSError as error:
        print(name, error)
server.shutdown()
