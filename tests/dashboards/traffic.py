"""Mixed traffic between two hosts. `traffic.py serve` answers in one namespace, `traffic.py send SECONDS` asks in the other.

Real connections over the kernel's TCP (HTTP, a port scan, resets, a reader that stops reading), DNS-like datagrams, and
frames made by hand for what two healthy hosts never show each other: lost and repeated segments, fragments, VLAN tags, wrong
headers, SYNs that nobody answers.
"""
import http.server
import itertools
import os
import socket
import struct
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../fixtures"))
import frames  # noqa: E402

HOST, OWN, HTTP, DNS, STUCK, IPFIX = "192.0.2.2", "192.0.2.1", 80, 53, 7001, 4739
OTHER_MAC = "02:00:00:00:00:99"


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients that end by a reset are the point."""


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.005)
        body = b"x" * (200 if self.path == "/small" else 40_000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def answer_datagrams():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((HOST, DNS))
    while True:
        query, client = server.recvfrom(2048)
        server.sendto(query + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2", client)


def take_flows():
    """The collector of IPFIX; what it is told is looked at elsewhere."""
    collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    collector.bind((HOST, IPFIX))
    while True:
        collector.recv(65536)


def read_late():
    """Takes connections and leaves what comes unread for a while: the window closes."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.bind((HOST, STUCK))
    server.listen()
    while True:
        client, _ = server.accept()
        time.sleep(0.5)
        while client.recv(65536):
            pass
        client.close()


def serve():
    threading.Thread(target=answer_datagrams, daemon=True).start()
    threading.Thread(target=read_late, daemon=True).start()
    threading.Thread(target=take_flows, daemon=True).start()
    Server((HOST, HTTP), Pages).serve_forever()


def fetch(n):
    urllib.request.urlopen(f"http://{HOST}/{'small' if n % 3 else 'large'}", timeout=5).read()


def ask_name(n):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        name = b"\4host\7example\3net\0"
        client.sendto(struct.pack(">HHHHHH", n & 0xFFFF, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1", (HOST, DNS))
        client.recv(2048)


def knock(n):
    """One port of a scan; every one is closed."""
    with socket.socket() as client:
        client.settimeout(1)
        client.connect_ex((HOST, 10_000 + n % 20_000))


def reset(_):
    """Ends a connection by a reset."""
    client = socket.create_connection((HOST, HTTP), timeout=5)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def press(_):
    """Sends to somebody who does not read."""
    with socket.create_connection((HOST, STUCK), timeout=10) as client:
        client.sendall(b"y" * 60_000)


def conversation(n):
    """A connection between two hosts that are not here, with every mishap."""
    port, a, b = 20_000 + n % 40_000, f"198.51.100.{1 + n % 120}", f"198.51.100.{121 + n % 120}"

    def segment(payload, flags, sequence, acknowledgement, back=False, window=64240):
        ends = (443, port, b, a) if back else (port, 443, a, b)
        bare = frames.tcp(payload, ends[0], ends[1], flags, sequence, acknowledgement, ends[2], ends[3], window=window)
        packet = frames.ipv4(bare, frames.TCP, ends[2], ends[3], ident=n & 0xFFFF)
        return frames.ethernet(packet, frames.IPV4, destination=OTHER_MAC)

    f, data = frames, b"d" * 500
    yield segment(b"", f.SYN | f.ECE | f.CWR, 100, 0)
    yield segment(b"", f.SYN | f.ACK | f.ECE, 900, 101, back=True)
    yield segment(b"", f.ACK, 101, 901)
    yield segment(data, f.ACK, 101, 901)
    yield segment(data, f.ACK, 1101, 901)
    yield segment(data, f.ACK, 601, 901)
    for _ in range(3):
        yield segment(b"", f.ACK, 901, 601, back=True)
    yield None
    yield segment(data, f.ACK | f.CWR, 601, 901)
    yield segment(b"", f.ACK | f.ECE, 901, 1601, back=True, window=0)
    yield segment(b"", f.ACK, 901, 1601, back=True)
    yield segment(b"", f.RST | f.ACK, 1601, 901)


def oddities(n):
    """What healthy hosts do not send."""
    f, text = frames, b"o" * 200
    datagram = f.udp(text, 4000, 4001, OWN, HOST)
    unanswered = f.tcp(b"", 30_000 + n % 30_000, 9, f.SYN, 1, 0, "198.51.100.9", "198.51.100.10")
    quoted = f.icmp(f.ipv4(f.udp(b"", 5, 6), f.UDP)[:28], 3, 3)
    for packet in [
        f.ipv4(unanswered, f.TCP, "198.51.100.9", "198.51.100.10"),
        f.ipv4(datagram[:104], f.UDP, fragment=0x2000, ident=n & 0xFFFF),
        f.ipv4(datagram[104:], f.UDP, fragment=13, ident=n & 0xFFFF),
        f.ipv4(text, f.UDP, header_words=3),
        f.ipv4(quoted, f.ICMP, HOST, OWN),
    ]:
        yield f.ethernet(packet, f.IPV4, destination=OTHER_MAC)
    for vlan in (10, 20, 30):
        yield f.ethernet(f.tag(f.ipv4(datagram, f.UDP), f.IPV4, vlan), f.VLAN, destination=OTHER_MAC)
    yield f.ethernet(f.ipv4(datagram, f.UDP), f.IPV4, destination="ff:ff:ff:ff:ff:ff")
    yield f.ethernet(f.ipv6(f.udp(text, 5353, 5353, f.CLIENT6, "ff02::fb"), f.UDP, destination="ff02::fb"), f.IPV6,
                     destination="33:33:00:00:00:fb")


def inject(make):
    def send(n):
        for frame in make(n):
            if frame is None:
                time.sleep(0.02)  # longer than segments are merely out of order
            else:
                wire.send(frame)

    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("g0", 0))
    return send


def at_rate(rate, act, until):
    begun = time.monotonic()
    for n in itertools.count():
        if time.monotonic() >= until:
            return
        try:
            act(n)
        except OSError as error:
            print(f"{act.__name__}: {error}", file=sys.stderr)
        time.sleep(max(0.0, begun + (n + 1) / rate - time.monotonic()))


def send(seconds):
    until = time.monotonic() + seconds
    acts = [(6, fetch), (20, ask_name), (40, knock), (2, reset), (1, press), (3, inject(conversation)), (2, inject(oddities))]
    threads = [threading.Thread(target=at_rate, args=(rate, act, until)) for rate, act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else send(float(sys.argv[2]))
