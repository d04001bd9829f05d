"""Changes of a network that runs: organisations, peers, orderers, channels.

Each change looks at what there is and does what is missing: cut short at any step, it goes on when it is run again. It
ends with the folder's description, the nodes' settings and the connection profile changed.
"""
