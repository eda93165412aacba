#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small web service with a hole: /when?zone=… hands its argument to a shell."""
import http.server
import subprocess
import sys
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        zone = query.get("zone", ["UTC"])[0]
        out = subprocess.run(["/bin/sh", "-c", f"TZ={zone} date"], capture_output=True, check=False)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(out.stdout)

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
