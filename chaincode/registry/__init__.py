"""The chaincode ``registry``: which devices there are, their keys, and the filter of their names."""
