"""synfin, "from SYN to FIN": what happened to every TCP connection, on many hosts."""

__version__ = "0.1.0"
