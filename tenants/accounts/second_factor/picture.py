from __future__ import annotations

import segno


def qr_picture(text: str) -> str:
    """Return a QR code of text as the address of an image (data:), black on white in any theme."""
    code = segno.make(text, error="m")
    picture: str = code.svg_data_uri(scale=5, border=4, dark="#000", light="#fff", omitsize=False)
    return picture
