# A Django project as most are deployed. DJANGO_SETTINGS_MODULE is set here rather than in a shell profile.
import multiprocessing

wsgi_app = "mysite.wsgi:application"
raw_env = ["DJANGO_SETTINGS_MODULE=mysite.settings"]
workers = multiprocessing.cpu_count() * 2 + 1
worker_class = "gthread"
threads = 2
max_requests = 1000
max_requests_jitter = 50
timeout = 60
graceful_timeout = 30
keepalive = 5
accesslog = "-"
errorlog = "-"
forwarded_allow_ips = "*"
