"""How fast data are split into shares and joined, and how many bytes a node then has."""
