from django.urls import path

from books import views

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("api/books", views.books, name="books"),
    path("api/books/<int:pk>/cover", views.cover, name="cover"),
    path("media/<path:path>", views.media, name="media"),
]
