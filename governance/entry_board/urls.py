from django.urls import path

from . import views

app_name = "entry_board"

urlpatterns = [path("entries/", views.EntryBoard.as_view(), name="board")]
