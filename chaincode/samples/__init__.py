"""Sample chaincodes: models to begin one from."""
