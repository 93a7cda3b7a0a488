import json
import os

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.static import serve

from .forms import BookForm, CoverForm
from .models import Book

BOOTED_AT = timezone.now()


@require_safe
def healthz(request):
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
@ensure_csrf_cookie
def index(request):
    """The frame of the page. The client fills it, and sends the CSRF cookie back in a header."""
    dyno = {"name": os.environ.get("DYNO", "this machine"), "bootedAt": BOOTED_AT.isoformat()}
    return render(request, "books/index.html", {"dyno": dyno})


@require_http_methods(["GET", "HEAD", "POST"])
def books(request):
    if request.method != "POST":
        return JsonResponse({"books": [book.as_json() for book in Book.objects.all()]})
    try:
        sent = json.loads(request.body)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        return JsonResponse({"errors": {"body": ["Send a JSON object with title and author."]}}, status=400)
    return saved(BookForm(sent), status=201)


@require_POST
def cover(request, pk):
    book = get_object_or_404(Book, pk=pk)
    return saved(CoverForm(request.POST, request.FILES, instance=book), status=200)


@require_safe
def media(request, path):
    """The uploaded covers. In a bucket they are private: whoever may see the page gets an address that is
    good for an hour. On this dyno's disk, a dyno beside it does not have them."""
    if settings.BUCKET:
        return redirect(default_storage.url(path))
    return serve(request, path, document_root=settings.MEDIA_ROOT)


def saved(form, status):
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    return JsonResponse(form.save().as_json(), status=status)
