-- POST 10 KB. The request is static, so wrk formats it once and runs no Lua for a request.

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("0123456789abcdef", 640)
