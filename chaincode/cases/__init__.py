"""Cases of an authority: what may be searched, who approved it, every query before it runs, and what was found."""
