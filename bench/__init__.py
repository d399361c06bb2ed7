"""`make bench`: runner, statistics, plots and report. `layers/` measures the app's own parts against a bare app.

Imports go downwards: figures, load, run, report, layers; tests/project/test_layering.py checks that.
"""
