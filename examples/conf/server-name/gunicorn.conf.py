# Whose server it is, is nobody's business.
import gunicorn

gunicorn.SERVER = "undisclosed"
gunicorn.SERVER_SOFTWARE = "undisclosed/1"
