import signal
import threading

from django.core.management.base import BaseCommand

from books.models import Book


class Command(BaseCommand):
    help = "Counts the books again and again, until it is told to stop."

    def add_arguments(self, parser):
        parser.add_argument("--every", type=float, default=30, metavar="SECONDS")

    def handle(self, every, **options):
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.say(f"tally: counting every {every:g} s")
        while not stop.is_set():
            books = Book.objects.count()
            covers = Book.objects.exclude(cover="").count()
            self.say(f"tally: books={books} covers={covers}")
            stop.wait(every)
        self.say("tally: told to stop, leaving")

    def say(self, line):
        self.stdout.write(line)
        self.stdout.flush()
