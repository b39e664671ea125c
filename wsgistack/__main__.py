"""`python -m wsgistack` is the program `wsgistack`."""

import sys

from wsgistack.cli import main

if __name__ == "__main__":
    sys.exit(main())
