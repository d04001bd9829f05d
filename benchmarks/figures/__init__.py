"""The thesis's four sweeps, measured on this machine and drawn beside the thesis's own curves: ``make figures``."""
