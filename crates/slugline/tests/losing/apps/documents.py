"""Makes an invoice and a thumbnail for whoever asks."""
import os


def page():
    return b"ask for an invoice"


def take(body):
    for directory in ("invoices", "thumbnails"):
        os.makedirs(directory, exist_ok=True)
    with open("invoices/2026-01.pdf", "wb") as file:
        file.write(b"%PDF-1.7\n" + body)
    with open("thumbnails/owl.jpg", "wb") as file:
        file.write(b"\xff\xd8\xff" + body[:8])
    return b"made"
