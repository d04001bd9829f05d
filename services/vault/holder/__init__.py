"""One holder: its files and its log, what it takes, serves and contributes."""
