from django.core.exceptions import ValidationError
from django.core.validators import FileExtensionValidator
from django.db import models
from django.urls import reverse

COVER_LIMIT = 5 * 1024 * 1024


def cover_size(cover):
    if cover.size > COVER_LIMIT:
        raise ValidationError("The picture is larger than 5 MB.")


class Book(models.Model):
    title = models.CharField(max_length=200)
    author = models.CharField(max_length=200)
    added_at = models.DateTimeField(auto_now_add=True)
    cover = models.ImageField(
        upload_to="covers/",
        blank=True,
        validators=[FileExtensionValidator(["gif", "jpg", "jpeg", "png", "webp"]), cover_size],
    )

    class Meta:
        ordering = ["title"]

    def __str__(self):
        return f"{self.title} by {self.author}"

    def as_json(self):
        return {
            "id": self.pk,
            "title": self.title,
            "author": self.author,
            # The same address wherever covers are kept.
            "cover": reverse("media", args=[self.cover.name]) if self.cover else None,
        }
