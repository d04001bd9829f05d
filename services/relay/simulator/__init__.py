"""A simulated relay: the article's Algorithm 1, served as text, Modbus and IEC 61850, with misbehaviour on demand."""
