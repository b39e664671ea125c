"""Values as memcached keeps them: bytes and a number of flags.

| flags | what the bytes are | who else reads and writes it |
|---|---|---|
| 0 | bytes | everybody |
| 16 | UTF-8 | pymemcache, pylibmc, Django |
| 4 | a whole number in digits (2 is read too; pylibmc's True and False come as 1 and 0) | the same |
| 1 | a pickle: written and read only if asked for, for a pickle from a shared server runs code | the same |
| +8 | zlib | the same |
| 256 | msgpack with types (`extended`) | we alone |
| 512 | bytes, for the empty value: memcached's own stubs are empty with flags 0 | we alone |
| +1024 | sealed: the full key, a signature, or both stand before it; never a count | we alone |
| 2048 | the list of the chunks of a value that is too large for one item (`chunks`) | we alone |

What cannot be believed is `Unreadable`, which a cache takes for a miss: a value of another key, a
wrong signature, a pickle that nobody asked for, zlib that would grow beyond *most_bytes*.
"""

from __future__ import annotations

import hmac
import pickle
import zlib
from hashlib import blake2b

from wsgistack.errors import ArgumentError, ConfigurationError, TooLarge, Unreadable
from wsgistack.store.extended import pack, unpack
from wsgistack.store.keys import WireKey

__all__ = ["CHUNKED", "EMPTY", "NUMBER", "TEXT", "ZLIB", "Codec"]

PICKLE, BOOLEAN, NUMBER, ZLIB, TEXT = 1, 2, 4, 8, 16
MSGPACK, EMPTY, SEALED, CHUNKED = 256, 512, 1024, 2048
KNOWN = PICKLE | BOOLEAN | NUMBER | ZLIB | TEXT | MSGPACK | EMPTY | SEALED
WITH_KEY, WITH_SIGNATURE = 1, 2

COMPRESS_FROM = 2048  # below, zlib's 5 to 20 us cost more than the bytes that it saves on a local network
ZLIB_LEVEL = 1
WORTH_IT = 0.9
GZIP = b"\x1f\x8b"
MOST_BYTES = 16 * 1024 * 1024
SIGNATURE_BYTES = 16
COUNT_DIGITS = 20  # of 64 bits
MOST_DIGITS = 4000  # int() is quadratic; Python's own bound is 4300


