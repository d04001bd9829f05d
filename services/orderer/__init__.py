"""The ordering service: `python -m services.orderer`."""
