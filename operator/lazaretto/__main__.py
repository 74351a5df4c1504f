"""`python -m lazaretto` is the `lazaretto` command."""

from lazaretto.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
