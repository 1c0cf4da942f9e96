"""The server's side of the i-PI protocol, over a unix socket: frames out, labels back.

Messages are twelve characters, numbers follow in the machine's own binary form, in atomic units
(Ceriotti, More, Manolopoulos, Comput. Phys. Commun. 185, 1019 (2014)). pw.x looks for the socket
below ``/tmp``, whatever TMPDIR says; a name that cannot be guessed and mode 0600 keep others out.
"""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sis_engine.records import FloatArray, Frame, Label
from sis_engine.units import BOHR_ANGSTROM, HARTREE_EV, HARTREE_PER_BOHR_EV_PER_ANGSTROM

PREFIX = "/tmp/ipi_"  # noqa: S108 - pw.x has it built in
_HEADER = 12
_LOOK_S = 0.25
"""How long the socket is listened to before the program itself is looked after."""


class ChannelClosed(Exception):
    """The program has gone, or answers something else than i-PI."""


@dataclass(frozen=True, eq=False)
class Channel:
    """One listening socket. path: of the socket file"""

    path: Path
    listener: socket.socket

    @classmethod
    def open(cls) -> Channel:
        """Raises OSError where no socket can be made."""
        path = Path(f"{PREFIX}sis-{secrets.token_hex(16)}")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(1)
        except OSError:
            listener.close()
            path.unlink(missing_ok=True)
            raise
        return cls(path, listener)

    def close(self) -> None:
        self.listener.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class Conversation:
    """What is said over one connection. wait: called between looks whether there is an answer"""

    connection: socket.socket
    wait: Callable[[], None]

    @classmethod
    def accepted(cls, channel: Channel, wait: Callable[[], None]) -> Conversation:
        """The first program that connects."""
        _until_readable(channel.listener, wait)
        connection, _ = channel.listener.accept()
        return cls(connection, wait)

    def label(self, frame: Frame, *, with_virial: bool) -> Label:
        """Send a frame, receive its label. Raises ChannelClosed, and whatever ``wait`` raises."""
        if self._status() == "NEEDINIT":
            self._send(b"INIT", np.int32(0).tobytes(), np.int32(1).tobytes(), b"\0")
            self._expect(self._status(), "READY")
        cell = np.asarray(frame.cell) / BOHR_ANGSTROM
        self._send(
            b"POSDATA",
            np.ascontiguousarray(cell.T).tobytes(),
            np.ascontiguousarray(np.linalg.inv(cell)).tobytes(),
            np.int32(frame.n_atoms).tobytes(),
            np.ascontiguousarray(frame.positions / BOHR_ANGSTROM).tobytes(),
        )
        self._expect(self._status(), "HAVEDATA")
        self._send(b"GETFORCE")
        self._expect(self._header(), "FORCEREADY")
        energy = float(self._numbers(1)[0])
        n_atoms = int(np.frombuffer(self._receive(4), np.int32)[0])
        self._expect(str(n_atoms), str(frame.n_atoms))
        forces = self._numbers(3 * n_atoms).reshape(n_atoms, 3)
        virial = self._numbers(9).reshape(3, 3).T
        self._receive(int(np.frombuffer(self._receive(4), np.int32)[0]))
        return Label(
            energy * HARTREE_EV,
            forces * HARTREE_PER_BOHR_EV_PER_ANGSTROM,
            # i-PI's virial is -dE/d(strain), as ours.
            virial * HARTREE_EV if with_virial else None,
        )

    def end(self) -> None:
        """Tell the program that it is done."""
        with contextlib.suppress(OSError):
            self.connection.sendall(b"EXIT".ljust(_HEADER))

    def close(self) -> None:
        self.connection.close()

    def _status(self) -> str:
        self._send(b"STATUS")
        return self._header()

    def _send(self, message: bytes, *data: bytes) -> None:
        try:
            self.connection.sendall(b"".join((message.ljust(_HEADER), *data)))
        except OSError as error:
            raise ChannelClosed(f"the connection to it broke: {error}") from error

    def _header(self) -> str:
        return self._receive(_HEADER).decode("ascii", errors="replace").rstrip()

    def _numbers(self, n: int) -> FloatArray:
        return np.frombuffer(self._receive(8 * n), np.float64)

    def _receive(self, n_bytes: int) -> bytes:
        received = b""
        while len(received) < n_bytes:
            _until_readable(self.connection, self.wait)
            try:
                piece = self.connection.recv(n_bytes - len(received))
            except OSError as error:
                raise ChannelClosed(f"the connection to it broke: {error}") from error
            if not piece:
                raise ChannelClosed("it closed the connection")
            received += piece
        return received

    def _expect(self, seen: str, wanted: str) -> None:
        if seen != wanted:
            raise ChannelClosed(f"it answered {seen!r} in place of {wanted!r}")


def _until_readable(one: socket.socket, wait: Callable[[], None]) -> None:
    while not select.select([one], [], [], _LOOK_S)[0]:
        wait()
