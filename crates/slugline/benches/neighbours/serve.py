"""A small web program: about a millisecond of work, and a few bytes to a file, for each request."""

import http.server
import sys


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        total = sum(number * number for number in range(15_000))
        with open("/tmp/visits", "a") as visits:
            visits.write(f"{self.path}\n")
        body = str(total).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), Answer).serve_forever()
