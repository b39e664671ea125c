"""The page cache: RFC 9111 as functions, and at its edges what carries them out."""
