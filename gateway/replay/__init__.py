"""Recorded requests, sent again to any server of the protocol, and compared with what was answered before."""
