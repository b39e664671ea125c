"""A client of memcached's own: many nodes as one cache, over pipelined connections."""
