"""`python -m loadgate_operator`."""

from loadgate_operator.main import main

main()
