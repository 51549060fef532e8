"""Import steps: a file of the web, an object of an S3 store and a table of PostgreSQL come into a pipeline by the server; computing steps have no network."""
import datetime
import hashlib
import hmac
import http.server
import json
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import urllib.parse

import pytest

from conftest import ROOT, Strata, free_port, wait_for
from test_f10_pipelines import check, end, get_run, put, put_file, run, start, states, write_kept

DIGITS = (ROOT / 'examples/data/digits.csv').read_bytes()
PG = pathlib.Path('/usr/lib/postgresql/15/bin')


@pytest.fixture(scope='module')
def imports(scratch):
    """A server whose imports reach this machine, where the servers of the tests are."""
    strata = Strata(scratch / 'imports', args=['--set', 'net.import_deny=']).start()
    strata.project('imports')
    for name, value in (('token', 'tk-very-secret'), ('login', 'ann:pa:ss-very-secret'), ('pg', 'pg-very-secret'), ('s3', 's3-very-secret/+'), ('wrong', 'not-it')):
        r = strata.api('PUT', f'/api/v1/projects/imports/secrets/{name}', json={'value': value})
        assert r.status_code in (200, 201, 204), r.text
    yield strata
    code = strata.stop()
    strata.end_containers()
    strata.check_log()
    assert code == 0


def of_url(url, then=True, **params):
    nodes = {'bring': {'module': 'import_url', 'params': {'url': url, **params}}}
    if then:
        nodes['read'] = {'module': 'read_csv', 'inputs': {'file': 'bring.file'}}
        nodes['split'] = {'module': 'split', 'params': {'fraction': 0.5, 'seed': 1}, 'inputs': {'table': 'read.table'}}
    return {'pipeline': 1, 'nodes': nodes}


def go(strata, name, document, **body):
    r = put(strata, name, document, project='imports')
    assert r.status_code in (200, 201), r.text
    return run(strata, name, project='imports', **body)


def error_of(done, node='bring'):
    assert done['state'] == 'failed' and done['nodes'][node]['state'] == 'failed', json.dumps(done['nodes'], indent=1)
    text = done['nodes'][node]['error']['message']
    assert 'very-secret' not in json.dumps(done)
    return text


# --- a server of the web: nginx ---

@pytest.fixture(scope='module')
def nginx(scratch):
    port, root = free_port(), scratch / 'imports-nginx'
    (root / 'files').mkdir(parents=True)
    root.chmod(0o755)
    (root / 'files/digits.csv').write_bytes(DIGITS)
    (root / 'nginx.conf').write_text(f'''
daemon off; error_log {root}/error.log; pid {root}/pid; user root;
events {{}}
http {{
  access_log {root}/access.log; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{
    listen 127.0.0.1:{port}; root {root}/files;
    location /moved {{ return 302 /digits.csv; }}
    location /bearer/ {{ if ($http_authorization != "Bearer tk-very-secret") {{ return 401; }} alias {root}/files/; }}
    location /basic/ {{ if ($http_authorization != "Basic YW5uOnBhOnNzLXZlcnktc2VjcmV0") {{ return 401; }} alias {root}/files/; }}
    location /key/ {{ if ($http_x_key != "tk-very-secret") {{ return 403; }} if ($http_x_more != "a b") {{ return 400; }} alias {root}/files/; }}
  }}
}}''')
    p = subprocess.Popen(['/usr/sbin/nginx', '-c', str(root / 'nginx.conf'), '-p', str(root)], stderr=subprocess.DEVNULL)
    wait_for(lambda: (root / 'pid').exists(), 20, 'nginx runs')
    yield f'http://127.0.0.1:{port}', root
    p.send_signal(signal.SIGQUIT)
    p.wait(20)


def test_a_file_of_the_web_is_read_and_what_follows_is_spared(imports, nginx):
    url, root = nginx
    first = go(imports, 'web', of_url(f'{url}/moved'))
    assert first['state'] == 'succeeded', json.dumps(first['nodes'], indent=1)
    assert first['nodes']['bring']['outputs']['file'] == {'type': 'file', 'bytes': len(DIGITS), 'sha256': hashlib.sha256(DIGITS).hexdigest(), 'preview': False}
    assert first['nodes']['read']['outputs']['table']['rows'] == 1797
    again = go(imports, 'web', of_url(f'{url}/moved'))
    assert states(again) == {'bring': 'succeeded', 'read': 'cached', 'split': 'cached'}
    assert again['nodes']['bring']['cache'] == {'hit': False, 'why': 'a step that reads the network is run each time'}
    (root / 'files/digits.csv').write_bytes(DIGITS[:DIGITS.rindex(b'\n', 0, -1) + 1])
    other = go(imports, 'web', of_url(f'{url}/moved'))
    (root / 'files/digits.csv').write_bytes(DIGITS)
    assert other['nodes']['read']['cache'] == {'hit': False, 'why': 'input file has changed'} and other['nodes']['read']['outputs']['table']['rows'] == 1796


