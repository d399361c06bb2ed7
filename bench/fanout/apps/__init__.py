"""The chat rooms to compare with, as in their documentation."""
