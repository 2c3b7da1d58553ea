"""Django Channels: a consumer with a group, over the layer in memory, beside Django itself."""

from __future__ import annotations

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests",
    DATABASES={},
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)

from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

LEFT: list[int] = []


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"left: {LEFT}")


urlpatterns = [path("", hello)]


class Room(AsyncJsonWebsocketConsumer):
    """Everybody in the room hears what one says."""

    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room"]
        if self.room == "closed":
            await self.close()
            return
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def receive_json(self, content) -> None:
        await self.channel_layer.group_send(self.room, {"type": "room.said", "said": content})

    async def room_said(self, event) -> None:
        await self.send_json({"said": event["said"]})

    async def disconnect(self, code: int) -> None:
        LEFT.append(code)
        await self.channel_layer.group_discard(self.room, self.channel_name)


class Shout(WebsocketConsumer):
    """A consumer that is not asynchronous."""

    def receive(self, text_data=None, bytes_data=None) -> None:
        if text_data == "bye":
            self.close(4001)
        elif text_data is not None:
            self.send(text_data=text_data.upper())
        else:
            self.send(bytes_data=bytes_data[::-1])


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": AllowedHostsOriginValidator(
            URLRouter([path("rooms/<str:room>", Room.as_asgi()), path("shout", Shout.as_asgi())])
        ),
    }
)
