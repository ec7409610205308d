"""The HTTP interface: what clients that exist today already speak, and the page."""
