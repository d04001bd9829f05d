"""The chaincode ``events``: what the devices of a section say, each event proved and chained to the one before."""
