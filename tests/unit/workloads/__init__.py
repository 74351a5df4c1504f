"""What runs a model and what scales it: how it is held, and how it comes back."""