def test_a_file_with_a_checksum_is_brought_once(imports, nginx):
    url, _ = nginx
    document = of_url(f'{url}/digits.csv', sha256=hashlib.sha256(DIGITS).hexdigest())
    assert states(go(imports, 'sum', document))['bring'] == 'succeeded'
    assert set(states(go(imports, 'sum', document)).values()) == {'cached'}
    wrong = of_url(f'{url}/digits.csv', then=False, sha256='0' * 64)
    assert hashlib.sha256(DIGITS).hexdigest() in error_of(go(imports, 'sum', wrong))


@pytest.mark.parametrize('path,params', [('bearer', {'auth': 'bearer', 'secret': 'token'}), ('basic', {'auth': 'basic', 'secret': 'login'}),
                                         ('key', {'auth': 'header', 'auth_header': 'X-Key', 'secret': 'token', 'headers': 'X-More: a b'})])
def test_a_secret_of_the_project_opens_what_is_closed(imports, nginx, path, params):
    url, _ = nginx
    assert go(imports, 'closed', of_url(f'{url}/{path}/digits.csv', **params))['state'] == 'succeeded'
    text = error_of(go(imports, 'closed', of_url(f'{url}/{path}/digits.csv', **{**params, 'secret': 'wrong' if path != 'basic' else 'login', **({'auth': 'bearer'} if path == 'basic' else {})})))
    assert 'look at the secret' in text
    assert 'secret nobody' in error_of(go(imports, 'closed', of_url(f'{url}/{path}/digits.csv', **{**params, 'secret': 'nobody'})))


def test_what_does_not_come_says_why(imports, nginx):
    url, _ = nginx
    assert 'does not have it (404)' in error_of(go(imports, 'not', of_url(f'{url}/none.csv')))
    assert 'larger than max_size, 1000' in error_of(go(imports, 'not', of_url(f'{url}/digits.csv', max_size='1000')))
    done = go(imports, 'not', of_url(f'http://127.0.0.1:{free_port()}/x', retries=0))
    assert 'cannot be reached' in error_of(done) and done['nodes']['bring']['error']['kind'] == 'network'
    assert states(done)['read'] == 'skipped'


def test_a_check_knows_what_an_import_needs(imports):
    def told(node):
        return ' '.join(m['message'] for m in check(imports, {'pipeline': 1, 'nodes': {'a': node}}, project='imports')['mistakes'])
    assert 'no address of http' in told({'module': 'import_url', 'params': {'url': 'file:///etc/passwd'}})
    assert 'everybody who sees the pipeline' in told({'module': 'import_url', 'params': {'url': 'http://ann:pass@host/x'}})
    assert 'needs the name of a secret' in told({'module': 'import_url', 'params': {'url': 'http://host/x', 'auth': 'bearer'}})
    assert 'Name: value' in told({'module': 'import_url', 'params': {'url': 'http://host/x', 'headers': 'no colon'}})
    assert 'put it into a secret' in told({'module': 'import_url', 'params': {'url': 'http://host/x', 'headers': 'Authorization: Bearer x'}})
    assert 'is no size' in told({'module': 'import_url', 'params': {'url': 'http://host/x', 'max_size': 'big'}})
    assert 'give key or prefix' in told({'module': 'import_s3', 'params': {'endpoint': 'http://host', 'bucket': 'b'}})
    assert 'give table or query, not both' in told({'module': 'import_postgres', 'params': {'host': 'h', 'database': 'd', 'user': 'u', 'table': 't', 'query': 'SELECT 1'}})
    assert "no input 'rows'" in told({'module': 'import_postgres', 'params': {'host': 'h', 'database': 'd', 'user': 'u', 'table': 't'}, 'inputs': {'rows': 'a.table'}})
    assert 'there is no file' in told({'module': 'read_csv'})
    both = {'pipeline': 1, 'nodes': {'b': {'module': 'import_url', 'params': {'url': 'http://host/x'}}, 'a': {'module': 'read_csv', 'params': {'path': 'data:x'}, 'inputs': {'file': 'b.file'}}}}
    assert 'both path and the input file' in check(imports, both, project='imports')['mistakes'][0]['message']
    table = {'pipeline': 1, 'nodes': {'b': {'module': 'read_csv', 'params': {'path': 'data:x'}}, 'a': {'module': 'read_parquet', 'inputs': {'file': 'b.table'}}}}
    assert 'input file takes a file, and b.table is a table' in [m['message'] for m in check(imports, table, project='imports')['mistakes']]


