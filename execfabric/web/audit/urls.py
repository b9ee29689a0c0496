from django.urls import path

from . import views

app_name = "audit"

urlpatterns = [
    path("", views.EventList.as_view(), name="event-list"),
    path("export/", views.Export.as_view(), name="export"),
]
