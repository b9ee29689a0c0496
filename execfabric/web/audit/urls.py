from django.urls import path

from . import views

app_name = "audit"

urlpatterns = [
    path("", views.EventList.as_view(), name="event-list"),
    path("views/", views.ViewList.as_view(), name="view-list"),
    path("views/<int:view_id>/delete/", views.DeleteView.as_view(), name="view-delete"),
    path("export/", views.Export.as_view(), name="export"),
]
