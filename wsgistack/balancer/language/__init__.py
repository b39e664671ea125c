"""The admin language, Perlbal's: one line is one command, in the file and on the port alike.

grammar reads a line, commands/ hold the handlers (one file per family), replies are what they
answer, session is the line protocol over bytes.
"""