# --- servers that misbehave ---

class Bad(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def do_GET(self):
        s = self.server
        s.seen.append((self.path, dict(self.headers)))
        if self.path == '/later' and len([p for p, _ in s.seen if p == '/later']) < 2:
            return self.answer(503, b'busy')
        if self.path.startswith('/to/'):
            return self.answer(302, b'', Location=urllib.parse.unquote(self.path[4:]))
        if self.path == '/loop':
            return self.answer(302, b'', Location='/loop')
        if self.path == '/slow':
            self.send_response(200)
            self.send_header('Content-Length', str(10 ** 9))
            self.end_headers()
            try:
                while not s.end.wait(0.1):
                    self.wfile.write(b'x' * 20000)
            except OSError:
                pass
            s.left.set()
            self.close_connection = True
            return None
        if self.path in ('/endless', '/dripping'):
            self.send_response(404)
            self.send_header('Content-Length', str(10 ** 12))
            self.end_headers()
            try:
                while not s.end.wait(0.5 if self.path == '/dripping' else 0):
                    self.wfile.write(b'x' if self.path == '/dripping' else b'x' * 60000)
            except OSError:
                s.left.set()
            self.close_connection = True
            return None
        if self.path == '/hold':
            self.send_response(200)
            self.send_header('Content-Length', '8')
            self.end_headers()
            self.wfile.write(b'a,b\n')
            self.wfile.flush()
            s.end.wait(60)
            self.wfile.write(b'1,2\n')
            return None
        if self.path == '/cut':
            self.send_response(200)
            self.send_header('Content-Length', '1000')
            self.end_headers()
            self.wfile.write(b'a,b\n1,2\n')
            self.close_connection = True
            return None
        return self.answer(200, b'a,b\n1,2\n')

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def bad():
    made = []

    def make(handler=Bad):
        s = http.server.ThreadingHTTPServer(('127.0.0.1', free_port()), handler)
        s.seen, s.end, s.left = [], threading.Event(), threading.Event()
        s.url = f'http://127.0.0.1:{s.server_port}'
        threading.Thread(target=s.serve_forever, daemon=True).start()
        made.append(s)
        return s
    yield make
    for s in made:
        s.end.set()
        s.shutdown()
        s.server_close()


def test_who_is_busy_is_asked_again(imports, bad):
    s = bad()
    done = go(imports, 'busy', of_url(f'{s.url}/later'))
    assert done['state'] == 'succeeded' and len(s.seen) == 2
    s.seen.clear()
    assert 'cannot now (503)' in error_of(go(imports, 'busy', of_url(f'{s.url}/later', then=False, retries=0)))
    text = error_of(go(imports, 'busy', of_url(f'{s.url}/cut', then=False, retries=0)))
    assert 'cannot be reached' in text


@pytest.mark.parametrize('path', ['endless', 'dripping'])
def test_a_refusal_that_never_ends_is_a_refusal(imports, bad, path):
    s = bad()
    text = error_of(go(imports, f'refused-{path}', of_url(f'{s.url}/{path}', then=False)))
    assert text == f'{s.url}/{path}: the server does not have it (404)' and len(s.seen) == 1, text
    assert s.left.wait(20)


def test_a_certificate_that_is_not_trusted_is_not_asked_for_again(imports, bad, scratch):
    cert, key = scratch / 'f14.pem', scratch / 'f14.key'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
                   check=True, capture_output=True)
    s, asked = bad(), []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    s.socket = context.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
    s.process_request = lambda request, client: (asked.append(client), type(s).process_request(s, request, client))
    url = s.url.replace('http:', 'https:') + '/a.csv'
    text = error_of(go(imports, 'untrusted', of_url(url, then=False)))
    assert text.startswith(f'the certificate of {url} is not trusted') and 'update-ca-certificates' in text and len(asked) == 1, (text, asked)


def test_a_redirect_to_another_host_does_not_get_the_secret(imports, bad):
    a, b = bad(), bad()
    for params in ({'auth': 'bearer'}, {'auth': 'header', 'auth_header': 'X-Key'}):
        to = urllib.parse.quote(f'{b.url}/x', safe='')
        assert go(imports, 'moved', of_url(f'{a.url}/to/{to}', secret='token', **params))['state'] == 'succeeded'
        assert 'tk-very-secret' in json.dumps(a.seen[-1]) and 'tk-very-secret' not in json.dumps(b.seen[-1])
    assert error_of(go(imports, 'moved', of_url(f'{a.url}/to/{urllib.parse.quote("file:///etc/passwd", safe="")}', then=False)))
    assert 'redirected more than 8 times' in error_of(go(imports, 'moved', of_url(f'{a.url}/loop', then=False)))


