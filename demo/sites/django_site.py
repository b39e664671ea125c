"""The smallest Django site: settings, one view, one route, in one file."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

__all__ = ["application", "urlpatterns"]

settings.configure(
    ALLOWED_HOSTS=["*"],  # health checks and curl name the host as they like
    ROOT_URLCONF=__name__,
    SECRET_KEY="a demo that listens on 127.0.0.1 only",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # sets Content-Length
)


def answer(request: HttpRequest) -> HttpResponse:
    """Answer every request with the name and the process of this backend; the news may be kept."""
    text = f"Django, process {os.getpid()}: you asked for {request.path}\n"
    kept = {"Cache-Control": "max-age=60"} if request.path == "/news" else None
    return HttpResponse(text, content_type="text/plain", headers=kept)


urlpatterns = [re_path(r"", answer)]
application = get_wsgi_application()
