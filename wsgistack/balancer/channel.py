"""The channel between the supervisor and a worker: JSON messages and descriptors over a socket pair.

A frame is four bytes of length, big-endian, and a JSON object; one that passes descriptors
says how many by its key `fds`, and they travel with its first byte (SCM_RIGHTS).
"""

from __future__ import annotations

import array
import json
import os
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event

__all__ = ["Channel", "ChannelError", "Frames", "Message", "encode"]

Message = dict[str, Any]

LENGTH = struct.Struct(">I")
LONGEST_MESSAGE_BYTES = 32 * 1024 * 1024  # `socks` of 60,000 connections is 12 MB
MOST_DESCRIPTORS = 8  # of one message
MOST_EVENTS = 1000  # that wait to be sent; a refused request is worth one line, not memory
READ_BYTES = 65536


class ChannelError(Exception):
    """The other side broke the framing, or sent what is no message."""


def encode(message: Message) -> bytes:
    """Return *message* as one frame."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > LONGEST_MESSAGE_BYTES:
        raise ChannelError(f"a message of {len(body)} bytes; at most {LONGEST_MESSAGE_BYTES} fit")
    return LENGTH.pack(len(body)) + body


class Frames:
    """Bytes in, messages out; how the bytes were split does not matter."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that *data* completes; raise ChannelError for what is none."""
        self._held += data
        while len(self._held) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._held)
            if length > LONGEST_MESSAGE_BYTES:
                raise ChannelError(f"a frame of {length} bytes; at most {LONGEST_MESSAGE_BYTES} fit")
            end = LENGTH.size + length
            if len(self._held) < end:
                return
            body = bytes(self._held[LENGTH.size : end])
            del self._held[:end]
            yield _decode(body)


def _decode(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise ChannelError(f"not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ChannelError(f"not an object with a type: {body[:80]!r}")
    return message


class Channel:
    """One side of the pair.  `post` and `offer` never block; a greenlet of its own writes.

    Iterating gives the messages of the other side until it closes; descriptors that came with
    one are in its key `descriptors`, and whoever takes the message owns them.
    """

    def __init__(self, sock: Any) -> None:
        self._socket = sock  # a gevent socket
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._events: deque[Message] = deque()
        self._dropped = 0
        self._wake = Event()
        self._idle = Event()
        self._idle.set()
        self._closed = False
        self._broken = False
        self._writer = gevent.spawn(self._write)

    @classmethod
    def over(cls, descriptor: int) -> Channel:
        """Return the channel over an inherited descriptor, which is the channel's from now on."""
        os.set_inheritable(descriptor, False)
        return cls(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor))

    @property
    def backlog(self) -> int:
        """How many messages wait because the other side does not read."""
        return len(self._waiting)

    @property
    def is_closed(self) -> bool:
        """Tell whether nothing can be sent any more."""
        return self._closed or self._broken

    def post(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Queue *message*; its descriptors are duplicated, so that the caller may close its own."""
        if self.is_closed:
            return
        if descriptors:
            message = message | {"fds": len(descriptors)}
        self._waiting.append((encode(message), tuple(os.dup(one) for one in descriptors)))
        self._stir()

    def offer(self, event: Message) -> None:
        """Queue an event of the plane, or count it as lost if too many wait already."""
        if self.is_closed:
            return
        if len(self._events) >= MOST_EVENTS:
            self._dropped += 1
        else:
            self._events.append(event)
        self._stir()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything was handed to the system; False if that took longer."""
        return bool(self._idle.wait(timeout_s))

    def close(self) -> None:
        """Close at once; what waits is lost."""
        if self._closed:
            return
        self._closed = True
        self._writer.kill(block=False)
        self._socket.close()
        self._forget()

    def _forget(self) -> None:
        while self._waiting:
            _close_all(self._waiting.popleft()[1])
        self._idle.set()

    def _stir(self) -> None:
        self._idle.clear()
        self._wake.set()

    def _write(self) -> None:
        try:
            while True:
                self._wake.wait()
                self._wake.clear()
                while frame := self._next_frame():
                    self._send(*frame)
                self._idle.set()
        except OSError:
            # The reading side sees the end of the channel and says so.
            self._broken = True
            self._forget()

    def _next_frame(self) -> tuple[bytes, tuple[int, ...]] | None:
        """Return what is sent next: messages before events, the count of lost events last."""
        if self._waiting:
            return self._waiting.popleft()
        if self._events:
            return encode({"type": "event"} | self._events.popleft()), ()
        if self._dropped:
            lost, self._dropped = self._dropped, 0
            return encode({"type": "event", "event": "events_lost", "count": lost}), ()
        return None

    def _send(self, frame: bytes, descriptors: tuple[int, ...]) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        try:
            sent = 0
            while descriptors and not sent:
                sent = self._socket.sendmsg([frame], [rights])
            self._socket.sendall(frame[sent:])
        finally:
            _close_all(descriptors)

    def __iter__(self) -> Iterator[Message]:
        frames = Frames()
        held: deque[int] = deque()
        try:
            while not self._closed:
                data, descriptors = self._receive()
                held += descriptors
                if not data:
                    return
                for message in frames.feed(data):
                    if "fds" in message:
                        message["descriptors"] = _take(held, message["fds"])
                    yield message
        finally:
            _close_all(held)

    def _receive(self) -> tuple[bytes, list[int]]:
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
        try:
            data, control, flags, _ = self._socket.recvmsg(READ_BYTES, room, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return b"", []  # reset, or closed by `close` while we waited
        descriptors = array.array("i")
        for level, kind, rights in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(rights[: len(rights) - len(rights) % descriptors.itemsize])
        if flags & socket.MSG_CTRUNC:
            _close_all(descriptors)
            raise ChannelError("descriptors were lost: too many of them, or no room in the process")
        return data, list(descriptors)


def _take(held: deque[int], count: object) -> list[int]:
    if not isinstance(count, int) or not 0 < count <= len(held):
        raise ChannelError(f"a message announces {count} descriptors, {len(held)} came")
    return [held.popleft() for _ in range(count)]


def _close_all(descriptors: Any) -> None:
    for one in descriptors:
        os.close(one)
