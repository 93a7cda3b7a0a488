"""An empty library is a dull example, so every new database starts with three books."""

from django.db import migrations

BOOKS = [
    ("Middlemarch", "George Eliot"),
    ("The Time Machine", "H. G. Wells"),
    ("Three Men in a Boat", "Jerome K. Jerome"),
]


def add_books(apps, schema_editor):
    book = apps.get_model("books", "Book")
    book.objects.bulk_create(book(title=title, author=author) for title, author in BOOKS)


class Migration(migrations.Migration):
    dependencies = [("books", "0001_initial")]
    operations = [migrations.RunPython(add_books, migrations.RunPython.noop)]
