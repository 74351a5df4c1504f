"""The `lazaretto` command as a person or a pipeline calls it."""
