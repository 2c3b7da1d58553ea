"""The page of `gradio_app.py`, started by Gradio itself."""

import sys

from gradio_app import page

page.launch(server_port=int(sys.argv[1]), quiet=True)
