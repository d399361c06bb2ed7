"""The log of every Python process: one JSON object per line, and no line can block, slow or fail the process."""
