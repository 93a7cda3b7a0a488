import json
import logging
import tempfile
from io import BytesIO, StringIO
from pathlib import Path
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client, SimpleTestCase, TestCase
from PIL import Image

from .management.commands import tally
from .models import COVER_LIMIT, Book
from .templatetags.client import client, client_files


def picture(name="cover.png", padding=0):
    drawn = BytesIO()
    Image.new("RGB", (4, 4), "maroon").save(drawn, "PNG")
    return SimpleUploadedFile(name, drawn.getvalue() + b"\0" * padding, content_type="image/png")


class FoldersMixin:
    """Gives every test a built client, and folders of its own for what the app writes."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.dist = self.folder / "dist"
        for name in ("dist", "static", "media"):
            (self.folder / name).mkdir()
        self.write_client({"main.js": "main.0123456789abcdef.js", "main.css": "main.fedcba9876543210.css"})
        settings = self.settings(
            CLIENT_DIST=self.dist,
            STATICFILES_DIRS=[("client", self.dist)],
            STATIC_ROOT=self.folder / "static",
            MEDIA_ROOT=self.folder / "media",
        )
        settings.enable()
        self.addCleanup(settings.disable)
        logging.disable(logging.ERROR)
        self.addCleanup(logging.disable, logging.NOTSET)

    def write_client(self, files):
        for name in files.values():
            (self.dist / name).write_text("")
        (self.dist / "webpack-manifest.json").write_text(json.dumps(files))

    def collect(self):
        call_command("collectstatic", interactive=False, stdout=StringIO())


class PageTests(FoldersMixin, TestCase):
    def test_the_page_names_the_hashed_bundles_and_sets_the_csrf_cookie(self):
        self.collect()
        response = self.client.get("/")
        self.assertContains(response, 'src="/static/client/main.0123456789abcdef.js"')
        self.assertContains(response, 'href="/static/client/main.fedcba9876543210.css"')
        self.assertRegex(response.text, r"/static/books/favicon\.[0-9a-f]{12}\.svg")
        self.assertIn("csrftoken", response.cookies)
        self.assertIn("no-store", response["Cache-Control"])

    def test_healthz_says_ok(self):
        response = self.client.get("/healthz")
        self.assertEqual((response.status_code, response.content), (200, b"ok"))

    def test_hosts_below_localhost_are_served_and_others_are_not(self):
        self.assertEqual(self.client.get("/healthz", headers={"host": "library.localhost:8080"}).status_code, 200)
        self.assertEqual(self.client.get("/api/books", headers={"host": "elsewhere.example"}).status_code, 400)


class HttpsTests(FoldersMixin, SimpleTestCase):
    def test_the_scheme_is_the_one_the_router_reports(self):
        with self.settings(SECURE_SSL_REDIRECT=True, SECURE_REDIRECT_EXEMPT=[]):
            plain = Client().get("/healthz")
            encrypted = Client().get("/healthz", headers={"x-forwarded-proto": "https"})
        self.assertEqual((plain.status_code, encrypted.status_code), (301, 200))


class BookTests(FoldersMixin, TestCase):
    def add(self, body, client=None, **headers):
        return (client or self.client).post("/api/books", body, content_type="application/json", headers=headers)

    def test_a_new_database_holds_three_books(self):
        books = self.client.get("/api/books").json()["books"]
        self.assertEqual([book["title"] for book in books], ["Middlemarch", "The Time Machine", "Three Men in a Boat"])

    def test_a_book_is_added(self):
        response = self.add({"title": "Emma", "author": "Jane Austen"})
        self.assertEqual(response.status_code, 201)
        self.assertEqual(response.json()["cover"], None)
        self.assertTrue(Book.objects.filter(title="Emma", author="Jane Austen").exists())

    def test_a_book_without_a_title_is_refused(self):
        response = self.add({"title": " ", "author": "Jane Austen"})
        self.assertEqual(response.status_code, 400)
        self.assertEqual(list(response.json()["errors"]), ["title"])
        self.assertEqual(Book.objects.count(), 3)

    def test_what_is_not_a_json_object_is_refused(self):
        for body in ("{", "[]", b"\xff"):
            with self.subTest(body):
                self.assertEqual(self.add(body).status_code, 400)

    def test_a_post_without_the_csrf_token_is_refused(self):
        strict = Client(enforce_csrf_checks=True)
        strict.cookies["csrftoken"] = token = "a" * 32
        book = {"title": "Emma", "author": "Jane Austen"}
        self.assertEqual(self.add(book, strict).status_code, 403)
        self.assertEqual(self.add(book, strict, x_csrftoken=token).status_code, 201)


class CoverTests(FoldersMixin, TestCase):
    def upload(self, file, pk=None):
        pk = pk or Book.objects.first().pk
        return self.client.post(f"/api/books/{pk}/cover", {"cover": file} if file else {})

    def test_an_uploaded_cover_is_served_below_media(self):
        sent = picture()
        response = self.upload(sent)
        self.assertEqual(response.status_code, 200)
        self.assertTrue((self.folder / "media/covers/cover.png").is_file())
        self.assertEqual(response.json()["cover"], "/media/covers/cover.png")
        served = self.client.get("/media/covers/cover.png")
        self.assertEqual(served["Content-Type"], "image/png")
        sent.seek(0)
        self.assertEqual(served.getvalue(), sent.read())

    def test_what_is_not_a_cover_is_refused(self):
        refused = {
            "nothing": None,
            "text": SimpleUploadedFile("cover.png", b"not a picture"),
            "a picture with the name of a page": picture("cover.html"),
            "too large": picture(padding=COVER_LIMIT),
        }
        for what, file in refused.items():
            with self.subTest(what):
                response = self.upload(file)
                self.assertEqual(response.status_code, 400)
                self.assertIn("cover", response.json()["errors"])
        self.assertEqual(list((self.folder / "media").iterdir()), [])

    def test_a_cover_needs_a_book(self):
        self.assertEqual(self.upload(picture(), pk=999).status_code, 404)


class ClientTagTests(FoldersMixin, SimpleTestCase):
    def test_a_rebuilt_client_is_noticed(self):
        self.assertEqual(client("main.js"), "/static/client/main.0123456789abcdef.js")
        self.write_client({"main.js": "main.1111111111111111.js", "more.js": "more.2222222222222222.js"})
        self.assertEqual(client("main.js"), "/static/client/main.1111111111111111.js")

    def test_a_missing_client_is_explained(self):
        (self.dist / "webpack-manifest.json").unlink()
        with self.assertRaisesMessage(ImproperlyConfigured, "npm run build"):
            client_files()

    def test_an_unknown_file_is_explained(self):
        with self.assertRaisesMessage(ImproperlyConfigured, "webpack built no other.js"):
            client("other.js")


class CheckAssetsTests(FoldersMixin, SimpleTestCase):
    def check(self):
        out = StringIO()
        call_command("checkassets", stdout=out)
        return out.getvalue()

    def test_complete_assets_pass(self):
        self.collect()
        self.assertIn("each has its file", self.check())

    def test_it_fails_before_collectstatic(self):
        with self.assertRaisesMessage(CommandError, "collectstatic"):
            self.check()

    def test_it_fails_when_an_entry_of_djangos_manifest_has_no_file(self):
        self.collect()
        [favicon] = (self.folder / "static/books").glob("favicon.????????????.svg")
        favicon.unlink()
        with self.assertRaisesMessage(CommandError, favicon.name):
            self.check()

    def test_it_fails_when_a_bundle_was_not_collected(self):
        self.collect()
        self.write_client({"main.js": "main.1111111111111111.js"})
        with self.assertRaisesMessage(CommandError, "client/main.1111111111111111.js"):
            self.check()

    def test_it_fails_when_the_client_is_not_built(self):
        (self.dist / "webpack-manifest.json").unlink()
        with self.assertRaisesMessage(CommandError, "the client is not built"):
            self.check()


class TallyTests(TestCase):
    def test_it_counts_until_it_is_told_to_stop(self):
        handlers = {}
        out = StringIO()

        class Stop:
            stopped = False

            def set(self):
                self.stopped = True

            def is_set(self):
                return self.stopped

            def wait(self, seconds):
                handlers[tally.signal.SIGTERM]()

        with mock.patch.object(tally.signal, "signal", handlers.__setitem__):
            with mock.patch.object(tally.threading, "Event", Stop):
                call_command("tally", every=1, stdout=out)
        self.assertEqual(
            out.getvalue().splitlines(),
            ["tally: counting every 1 s", "tally: books=3 covers=0", "tally: told to stop, leaving"],
        )
