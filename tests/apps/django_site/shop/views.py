"""The pages."""

import hashlib

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt

from .models import Document


def index(request):
    return render(request, "shop/index.html", {"documents": Document.objects.all()})


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


@csrf_exempt
def documents(request):
    """Takes an upload and says what arrived."""
    upload = request.FILES["file"]
    document = Document.objects.create(title=request.POST["title"], file=upload)
    with document.file.open() as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return JsonResponse({"id": document.pk, "size": upload.size, "type": upload.content_type, "sha256": digest})


def download(request, number):
    return FileResponse(get_object_or_404(Document, pk=number).file, as_attachment=True)


def stream(request):
    return StreamingHttpResponse((f"line {number}\n" for number in range(1000)), content_type="text/plain")


def about(request):
    return JsonResponse(
        {
            "path": request.path,
            "uri": request.build_absolute_uri(),
            "secure": request.is_secure(),
            "query": request.GET.getlist("q"),
            "port": request.get_port(),
            "body": request.body.decode(),
        }
    )


def fails(request):
    raise RuntimeError("a view that fails")
