"""The chat rooms to compare with, as their documentation has them."""
