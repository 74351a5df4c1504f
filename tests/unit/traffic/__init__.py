"""Ways to a model: what a hold makes of them, and that nothing of it is left after release."""
