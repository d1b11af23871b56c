#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""A vfio-user proxy between a guest and a switch that changes one register on the way: what a driver or
a device of another version would say, without building one.

    proxy.py LISTEN TARGET read|write OFFSET VALUE

OFFSET is in BAR0; read changes what the device answers, write what the driver writes. Messages pass
whole, with their descriptors. Serves one guest at a time until it is killed.
"""
import os
import select
import socket
import struct
import sys

HEADER = struct.Struct("=HHIII")        # id, command, size, flags, error
ACCESS = struct.Struct("=QII")          # offset, region, count; then the data
REGION_READ, REGION_WRITE = 9, 10
IS_REPLY = 1
BAR0 = 0
MAX_FDS = 16


def receive(sock):
    """One message with its descriptors; None when the peer hung up."""
    data, fds, _, _ = socket.recv_fds(sock, HEADER.size, MAX_FDS)
    while data and len(data) < HEADER.size:
        data += sock.recv(HEADER.size - len(data))
    if not data:
        return None
    size = HEADER.unpack(data)[2]
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            return None
        data += more
    return bytearray(data), fds


def bend(message, command, offset, value):
    """Changes the data of an access to the register, whichever way carries it."""
    _, found, _, flags, _ = HEADER.unpack_from(message)
    carries = (flags & IS_REPLY) == (command == REGION_READ)
    if found != command or not carries or len(message) < HEADER.size + ACCESS.size + 4:
        return
    if ACCESS.unpack_from(message, HEADER.size) == (offset, BAR0, 4):
        struct.pack_into("=I", message, HEADER.size + ACCESS.size, value)


def pump(guest, switch, *what):
    other = {guest: switch, switch: guest}
    while True:
        for sock in select.select([guest, switch], [], [])[0]:
            message = receive(sock)
            if message is None:
                return
            data, fds = message
            bend(data, *what)
            socket.send_fds(other[sock], [data], fds)
            for fd in fds:
                os.close(fd)


def main():
    listen, target, way, offset, value = sys.argv[1:]
    command = {"read": REGION_READ, "write": REGION_WRITE}[way]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(listen)
        server.listen()
        print("proxy: ready", flush=True)
        while True:
            guest = server.accept()[0]
            with guest, socket.socket(socket.AF_UNIX) as switch:
                switch.connect(target)
                pump(guest, switch, command, int(offset, 0), int(value, 0))


if __name__ == "__main__":
    main()
