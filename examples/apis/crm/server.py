"""A small CRM with an HTTP API, to try HTTP resources with. Listens on this machine only.

python server.py [--port 9090] [--key crm-demo-key]
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUSTOMERS: dict[int, dict[str, Any]] = {
    1: {"name": "Ada Lovelace Ltd", "city": "London", "open_orders": 3, "notes": []},
    2: {"name": "Grace Hopper Inc", "city": "New York", "open_orders": 0, "notes": []},
}


class Handler(BaseHTTPRequestHandler):
    key = ""

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if self.headers.get("X-Api-Key") != self.key:
            self.send(401, {"error": "Send the key of the CRM as X-Api-Key."})
            return
        match method, self.path.partition("?")[0].strip("/").split("/"):
            case "GET", ["v1", "customers", number] if found := customer(number):
                self.send(200, {"data": {"id": int(number), **found}})
            case "POST", ["v1", "customers", number, "notes"] if found := customer(number):
                found["notes"].append(json.loads(body)["text"])
                self.send(201, {"data": {"notes": len(found["notes"])}})
            case _:
                self.send(404, {"error": "There is no such thing."})

    def send(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def customer(number: str) -> dict[str, Any] | None:
    return CUSTOMERS.get(int(number)) if number.isdecimal() else None


def main() -> None:
    parser = argparse.ArgumentParser(description="A small CRM with an HTTP API.")
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--key", default="crm-demo-key")
    given = parser.parse_args()
    Handler.key = given.key
    server = ThreadingHTTPServer(("127.0.0.1", given.port), Handler)
    print(f"The CRM listens on http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