def test_an_import_that_goes_on_shows_its_bytes_and_is_cancelled(imports, bad):
    s = bad()
    put(imports, 'slow', of_url(f'{s.url}/slow'), project='imports')
    begun = start(imports, 'slow', project='imports')
    node = wait_for(lambda: (n := get_run(imports, begun['id'], 'imports')['nodes']['bring'])['state'] == 'running' and n.get('text', n).__str__() and n, 60, 'it runs')
    wait_for(lambda: re.search(r'[1-9]\d* kB', json.dumps(get_run(imports, begun['id'], 'imports')['nodes']['bring'])), 60, 'it tells bytes')
    assert imports.api('POST', f'/api/v1/projects/imports/runs/{begun["id"]}/cancel').status_code == 202
    assert states(end(imports, begun['id'], 'imports')) == {'bring': 'cancelled', 'read': 'cancelled', 'split': 'cancelled'}, node
    assert s.left.wait(30)


def test_a_server_that_dies_brings_it_anew(own_strata, bad):
    s = bad()
    strata = own_strata(args=['--set', 'net.import_deny=']).start()
    strata.project('imports')
    put(strata, 'slow', of_url(f'{s.url}/slow'), project='imports')
    begun = start(strata, 'slow', project='imports')
    wait_for(lambda: get_run(strata, begun['id'], 'imports')['nodes']['bring']['state'] == 'running', 60, 'it runs')
    strata.kill()
    s.end.set()
    s.RequestHandlerClass = type('Good', (Bad,), {'do_GET': lambda self: (self.server.seen.append((self.path, {})), self.answer(200, b'a,b\n1,2\n3,4\n'))[1]})
    strata.start()
    done = end(strata, begun['id'], 'imports')
    assert done['state'] == 'succeeded' and done['nodes']['read']['outputs']['table']['rows'] == 2
    tree = strata.api('GET', '/api/v1/projects/imports/volumes/studio/tree/.studio/tmp')
    assert tree.status_code == 404 or tree.json()['items'] == [], tree.text


@pytest.mark.parametrize('setting', [[], ['--set', 'net.outbound_deny=127.0.0.0/8,::1', '--set', 'net.import_deny=']], ids=['as-it-comes', 'outbound'])
def test_addresses_that_are_denied_are_not_asked(own_strata, bad, setting):
    s = bad()
    strata = own_strata(args=setting).start()
    strata.project('imports')
    port = s.url.rsplit(':', 1)[1]
    for url in (s.url, f'http://localhost:{port}', f'http://[::ffff:127.0.0.1]:{port}', f'http://127.1:{port}'):
        assert 'net.import_deny' in error_of(go(strata, 'denied', of_url(f'{url}/x', then=False, retries=0)))
    for host in ('127.0.0.1', 'localhost', '127.1'):
        document = {'pipeline': 1, 'nodes': {'bring': {'module': 'import_postgres', 'params': {'host': host, 'port': int(port), 'database': 'd', 'user': 'u', 'table': 't', 'retries': 0}}}}
        assert 'net.import_deny' in error_of(go(strata, 'denied', document))
    assert s.seen == []


def test_a_ticket_that_a_redirect_carries_is_in_no_error(imports, bad):
    s = bad()
    for to in (f'{s.url}/to/x?X-Amz-Signature=ticket-very-secret', f'http://127.0.0.1:{free_port()}/x?sig=very-secret%3A+', 'ftp://host/x?sig=very-secret'):
        s.RequestHandlerClass = type('Signs', (Bad,), {'do_GET': lambda self, to=to: self.answer(404, b'') if '?' in self.path else self.answer(302, b'', Location=to)})
        text = error_of(go(imports, 'ticket', of_url(f'{s.url}/a', then=False, retries=0)))
        assert 'does not have it (404)' in text or 'cannot be reached' in text or 'is not followed' in text or 'is no address' in text, text


