"""The pages: each module has ``add_to(router, console)``, and tells what it shows as a list or a view of its own."""
