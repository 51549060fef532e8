"""Blobs beyond 40 GiB: every offset and size has 64 bits, an upload goes on after a cut and a restart, and nothing is copied at its end."""
import base64
import json
import os
import socket

from conftest import wait_for
from test_c20_registry import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, sha
from test_c25_registry_fsck import CONFIG, blob_path, fsck

ZEROES = 41 << 30
TAIL = b'the last bytes of a blob of more than 40 GiB'
# (head -c 44023414784 /dev/zero; printf %s 'the last ... GiB') | sha256sum
DIGEST = 'sha256:044ded6e8e98c5845c51a28797f351b16849f3ddf9ff7339165a294da10daff5'
SIZE = ZEROES + len(TAIL)


def test_a_blob_of_more_than_40_gib(own_strata):
    strata = own_strata().start()
    strata.project('demo')
    registry = Registry(strata)
    where = registry.upload('demo/huge')
    assert registry('PATCH', where, data=bytes(1 << 20)).headers['Range'] == '0-1048575'
    strata.kill()
    # As if a client had sent the zeroes: a file with holes, of which a disk holds nothing.
    upload = strata.state / 'blobs/uploads' / where.rsplit('/', 1)[1]
    os.truncate(upload, ZEROES)
    inode = upload.stat().st_ino
    strata.start()
    r = registry('GET', where)
    assert r.status_code == 204 and r.headers['Range'] == f'0-{ZEROES - 1}'
    r = registry('PATCH', where, data=b'x', headers={'Content-Range': f'{ZEROES & 0xffffffff}-{ZEROES & 0xffffffff}'})
    assert r.status_code == 416 and r.headers['Range'] == f'0-{ZEROES - 1}', 'an offset of 32 bits'
    # Its connection is cut in the middle; before that, everything is hashed again, as the server was killed.
    auth = base64.b64encode(f'admin:{strata.admin_password}'.encode()).decode()
    with socket.create_connection(('127.0.0.1', strata.port)) as s:
        s.sendall(f'PATCH {where} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {auth}\r\nContent-Range: {ZEROES}-{SIZE - 1}\r\n'
                  f'Content-Length: {len(TAIL)}\r\n\r\n'.encode() + TAIL[:10])
        wait_for(lambda: registry('GET', where).headers['Range'] == f'0-{ZEROES + 9}', 400, 'the first bytes of the chunk are there')
    r = wait_for(lambda: (lambda r: r if r.status_code != 409 else None)(
        registry('PATCH', where, data=TAIL[10:20], headers={'Content-Range': f'{ZEROES + 10}-{ZEROES + 19}'})), 30, 'the upload is free')
    assert r.status_code == 202 and r.headers['Range'] == f'0-{ZEROES + 19}'
    r = registry('PUT', where, params={'digest': DIGEST}, data=TAIL[20:], headers={'Content-Range': f'{ZEROES + 20}-{SIZE - 1}'}, timeout=400)
    assert r.status_code == 201, r.text
    stored = blob_path(strata, DIGEST)
    assert stored.stat().st_ino == inode and stored.stat().st_blocks < 1 << 14, 'it was copied'

    url = f'/v2/demo/huge/blobs/{DIGEST}'
    assert registry('HEAD', url).headers['Content-Length'] == str(SIZE)
    with registry('GET', url, stream=True) as r:
        assert r.status_code == 200 and r.headers['Content-Length'] == str(SIZE)
        assert r.raw.read(1 << 20) == bytes(1 << 20)
    for asked, first, data in ((f'{ZEROES}-', ZEROES, TAIL), (f'-{len(TAIL)}', ZEROES, TAIL), (f'{ZEROES + 4}-{ZEROES + 7}', ZEROES + 4, TAIL[4:8]),
                               (f'{ZEROES - 2}-{ZEROES}', ZEROES - 2, b'\0\0t')):
        r = registry('GET', url, headers={'Range': f'bytes={asked}'})
        assert r.status_code == 206 and r.content == data, asked
        assert r.headers['Content-Range'] == f'bytes {first}-{first + len(data) - 1}/{SIZE}'
    assert registry('GET', url, headers={'Range': f'bytes={SIZE}-'}).status_code == 416

    config = registry.blob('demo/huge', CONFIG)
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'config': {'mediaType': OCI_CONFIG, 'digest': config, 'size': len(CONFIG)},
                       'layers': [{'mediaType': OCI_LAYER, 'digest': DIGEST, 'size': SIZE}]}).encode()
    registry.manifest('demo/huge', 'v1', body)
    row = strata.api('GET', '/api/v1/projects/demo/repositories/huge/tags').json()['items'][0]
    assert row['size_bytes'] == SIZE + len(CONFIG) + len(body)
    assert strata.api('GET', '/api/v1/projects/demo/quota').json()['used_bytes'] > SIZE
    assert strata.api('PUT', '/api/v1/projects/demo/quota', json={'quota_bytes': 40 << 30}).status_code == 200
    r = registry('POST', '/v2/demo/more/blobs/uploads/', params={'digest': sha(b'one more')}, data=b'one more')
    assert r.status_code == 403 and 'quota' in r.text
    fsck(strata, code=0)
    assert registry('DELETE', '/v2/demo/huge/manifests/v1').status_code == 202