def test_a_folder_in_the_place_of_the_file_ends_the_run(imports, bad):
    s = bad()
    put(imports, 'place', of_url(f'{s.url}/hold', then=False), project='imports')
    begun = start(imports, 'place', project='imports')
    job = wait_for(lambda: (n := get_run(imports, begun['id'], 'imports')['nodes']['bring'])['state'] == 'running' and n['job'], 60, 'it runs')
    write_kept(imports, 'imports', 'studio', f'.studio/tmp/{job}/bring/file.bin/in-the-way', b'x')
    s.end.set()
    assert 'directory' in error_of(end(imports, begun['id'], 'imports'))


def test_a_project_whose_servers_hang_leaves_the_others_theirs(imports, bad):
    s, good = bad(), bad()
    imports.project('others')
    put(imports, 'hang', {'pipeline': 1, 'nodes': {f'n{i}': {'module': 'import_url', 'params': {'url': f'{s.url}/slow'}} for i in range(20)}}, project='imports')
    begun = start(imports, 'hang', project='imports')
    wait_for(lambda: len(s.seen) >= 4, 60, 'its share is taken')
    r = put(imports, 'goes', of_url(f'{good.url}/x', then=False), project='others')
    assert r.status_code in (200, 201), r.text
    assert run(imports, 'goes', project='others')['state'] == 'succeeded'
    assert len(s.seen) == 4
    assert imports.api('POST', f'/api/v1/projects/imports/runs/{begun["id"]}/cancel').status_code == 202
    assert end(imports, begun['id'], 'imports')['state'] == 'cancelled'


# --- an S3 store: Debian has none that runs alone, so this one checks signatures by itself ---

KEY, SECRET = 'AKIDTEST', 's3-very-secret/+'
OBJECTS = {'exports/2026-01-01.csv': b'a,b\n1,2\n', 'exports/2026-01-02 \u00e4+&.csv': b'a,b\n1,2\n3,4\n', 'exports/': b'', 'other.csv': b'a\n1\n'}


def signature(method, path, query, headers):
    """By AWS's description; nothing of it is the server's."""
    auth = dict(re.findall(r'(Credential|SignedHeaders|Signature)=([^, ]+)', headers.get('Authorization', '')))
    if not auth:
        return None, None
    names = auth['SignedHeaders'].split(';')
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    q = '&'.join(f'{urllib.parse.quote(k, safe="-._~")}={urllib.parse.quote(v, safe="-._~")}' for k, v in pairs)
    canonical = '\n'.join([method, urllib.parse.quote(urllib.parse.unquote(path), safe='/-._~'), q,
                           *[f'{n}:{headers[n].strip()}' for n in names], '', auth['SignedHeaders'], headers['x-amz-content-sha256']])
    key, day, region, service, _ = auth['Credential'].split('/')
    text = '\n'.join(['AWS4-HMAC-SHA256', headers['x-amz-date'], f'{day}/{region}/{service}/aws4_request', hashlib.sha256(canonical.encode()).hexdigest()])
    secret = ('AWS4' + SECRET).encode()
    for part in (day, region, service, 'aws4_request'):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    ok = key == KEY and region == 'eu-test-1' and hmac.new(secret, text.encode(), hashlib.sha256).hexdigest() == auth['Signature']
    return ok, abs(datetime.datetime.strptime(headers['x-amz-date'], '%Y%m%dT%H%M%SZ') - datetime.datetime.utcnow()).total_seconds() < 900


class Store(Bad):
    def do_GET(self):
        path, _, query = self.path.partition('?')
        ok, is_now = signature('GET', path, query, self.headers)
        name = urllib.parse.unquote(path)
        self.server.seen.append((name, {}))
        if not (ok and is_now) and not name.startswith('/public/'):
            return self.answer(403, b'<Error><Code>SignatureDoesNotMatch</Code></Error>')
        if name in ('/data', '/data/'):
            q = dict(urllib.parse.parse_qsl(query))
            if q['prefix'] == 'again/':
                return self.answer(200, b'<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken></ListBucketResult>')
            keys = sorted(k for k in OBJECTS if k.startswith(q['prefix']))
            at = int(q.get('continuation-token', '0 x').split()[0])  # one key a page
            more = f'<IsTruncated>true</IsTruncated><NextContinuationToken>{at + 1} &amp; x</NextContinuationToken>' if at + 1 < len(keys) else '<IsTruncated>false</IsTruncated>'
            listed = ''.join(f'<Contents><Key>{urllib.parse.quote(k)}</Key></Contents>' for k in keys[at:at + 1])
            return self.answer(200, f'<?xml version="1.0"?><ListBucketResult>{more}{listed}</ListBucketResult>'.encode())
        body = OBJECTS.get(name.split('/', 2)[2])
        return self.answer(404, b'<Error><Code>NoSuchKey</Code></Error>') if body is None else self.answer(200, body)


