from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from books.templatetags.client import client_files


class Command(BaseCommand):
    help = "Checks that every file the pages may ask for has been collected."

    def handle(self, **options):
        try:
            client = [f"client/{name}" for name in client_files().values()]
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        collected = list(getattr(staticfiles_storage, "hashed_files", {}).values())
        if not collected:
            raise CommandError(
                f"{settings.STATIC_ROOT} has no manifest with entries. Run `python manage.py collectstatic`."
            )

        names = sorted({*collected, *client})
        missing = [name for name in names if not (Path(settings.STATIC_ROOT) / name).is_file()]
        if missing:
            raise CommandError(
                f"{len(missing)} of {len(names)} assets have no file in {settings.STATIC_ROOT}: {', '.join(missing)}"
            )
        self.stdout.write(f"checkassets: {len(names)} assets, each has its file.")
