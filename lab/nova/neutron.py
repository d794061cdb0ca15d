# SPDX-License-Identifier: Apache-2.0
"""In the place of Neutron: a cloud without networks, whose lists are all empty.

    python -m lab.nova.neutron

The servers have no network, so this is all that Nova asks of Neutron.
"""

import http.server
import json

from lab.plan import CONTROL

PORT = 9696
URL = f"http://{CONTROL}:{PORT}"

#: What Nova asks for when it makes, shows, moves and deletes a server.
_LISTS = ("extensions", "ports", "networks", "subnets", "floatingips")


class _Empty(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rstrip("/").rpartition("/")[2]
        name = name.removesuffix(".json")
        if name in _LISTS:
            self._answer(200, {name: []})
        elif name == "security-groups":
            self._answer(200, {"security_groups": []})
        elif "/quotas/" in self.path:
            # For a server whose request says nothing of networks.
            self._answer(200, {"quota": {"port": -1}})
        elif name == "":
            version = {"id": "v2.0", "status": "CURRENT", "links": []}
            self._answer(200, {"versions": [version]})
        else:
            message = f"the lab has no networks, and so no {self.path}"
            error = {"type": "NotFound", "message": message, "detail": ""}
            self._answer(404, {"NeutronError": error})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until the process is ended."""
    http.server.ThreadingHTTPServer((CONTROL, PORT), _Empty).serve_forever()


if __name__ == "__main__":
    main()
