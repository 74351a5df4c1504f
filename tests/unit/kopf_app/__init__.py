"""How Kopf is set up, and what it is given to call."""