class Codec:
    """How values become bytes.  Immutable, safe everywhere.

    *compress_from*: bytes from which on zlib is tried, None for never.  *most_bytes*: of a value,
    uncompressed.  *pickle*: everything but bytes, str and int is pickled, as pymemcache does, and
    pickles are read.  *sign_key*: up to 64 bytes; values are signed and only those are read,
    except bare digits, because memcached itself changes counters.
    """

    def __init__(
        self,
        *,
        compress_from: int | None = COMPRESS_FROM,
        most_bytes: int = MOST_BYTES,
        pickle: bool = False,
        sign_key: bytes | None = None,
    ) -> None:
        if compress_from is not None and not (isinstance(compress_from, int) and compress_from >= 0):
            raise ConfigurationError(
                f"compress_from: {compress_from!r} is neither None nor a number of bytes"
            )
        if not isinstance(most_bytes, int) or most_bytes < 1:
            raise ConfigurationError(f"most_bytes: {most_bytes!r} is not a number of bytes above 0")
        if sign_key is not None and not (isinstance(sign_key, bytes) and 16 <= len(sign_key) <= 64):
            raise ConfigurationError("sign_key: expected 16 to 64 bytes")
        self.most_bytes = most_bytes
        self._compress_from = compress_from
        self._pickle = pickle
        self._sign_key = sign_key

    @property
    def plain_below(self) -> int:
        """The size below which bytes, text and whole numbers are stored as they are; 0: never.

        Bytes of at least one; text and numbers by their flags in the table above.
        """
        if self._sign_key is not None:
            return 0
        longest = self.most_bytes + 1
        return longest if self._compress_from is None else min(self._compress_from, longest)

    def encode(self, key: WireKey, value: object, flags_instead: int | None = None) -> tuple[bytes, int]:
        """Return (bytes, flags) to store under *key*.

        *flags_instead*: what to say that the bytes are, whatever they are.
        ArgumentError: a type that would not come back as it is; TooLarge: beyond most_bytes.
        """
        if type(value) is bytes:
            body, flags = (value, 0) if value else (b"", EMPTY)
        elif type(value) is str:
            body, flags = value.encode("utf-8", "surrogatepass"), TEXT
        elif type(value) is int:
            body, flags = str(value).encode(), NUMBER
        else:
            body, flags = self._pack(value)
        if len(body) > self.most_bytes:
            raise TooLarge(f"value: {len(body)} bytes; the most is {self.most_bytes}")
        if flags_instead is not None:
            flags = flags_instead or (0 if body else EMPTY)
        if self._compress_from is not None and len(body) >= self._compress_from and not flags & ZLIB:
            body, flags = _compress(body, flags)
        if (key.full is not None or self._sign_key is not None) and not _is_count(body, flags):
            return self._seal(key, body, flags | SEALED), flags | SEALED
        return body, flags

    def decode(self, key: WireKey, body: bytes, flags: int) -> object:
        """Return the value that (bytes, flags) under *key* mean, or raise Unreadable."""
        if flags == 0 and key.full is None and self._sign_key is None:
            return body
        if flags & ~KNOWN:
            raise Unreadable(f"flags {flags} are not ours")
        if flags & SEALED:
            body = self._unseal(key, body, flags)
        elif not _is_count(body, flags):
            if key.full is not None:
                raise Unreadable("a value without the key that it belongs to")
            if self._sign_key is not None:
                raise Unreadable("a value without a signature")
        if flags & ZLIB:
            body = self._decompress(body)
        try:
            return self._read(body, flags)
        except (ValueError, UnicodeDecodeError) as error:
            raise Unreadable(f"flags {flags}: {error}") from None

    def _pack(self, value: object) -> tuple[bytes, int]:
        if self._pickle:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL), PICKLE
        try:
            return pack(value), MSGPACK
        except (TypeError, ValueError, RecursionError) as error:
            raise ArgumentError(f"value: {error}; pickle=True stores any object") from None

    def _read(self, body: bytes, flags: int) -> object:
        if flags & TEXT:
            return body.decode("utf-8", "surrogatepass")
        if flags & (NUMBER | BOOLEAN):
            if len(body) > MOST_DIGITS:
                raise ValueError(f"a number of {len(body)} digits")
            return int(body)
        if flags & MSGPACK:
            return unpack(body)
        if flags & PICKLE:
            if not self._pickle:
                raise ValueError("a pickle, which runs code; pickle=True reads it")
            return _unpickle(body)
        return body

    def _decompress(self, body: bytes) -> bytes:
        inflater = zlib.decompressobj()
        try:
            plain = inflater.decompress(body, self.most_bytes + 1)
        except zlib.error as error:
            raise Unreadable(f"zlib: {error}") from None
        if len(plain) > self.most_bytes:
            raise Unreadable(f"zlib: more than {self.most_bytes} bytes in {len(body)}")
        if not inflater.eof:
            raise Unreadable("zlib: the end is missing")
        return plain

    def _seal(self, key: WireKey, body: bytes, flags: int) -> bytes:
        kind = (WITH_KEY if key.full is not None else 0) | (WITH_SIGNATURE if self._sign_key else 0)
        if key.full is not None:
            body = len(key.full).to_bytes(4, "big") + key.full + body
        if self._sign_key:
            body = self._sign(key, body, flags) + body
        return bytes([kind]) + body

    def _unseal(self, key: WireKey, body: bytes, flags: int) -> bytes:
        kind, rest = body[:1], body[1:]
        expected = (WITH_KEY if key.full is not None else 0) | (WITH_SIGNATURE if self._sign_key else 0)
        # A signature that nobody can check here does no harm; anything else must be as we seal it.
        if kind not in (bytes([expected]), bytes([expected | WITH_SIGNATURE])):
            raise Unreadable("not sealed as values are sealed here")
        if kind[0] & WITH_SIGNATURE:
            signature, rest = rest[:SIGNATURE_BYTES], rest[SIGNATURE_BYTES:]
            if self._sign_key and not hmac.compare_digest(signature, self._sign(key, rest, flags)):
                raise Unreadable("a wrong signature")
        if key.full is not None:
            length = int.from_bytes(rest[:4], "big")
            if rest[4 : 4 + length] != key.full:
                raise Unreadable("the value of another key")
            rest = rest[4 + length :]
        return rest

    def _sign(self, key: WireKey, rest: bytes, flags: int) -> bytes:
        code = blake2b(key=self._sign_key or b"", digest_size=SIGNATURE_BYTES)
        code.update(b"%d %d " % (flags, len(key.wire)) + key.wire)
        code.update(rest)
        return code.digest()


def _is_count(body: bytes, flags: int) -> bool:
    """Return whether memcached can count with this, and so nothing may stand before it."""
    return flags & ~(BOOLEAN | NUMBER) == 0 and len(body) <= COUNT_DIGITS and body.isdigit()


def _compress(body: bytes, flags: int) -> tuple[bytes, int]:
    """Return *body* compressed, or as it is where that saves less than a tenth."""
    if body.startswith(GZIP):
        return body, flags
    small = zlib.compress(body, ZLIB_LEVEL)
    return (small, flags | ZLIB) if len(small) < WORTH_IT * len(body) else (body, flags)


def _unpickle(body: bytes) -> object:
    try:
        return pickle.loads(body)
    except Exception as error:  # noqa: BLE001  # a pickle may raise anything
        raise ValueError(f"a pickle that cannot be read: {error!r}") from None
