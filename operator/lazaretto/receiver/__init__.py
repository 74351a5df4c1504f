"""The intake process: alerts come in, incidents are stored."""