def of_s3(store, **params):
    return {'pipeline': 1, 'nodes': {'bring': {'module': 'import_s3', 'params': {'endpoint': store.url, 'bucket': 'data', 'region': 'eu-test-1', 'access_key': KEY, 'secret': 's3', **params}},
                                     'read': {'module': 'read_csv', 'inputs': {'file': 'bring.file'}}}}


def test_an_object_of_a_store_is_asked_for_with_a_signature(imports, bad):
    store = bad(Store)
    for params, rows in (({'key': 'exports/2026-01-01.csv'}, 1), ({'key': 'exports/2026-01-02 \u00e4+&.csv'}, 2), ({'prefix': 'exports/'}, 2)):
        done = go(imports, 'store', of_s3(store, **params))
        assert done['state'] == 'succeeded', json.dumps(done['nodes'], indent=1)
        assert done['nodes']['read']['outputs']['table']['rows'] == rows
    assert go(imports, 'store', of_s3(store, key='other.csv', bucket='public', access_key='', secret=''))['state'] == 'succeeded'
    assert 'SignatureDoesNotMatch' in error_of(go(imports, 'store', of_s3(store, key='other.csv', secret='wrong')))
    assert 'NoSuchKey' in error_of(go(imports, 'store', of_s3(store, key='none')))
    assert "begins with 'none/'" in error_of(go(imports, 'store', of_s3(store, prefix='none/')))
    store.seen.clear()
    assert 'the same keys again and again' in error_of(go(imports, 'store', of_s3(store, prefix='again/'))) and len(store.seen) == 2


# --- PostgreSQL 15 of Debian ---

