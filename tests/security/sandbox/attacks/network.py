"""Reaching the machine's services and the world; all addresses are this machine's own."""

import os
import socket
import time

from tools import that_work


def connect_to_services(lab):
    hosts = ("127.0.0.1", "::1", "0.0.0.0", "127.0.0.2", "localhost")
    places = [(host, port) for host in hosts for port in (5432, 6379, lab["tcp_port"])]
    return that_work({str(place): lambda place=place: socket.create_connection(place, 0.3)
                      for place in places})  # fmt: skip


def connect_from_the_shell(lab):
    code = os.system(f"bash -c 'echo PING >/dev/tcp/127.0.0.1/{lab['tcp_port']}' 2>/dev/null")
    return ["bash"] if code == 0 else []


def send_datagrams(lab):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for host in ("127.0.0.1", "127.0.0.2"):
            that_work({host: lambda h=host: sender.sendto(b"secret", (h, lab["udp_port"]))})
    return []  # The host looks at what arrived.


def connect_to_sockets_with_paths(lab):
    paths = (lab["unix_path"], "/var/run/docker.sock", "/run/docker.sock", "/run/systemd/private",
             "/var/run/postgresql/.s.PGSQL.5432", "/run/dbus/system_bus_socket")  # fmt: skip
    return that_work({path: lambda path=path: socket.socket(socket.AF_UNIX).connect(path)
                      for path in paths})  # fmt: skip


def connect_to_abstract_sockets(lab):
    name = f"\0{lab['abstract']}"
    return that_work({"abstract": lambda: socket.socket(socket.AF_UNIX).connect(name)})


def ask_the_gate_for_services(lab):
    if "HTTPS_PROXY" not in os.environ:
        return []
    hosts = ("127.0.0.1", "[::1]", "localhost", "0.0.0.0", "2130706433", "127.1", "0x7f.1",
             "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1")  # fmt: skip
    place = os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
    reached = []
    for host in hosts:
        for port in (5432, 6379, lab["tcp_port"], place[1]):
            for request in (f"CONNECT {host}:{port}", f"GET http://{host}:{port}/"):
                with socket.create_connection((place[0], int(place[1])), 5) as gate:
                    gate.sendall(f"{request} HTTP/1.1\r\n\r\n".encode())
                    answer = gate.recv(100).decode()
                print(answer.partition("\r")[0])
                if not answer.startswith(("HTTP/1.1 403", "HTTP/1.1 502")):
                    reached.append(request)
    return reached


def listen_for_the_platform(lab):
    with socket.socket() as server:
        server.bind(("0.0.0.0", lab["listen_port"]))
        server.listen()
        print("listening", flush=True)
        time.sleep(1.5)
        server.settimeout(0.1)
        return that_work({"the host connected": server.accept})
