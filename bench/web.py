#!/usr/bin/env python3
"""The HTTP engine against Debian's nginx, in the same run: CPU first, as medians of ratios.

    STRATA_BUILD=build bench/web.py [--rounds 5] [--seconds 3]

small GET     CPU for each keep-alive request of wrk (32 connections), ours / nginx      target <= 1.3
1 GiB GET     CPU for one whole file by sendfile, ours / nginx                           target <= 1.3
TLS 1 GiB     the same through TLS                                                       (no target)
idle          memory that 5,000 idle connections add                                     target <= 10 MB
uploads       latency of others with 16 one-byte-a-second uploads, with / without        (about 1)
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tests'))
from http_engine import Answers, Engine, Nginx  # noqa: E402

TICK = 1 / os.sysconf('SC_CLK_TCK')
GIB = 1024 ** 3


def wrk(url, seconds, connections=32):
    r = subprocess.run(['wrk', '-t2', f'-c{connections}', f'-d{seconds}', '--latency', url], check=True,
                       capture_output=True, text=True).stdout
    assert 'Non-2xx' not in r and 'Socket errors' not in r, r
    found = [re.search(p + r'%\s+([\d.]+)(us|ms|s)', r) for p in ('50', '99')]
    return (int(re.search(r'(\d+) requests in', r).group(1)),
            [float(m.group(1)) * {'us': 1e-6, 'ms': 1e-3, 's': 1}[m.group(2)] for m in found])


def small_get(server, seconds):
    """Microseconds of CPU for one request."""
    before = server.cpu_ticks()
    n, _ = wrk(server.url + '/hello', seconds)
    return (server.cpu_ticks() - before) * TICK * 1e6 / n


def big_get(server, repeat):
    """Seconds of CPU for one GiB."""
    before = server.cpu_ticks()
    for _ in range(repeat):
        r = subprocess.run(['curl', '-sSk', '-o', '/dev/null', '-w', '%{size_download}', server.url + '/file'],
                           check=True, capture_output=True)
        assert int(r.stdout) == GIB
    return (server.cpu_ticks() - before) * TICK / repeat


def compare(name, unit, scale, measure, ours, nginx, rounds, target):
    a, b = [], []
    for _ in range(rounds):  # alternating, so that other load meets both
        b.append(measure(nginx) * scale)
        a.append(measure(ours) * scale)
    ratio = statistics.median(x / y for x, y in zip(a, b))
    verdict = '' if target is None else f'  target <= {target}: {"ok" if ratio <= target else "MISSED"}'
    print(f'{name:<12} ratio {ratio:.2f}   ours {statistics.median(a):.2f} {unit}, '
          f'nginx {statistics.median(b):.2f} {unit}{verdict}', flush=True)
    return target is None or ratio <= target


def idle_memory(request, name):
    with Engine() as e:
        with e.connect() as s:
            s.sendall(b'GET /hello HTTP/1.1\r\nHost: t\r\n\r\n')
            Answers(s).next()
        before = e.rss_bytes()
        idle = []
        for _ in range(5000):
            s = e.connect()
            s.sendall(request)
            idle.append(s)
        for s in idle:
            assert s.recv(15) == b'HTTP/1.1 200 OK'
        grown = e.rss_bytes() - before
        for s in idle:
            s.close()
    print(f'{name:<12} {grown / 1e6:.1f} MB for 5,000 ({grown / 5000:.0f} bytes each)  target <= 10 MB: '
          f'{"ok" if grown <= 10e6 else "MISSED"}', flush=True)
    return grown <= 10e6


def uploads(rounds, seconds):
    def latency(e):
        return wrk(e.url + '/hello', seconds, connections=4)[1]
    without, with_them = [], []
    for _ in range(rounds):
        with Engine() as e:
            without.append(latency(e))
            slow = []
            for _ in range(16):
                s = e.connect()
                s.sendall(b'PUT /count HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n')
                slow.append(s)
            done = threading.Event()

            def drip():
                while not done.wait(1):
                    for s in slow:
                        try:
                            s.send(b'x')
                        except OSError:
                            pass
            t = threading.Thread(target=drip)
            t.start()
            with_them.append(latency(e))
            done.set()
            t.join()
    for i, name in enumerate(('p50', 'p99')):
        a, b = (statistics.median(x[i] for x in times) for times in (with_them, without))
        print(f'{"uploads":<12} ratio {a / b:.2f}   {name} of others with 16 slow uploads {a * 1e6:.0f} us, '
              f'without {b * 1e6:.0f} us', flush=True)


def main():
    args = argparse.ArgumentParser()
    args.add_argument('--rounds', type=int, default=5)
    args.add_argument('--seconds', type=int, default=3)
    args = args.parse_args()
    ok = True
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix='strata-bench-http-') as folder:
        folder = pathlib.Path(folder)
        os.chmod(folder, 0o755)  # nginx's workers are www-data
        big = folder / 'big'
        with open(big, 'wb') as f:
            for _ in range(GIB // (1 << 20)):
                f.write(b'\0' * (1 << 20))
        with Engine('--file', big) as ours, Nginx(folder / 'nginx', file=big, workers=2) as nginx:
            ok &= compare('small GET', 'us', 1, lambda s: small_get(s, args.seconds), ours, nginx, args.rounds, 1.3)
            ok &= compare('1 GiB GET', 'ms', 1000, lambda s: big_get(s, 5), ours, nginx, args.rounds, 1.3)
        cert, key = folder / 'cert.pem', folder / 'key.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                        '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost'],
                       check=True, capture_output=True)
        with Engine('--file', big, '--cert', cert, '--key', key) as ours, \
                Nginx(folder / 'nginx-tls', file=big, workers=2, cert=cert, key=key) as nginx:
            compare('TLS 1 GiB', 'ms', 1000, lambda s: big_get(s, 1), ours, nginx, args.rounds, None)
            compare('TLS GET', 'us', 1, lambda s: small_get(s, args.seconds), ours, nginx, args.rounds, None)
    ok &= idle_memory(b'GET /hello HTTP/1.1\r\nHost: t\r\n\r\n', 'keep-alive')
    ok &= idle_memory(b'GET /events HTTP/1.1\r\nHost: t\r\n\r\n', 'events')
    uploads(3, args.seconds)
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
