from django import forms

from .models import Book


class BookForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["title", "author"]


class CoverForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["cover"]
        error_messages = {"cover": {"invalid_image": "This file is not a picture, or it is damaged."}}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["cover"].required = True