@pytest.fixture(scope='module')
def postgres():
    """As its own user, on a port and a socket in a directory of its own."""
    port, root = free_port(), pathlib.Path(tempfile.mkdtemp(prefix='strata-pg-', dir='/dev/shm'))
    who = {'user': 'postgres', 'group': 'postgres', 'extra_groups': [], 'cwd': '/', 'stdout': subprocess.DEVNULL}
    (root / 'password').write_text('bosspass\n')
    shutil.chown(root, 'postgres')
    shutil.chown(root / 'password', 'postgres')
    made = subprocess.run([PG / 'initdb', '-D', root / 'data', '-A', 'scram-sha-256', '--pwfile', root / 'password', '-U', 'boss', '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8'],
                          stderr=subprocess.PIPE, text=True, **who)
    assert made.returncode == 0, made.stderr
    server = subprocess.Popen([PG / 'postgres', '-D', root / 'data', '-k', root, '-p', str(port), '-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1'],
                              stderr=open(root / 'log', 'wb'), **who)

    def sql(text, check_it=True):
        r = subprocess.run([PG / 'psql', '-h', '127.0.0.1', '-p', str(port), '-U', 'boss', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1', '-qAt', '-c', text], capture_output=True, text=True,
                           env={'PGPASSWORD': 'bosspass', 'PATH': '/usr/bin'})
        assert not check_it or r.returncode == 0, r.stderr
        return r.stdout if r.returncode == 0 else None
    wait_for(lambda: sql('SELECT 1', False), 60, 'PostgreSQL answers')
    sql('''CREATE ROLE reader LOGIN PASSWORD 'pg-very-secret'; CREATE SCHEMA "My shop";
CREATE TABLE "My shop".sales (id int8, small int2, price float8, cost numeric, ok bool, day date, at timestamp, zone timestamptz, name text, "odd ""name\t" varchar, tags text[], raw bytea, big int8);
INSERT INTO "My shop".sales VALUES
 (1, 2, 0.1, 12345678901234567890.5, true, '2024-02-29', '2024-02-29 08:00:00.5', '2024-02-29 08:00:00.5+08', E'tab\\there\\nand \\\\ back', 'ä', '{a,b}', '\\xff00', 9007199254740993),
 (-1, -2, 'NaN', -0.25, false, '1999-12-31', '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.999999Z', '', 'x', NULL, NULL, 1),
 (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
GRANT USAGE ON SCHEMA "My shop" TO reader; GRANT SELECT, INSERT ON "My shop".sales TO reader;
CREATE TABLE many AS SELECT i AS id, md5(i::text) AS name, i * 0.5 AS half FROM generate_series(1, 200000) i; GRANT SELECT ON many TO reader;''')
    yield port, sql
    server.send_signal(signal.SIGINT)
    server.wait(60)
    shutil.rmtree(root, ignore_errors=True)


def of_pg(at, **params):
    return {'pipeline': 1, 'nodes': {'bring': {'module': 'import_postgres', 'params': {'host': '127.0.0.1', 'port': at, 'database': 'postgres', 'user': 'reader', 'secret': 'pg', **params}}}}


def preview(strata, done, node='bring', port='table'):
    r = strata.api('GET', f'/api/v1/projects/imports/runs/{done["id"]}/nodes/{node}/outputs/{port}/preview')
    assert r.status_code == 200, r.text
    return r.json()


def test_a_table_of_postgresql_comes_with_its_types(imports, postgres):
    port, sql = postgres
    done = go(imports, 'pg', of_pg(port, table='My shop.sales'))
    assert done['state'] == 'succeeded', json.dumps(done['nodes'], indent=1)
    out = done['nodes']['bring']['outputs']['table']
    assert (out['rows'], out['columns']) == (3, 13)
    told = preview(imports, done)
    types = {c['name']: c['type'] for c in told['columns']}
    assert types == {'id': 'int', 'small': 'int', 'price': 'real', 'cost': 'real', 'ok': 'bool', 'day': 'date', 'at': 'time', 'zone': 'time', 'name': 'text', 'odd "name\t': 'text',
                     'tags': 'text', 'raw': 'text', 'big': 'text'}
    rows = told['head']
    assert rows[0] == [1, 2, 0.1, 12345678901234567168.0, True, '2024-02-29', '2024-02-29T08:00:00.500Z', '2024-02-29T00:00:00.500Z', 'tab\there\nand \\ back', 'ä', '{a,b}', '\\xff00', '9007199254740993']
    assert rows[1][:4] == [-1, -2, None, -0.25] and rows[1][6] == '1999-12-31T23:59:59.999999Z' and rows[1][8] == ''
    assert rows[2] == [None] * 13
    again = go(imports, 'pg', {**of_pg(port, table='My shop.sales'), 'nodes': {**of_pg(port, table='My shop.sales')['nodes'], 'then': {'module': 'sort', 'params': {'by': 'id'}, 'inputs': {'table': 'bring.table'}}}})
    once = run(imports, 'pg', project='imports')
    assert states(again)['then'] == 'succeeded' and states(once) == {'bring': 'succeeded', 'then': 'cached'}


def test_a_query_of_postgresql_reads_and_cannot_write(imports, postgres):
    port, sql = postgres
    done = go(imports, 'query', of_pg(port, query='SELECT count(*) AS n, sum(half) AS s FROM many -- all of them;\n;'))
    assert done['state'] == 'succeeded', json.dumps(done['nodes'], indent=1)
    assert preview(imports, done)['head'] == [[200000, 10000050000]]
    many = go(imports, 'query', of_pg(port, table='many'))
    assert many['nodes']['bring']['outputs']['table']['rows'] == 200000
    before = sql('SELECT count(*) FROM "My shop".sales')
    for query, wanted in (('INSERT INTO "My shop".sales(id) VALUES (9) RETURNING id', 'COPY query must not|read-only'), ('SELECT 1) TO STDOUT; DELETE FROM many; --', 'syntax error'),
                          ('SELECT 1; DELETE FROM many', 'multiple commands'), ('WITH x AS (INSERT INTO "My shop".sales(id) VALUES (9) RETURNING id) SELECT * FROM x', 'read-only transaction'),
                          ('SELECT nothing FROM many', r'does not exist \(character 8 of the query\)'), ('SELECT 1 AS a, 2 AS a', "'a'"), ('VACUUM', 'gives no rows')):
        assert re.search(wanted, error_of(go(imports, 'query', of_pg(port, query=query)))), query
    assert sql('SELECT count(*) FROM "My shop".sales') == before and sql('SELECT count(*) FROM many').strip() == '200000'


def test_limits_and_mistakes_of_postgresql_are_told(imports, postgres):
    port, _ = postgres
    for params, wanted in (({'table': 'many', 'max_rows': 1000}, 'more than max_rows, 1000'), ({'table': 'many', 'max_size': '100Ki'}, 'larger than max_size, 100Ki'),
                           ({'query': 'SELECT pg_sleep(60)', 'timeout_sec': 1}, 'longer than timeout_sec, 1'), ({'table': 'none'}, 'does not exist'),
                           ({'table': 'many', 'secret': 'wrong'}, 'password authentication failed'), ({'table': 'many', 'database': 'nowhere'}, 'does not exist|nowhere'),
                           ({'table': 'many', 'sslmode': 'require'}, 'does not support SSL'), ({'table': 'many', 'host': '/dev/shm'}, 'no name or address'),
                           ({'table': 'many', 'port': free_port(), 'retries': 0}, 'not reached')):
        assert re.search(wanted, error_of(go(imports, 'limits', of_pg(port, **params)))), params


def test_a_query_that_goes_on_is_cancelled(imports, postgres):
    port, sql = postgres
    put(imports, 'sleep', of_pg(port, query='SELECT pg_sleep(600)'), project='imports')
    begun = start(imports, 'sleep', project='imports')
    wait_for(lambda: get_run(imports, begun['id'], 'imports')['nodes']['bring']['state'] == 'running' and 'pg_sleep' in sql("SELECT query FROM pg_stat_activity WHERE usename = 'reader'"), 60, 'it sleeps')
    assert imports.api('POST', f'/api/v1/projects/imports/runs/{begun["id"]}/cancel').status_code == 202
    assert end(imports, begun['id'], 'imports')['state'] == 'cancelled'


def test_a_large_table_gets_the_memory_that_it_needs(imports, postgres):
    port, _ = postgres
    done = go(imports, 'large', of_pg(port, query="SELECT i AS id, md5(i::text) AS name, i * 0.5 AS half FROM generate_series(1, 3000000) i"))
    assert done['state'] == 'succeeded', json.dumps(done['nodes'], indent=1)
    assert done['nodes']['bring']['outputs']['table']['rows'] == 3000000


# --- something that says it is PostgreSQL ---

def message(kind, body=b''):
    return kind + struct.pack('>I', len(body) + 4) + body


READY = message(b'Z', b'I')
HELLO = message(b'R', struct.pack('>I', 0)) + READY


def drip(c, end):
    while not end.wait(0.2):
        c.sendall(b'\0')


def flood(c, end, head=b''):
    piece = head
    while not end.is_set():
        c.sendall(piece)
        piece = message(b'D', struct.pack('>HI', 1, 100000) + b'x' * 100000) * 10


def columns():
    return message(b'T', struct.pack('>H', 1) + b'a\0' + struct.pack('>IHIHIH', 0, 0, 25, 0xffff, 0xffffffff, 0))


def honest(c, end, row):
    """All as it should be, up to the rows."""
    c.recv(65536)
    c.sendall(message(b'C', b'BEGIN\0') + READY)
    c.recv(65536)
    c.sendall(message(b'1') + READY)
    c.recv(65536)
    c.sendall(message(b't', struct.pack('>H', 0)) + columns() + READY)
    c.recv(65536)
    c.sendall(message(b'1') + message(b'2') + message(b'H', b'\0' + struct.pack('>HH', 1, 0)))
    row(c, end)


def one_row(c, end):
    c.sendall(b'd' + struct.pack('>I', 2 ** 30))
    while not end.is_set():
        c.sendall(b'x' * 1000000)


def endless_names(c, end):
    i = 0
    while not end.is_set():
        i += 1
        c.sendall(message(b'S', b'name%d\0' % i + b'x' * 20000 + b'\0'))


FAKES = {
    'drip': (lambda c, end: drip(c, end), 'does not answer in time|not reached'),
    'copy-in': (lambda c, end: (c.sendall(HELLO), c.recv(65536), c.sendall(message(b'G', b'\0' + struct.pack('>H', 0))), end.wait(60)), 'not asked to'),
    'copy-both': (lambda c, end: (c.sendall(HELLO), c.recv(65536), c.sendall(message(b'W', b'\0' + struct.pack('>H', 0))), end.wait(60)), 'not asked to'),
    'rows-where-none-are': (lambda c, end: (c.sendall(HELLO), c.recv(65536), flood(c, end, columns())), 'more than 16 MiB at once'),
    'settings': (lambda c, end: (c.sendall(message(b'R', struct.pack('>I', 0))), endless_names(c, end)), 'more than 16 MiB at once'),
    'one-row': (lambda c, end: (c.sendall(HELLO), honest(c, end, one_row)), 'more than 64 MiB at once'),
}


@pytest.mark.parametrize('kind', FAKES)
def test_what_only_says_it_is_a_database_holds_nothing_up(imports, kind):
    server, over = socket.create_server(('127.0.0.1', 0)), threading.Event()
    behave, wanted = FAKES[kind]

    def serve():
        while True:
            try:
                c, _ = server.accept()
            except OSError:
                return
            with c:
                try:
                    c.recv(65536)
                    behave(c, over)
                except OSError:
                    pass
    threading.Thread(target=serve, daemon=True).start()
    try:
        text = error_of(go(imports, 'fake', of_pg(server.getsockname()[1], table='t', sslmode='disable', retries=0)))
        assert re.search(wanted, text), text
    finally:
        over.set()
        server.close()
