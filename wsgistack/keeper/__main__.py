"""`python -m wsgistack.keeper`."""

from wsgistack.keeper.process import main

main()
