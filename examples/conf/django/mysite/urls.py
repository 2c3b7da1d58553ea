from django.http import HttpResponse
from django.urls import path


def home(request):
    return HttpResponse(f"Hello from Django over {request.scheme}")


urlpatterns = [path("", home)]
