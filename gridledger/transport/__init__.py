"""HTTP over mutual TLS between nodes, and between clients and nodes: single requests, and calls over one stream."""
