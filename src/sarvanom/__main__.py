"""`python -m sarvanom` is the command `sarvanom`."""

from sarvanom.cli.main import main

main()
