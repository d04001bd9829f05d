"""A server of relay monitoring (the article's node): reads relays, records, attests and concludes on the ledger."""
