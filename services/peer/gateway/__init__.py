"""The gateway: takes clients' transactions, has them endorsed, sends them to the orderers and reports their commits."""
