"""`make bench`: runner, statistics, plots and report. `layers/` weighs the app's own parts against a bare app."""
