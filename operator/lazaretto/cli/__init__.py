"""The `lazaretto` command."""
