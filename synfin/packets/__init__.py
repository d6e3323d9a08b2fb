"""The packets of captures, with Wireshark's fields: what filters over packets and lines of packets are made from."""
