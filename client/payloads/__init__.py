"""What becomes of an input or output on its way to Temporal: encrypted, and by reference if it is large.

`converter_of(settings, environ)` is the data converter that every client and worker of a configuration shares.
"""

from client.payloads.converter import NO_SETTINGS, blobs_of, converter_of, largest_request

__all__ = ["NO_SETTINGS", "blobs_of", "converter_of", "largest_request"]
