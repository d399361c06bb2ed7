"""A FastAPI app."""
