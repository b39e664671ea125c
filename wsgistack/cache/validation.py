"""Validation: asking whether what is stored still holds, and taking in the answer.  RFC 9111 §4.3, §3.2"""

from __future__ import annotations

from wsgistack.cache.head import ResponseHead
from wsgistack.http.conditional import is_strong, same_strong, same_weak
from wsgistack.http.fields import Fields, hop_names

__all__ = ["is_about", "merge_fields", "same_representation", "validators_of"]

# What a 304 or HEAD says of these is about itself, not about what is stored.  §3.2
NOT_MERGED = frozenset(("content-encoding", "content-length", "content-range", "content-type", "set-cookie"))


def validators_of(head: ResponseHead) -> dict[str, str]:
    """Return the request fields that ask whether *head* still holds; {} where it has no validator.  §4.3.1"""
    fields = {}
    etag, modified = head.field("etag"), head.field("last-modified")
    if etag is not None:
        fields["if-none-match"] = etag
    if modified is not None:
        fields["if-modified-since"] = modified
    return fields


def is_about(stored: ResponseHead, answer: ResponseHead) -> bool:
    """Tell whether a 304 that answers our own question is about *stored*.  §4.3.4

    A strong tag must be the stored one; a weak one equal but for the mark; a Last-Modified, where
    there are no tags, the same.  A 304 that says nothing is about what was asked.
    """
    new, old = answer.field("etag"), stored.field("etag")
    if new is not None and old is not None:
        return same_strong(new, old) if is_strong(new) and is_strong(old) else same_weak(new, old)
    modified, before = answer.field("last-modified"), stored.field("last-modified")
    return new is not None or modified is None or before is None or modified == before


def same_representation(stored: ResponseHead, answer: ResponseHead) -> bool:
    """Tell whether the answer to a HEAD has nothing that differs from what is stored.  §4.3.5"""
    return all(
        answer.field(name) is None or stored.field(name) is None or answer.field(name) == stored.field(name)
        for name in ("etag", "last-modified", "content-length")
    )


def merge_fields(stored: Fields, answer: Fields) -> Fields:
    """Return *stored*, each field that *answer* has too replaced by all that it says.  §3.2"""
    left_out = hop_names(answer) | NOT_MERGED
    new = [(name, value) for name, value in answer if name.lower() not in left_out]
    replaced = {name.lower() for name, _ in new}
    return (*[pair for pair in stored if pair[0].lower() not in replaced], *new)
