import books.models
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Book",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=200)),
                ("author", models.CharField(max_length=200)),
                ("added_at", models.DateTimeField(auto_now_add=True)),
                (
                    "cover",
                    models.ImageField(
                        blank=True,
                        upload_to="covers/",
                        validators=[
                            django.core.validators.FileExtensionValidator(["gif", "jpg", "jpeg", "png", "webp"]),
                            books.models.cover_size,
                        ],
                    ),
                ),
            ],
            options={
                "ordering": ["title"],
            },
        ),
    ]
