"""The endorser: checks proposals, runs chaincode on this peer's world state, signs the results."""
