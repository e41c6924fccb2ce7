# SPDX-License-Identifier: BSD-2-Clause
"""Addresses on loopback."""
import random
import socket

COAP_PORT = 5683


def free_address(port=None, tries=200, kind=socket.SOCK_DGRAM):
    """
    An address of 127.0.0.0/8 nobody is bound to, outside the range that the system gives out by itself: another test
    run on this machine is not in the way.
    """
    for _ in range(tries):
        ip = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        number = port or random.randint(20000, 30000)
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind((ip, number))
                return ip, number
            except OSError:
                continue
    raise RuntimeError("no free address on loopback")


def uri(address, path=""):
    host, port = address
    host = f"[{host}]" if ":" in host else host
    return f"coap://{host}{'' if port == COAP_PORT else f':{port}'}{path}"
