"""Trainings whose weights ship, one module each: `python -m recipes.draw`."""
