"""The admin ports: the same commands by telnet, Unix socket and HTTP.

access says who may, tokens reads their files, port accepts and tells HTTP from lines, lines is
the dialogue of telnet, web the pages, web_server what carries them.
"""
