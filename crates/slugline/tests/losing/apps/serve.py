"""Serves what the app beside it does: GET / is its page, POST / is an upload or an order, and any
file of the app's directory can be asked for."""

import http.server
import os
import pathlib
import urllib.parse

import app


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = pathlib.Path("." + urllib.parse.unquote(self.path))
        if self.path == "/":
            self.answer(200, app.page())
        elif path.is_file():
            self.answer(200, path.read_bytes())
        else:
            self.answer(404, b"not found")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(200, app.take(body))

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
