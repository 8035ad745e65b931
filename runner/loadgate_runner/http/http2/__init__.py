"""HTTP/2 (RFC 9113) behind the same line as HTTP/1.1: a request is composed once, and put into frames only here.

What a request is and what an answer comes to is the same for both versions, so that redirects, cookies, codings, checks
and metrics need to know nothing of it: the bytes of an HTTP/1.1 request become fields, and fields become such a head.
"""
