"""The report: terminal tables, plots and the HTML page."""
