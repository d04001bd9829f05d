"""What the applications' demonstrations share: a network to run on, a console, a summary, a report, an exit code."""
