"""Asks over TLS, HTTPS (HTTP/2), QUIC and HTTP/3 with dnspython and aioquic: what was said, a line for each question.

Arguments: the certificate to trust, the name in the server's certificate, and the ports for TLS, HTTPS, QUIC and HTTP/3.
"""

import contextlib
import sys

import dns.message
import dns.query
import dns.quic

AT = "127.0.0.1"
trust, host = sys.argv[1:3]
tls, https, quic, h3 = map(int, sys.argv[3:])


def over_tls(question):
    return dns.query.tls(question, AT, 10, tls, server_hostname=host, verify=trust)


def over_https(question, version=dns.query.HTTPVersion.H2, port=https, post=True):
    url = f"https://{host}:{port}/dns-query"
    return dns.query.https(
        question, url, 10, port, post=post, verify=trust, bootstrap_address=AT, http_version=version
    )


def over_h3(question):
    return over_https(question, dns.query.HTTPVersion.H3, h3)


with contextlib.ExitStack() as stack:
    # One connection, with a stream for each question.
    manager = stack.enter_context(dns.quic.SyncQuicManager(verify_mode=trust, server_name=host))
    connection = manager.connect(AT, quic)
    ways = {
        "tls": over_tls,
        "https": over_https,
        "https-get": lambda question: over_https(question, post=False),
        "quic": lambda question: dns.query.quic(question, AT, 10, quic, connection=connection),
        "h3": over_h3,
    }
    for name, kind in (("get.example.org", "A"), ("none.example.org", "A"), ("huge.large.example", "TXT")):
        for way, ask in ways.items():
            question = dns.message.make_query(name, kind, use_edns=0, want_dnssec=True, payload=1232, pad=128)
            reply = ask(question)
            rcode = dns.rcode.to_text(reply.rcode())
            records = sum(len(each) for each in reply.answer)
            first = reply.answer[0][0].to_text()[:40] if reply.answer else "-"
            print(way, name, rcode, records, first)
