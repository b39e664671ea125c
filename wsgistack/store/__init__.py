"""Where bytes are kept: one protocol (`base`), made from a URL (`url`), one file per scheme (`schemes/`)."""
