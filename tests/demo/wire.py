# SPDX-License-Identifier: BSD-2-Clause
"""
Wires between the parties: small UDP relays that write down every datagram and can misbehave on request.
"""
import selectors
import socket
import threading
import time


class Wire:
    """From whoever sends to `listen` to the party at `target`, and back."""

    def __init__(self, name, left, right, listen, target):
        self.name, self.left, self.right = name, left, right
        self.target = target
        self.repeat = False                     # the next request goes out again once it was answered
        self.last = None
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(listen)
        self.peers = {}                         # source address -> socket towards the target
        self.returns = {}                       # that socket -> source address


class Wires:
    """All relays, in one thread."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.wires = []
        self.sockets = []
        self.seen = []                          # (wire, from, to, datagram)
        self.lock = threading.Lock()
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)

    def add(self, name, left, right, listen, target):
        wire = Wire(name, left, right, listen, target)
        self.sockets.append(wire.sock)
        wire.sock.setblocking(False)
        self.selector.register(wire.sock, selectors.EVENT_READ, (wire, None))
        self.wires.append(wire)
        return wire

    def start(self):
        self.thread.start()

    def stop(self):
        self.running = False
        if self.thread.is_alive():
            self.thread.join(2)
        for sock in self.sockets:
            sock.close()
        self.selector.close()

    def mark(self):
        with self.lock:
            return len(self.seen)

    def since(self, mark, settle=0.03):
        """What passed since `mark`, after a moment for stragglers."""
        time.sleep(settle)
        with self.lock:
            return self.seen[mark:]

    def note(self, wire, source, target, datagram):
        with self.lock:
            self.seen.append((wire, source, target, datagram))

    def upstream(self, wire, source):
        if source not in wire.peers:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(wire.target)
            sock.setblocking(False)
            self.sockets.append(sock)
            wire.peers[source], wire.returns[sock] = sock, source
            self.selector.register(sock, selectors.EVENT_READ, (wire, sock))
        return wire.peers[source]

    def forward(self, wire):
        datagram, source = wire.sock.recvfrom(65536)
        sock = self.upstream(wire, source)
        wire.last = datagram
        self.note(wire, wire.left, wire.right, datagram)
        sock.send(datagram)

    def back(self, wire, sock):
        datagram = sock.recv(65536)
        self.note(wire, wire.right, wire.left, datagram)
        wire.sock.sendto(datagram, wire.returns[sock])
        if wire.repeat:
            wire.repeat = False
            self.note(wire, wire.left, wire.right, wire.last)
            sock.send(wire.last)

    def run(self):
        while self.running:
            for key, _ in self.selector.select(0.1):
                wire, sock = key.data
                try:
                    if sock is None:
                        self.forward(wire)
                    else:
                        self.back(wire, sock)
                except OSError:                 # nobody listens there just now: a lost datagram
                    pass
