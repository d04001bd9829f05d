"""The case desk as a service: it reads the authority's channels for investigators, each time behind a valid Query."""
