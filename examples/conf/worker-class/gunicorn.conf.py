# A worker that has something to start before the application and to end after it.
workers = 2
worker_class = "workers.ShopWorker"
