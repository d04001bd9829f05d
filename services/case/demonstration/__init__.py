"""The demonstration of forensics: the attack of 2015 on a network of three cities, investigated and proved."""
