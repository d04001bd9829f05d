"""The chaincode ``relay``: what several servers read of a relay, one record of each minute."""
