"""The demonstration of `./run`: real connections, captured and explained."""
