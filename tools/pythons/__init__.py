"""`make conformance-python`: the tests of plain Python under every promised Python, as WebAssembly.

A machine has one Python, or two; pyodide, from npm, is CPython itself of another version.  It has no threads, no
processes, no sockets, and none of what is compiled: left_out.txt names each test that needs one of them.
"""
