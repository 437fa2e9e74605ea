"""`python -m client.cli` is `apprentice`."""

from client.cli import main

main()
