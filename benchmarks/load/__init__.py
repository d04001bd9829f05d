"""Load: what is sent, at which rate, and the processes that send it."""
