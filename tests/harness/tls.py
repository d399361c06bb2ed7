"""A client's look at HTTPS."""

import ssl


def shown_certificate(port: int) -> bytes:
    """The certificate that a port of this machine shows, in DER."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
