"""Files of cases: what they hold as MATPOWER's tables, whatever their format, and what is wrong with it."""
