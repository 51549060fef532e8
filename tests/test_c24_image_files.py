"""Images as files: pull, export and import of layouts and saved tars, read and written by skopeo too; tree and inspect."""
import gzip
import io
import json
import os
import subprocess
import tarfile

import pytest

from test_c20_registry import OCI_INDEX, OCI_MANIFEST, Registry, sha

ACCEPT = {'Accept': f'{OCI_MANIFEST}, {OCI_INDEX}'}


@pytest.fixture(scope='module')
def images(strata):
    """demo/one:1 (an image), demo/both:1 (an index of two)."""
    strata.project('files')
    registry = Registry(strata)
    one, body = registry.image('files/one', '1', layer=os.urandom(300000))
    arm, arm_body = registry.image('files/both', None, architecture='arm64')
    amd, amd_body = registry.image('files/both', None)
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': d, 'size': len(b), 'platform': {'os': 'linux', 'architecture': a}}
        for d, b, a in ((arm, arm_body, 'arm64'), (amd, amd_body, 'amd64'))]}).encode()
    registry.manifest('files/both', '1', index, OCI_INDEX)
    registry.manifest('files/both', 'sig', json.dumps({
        'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'artifactType': 'application/vnd.test.signature',
        'config': json.loads(body)['config'] | {'digest': registry.blob('files/both', b'{}'), 'size': 2,
                                                'mediaType': 'application/vnd.oci.empty.v1+json'},
        'layers': [], 'subject': {'mediaType': OCI_INDEX, 'digest': sha(index), 'size': len(index)}}).encode())
    return {'one': one, 'index': sha(index), 'amd': amd, 'arm': arm}


def digest(strata, repo, ref):
    return Registry(strata)('HEAD', f'/v2/{repo}/manifests/{ref}', headers=ACCEPT).headers.get('Docker-Content-Digest')


def skopeo(*args):
    r = subprocess.run(['skopeo', *map(str, args)], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stderr
    return r.stdout


def test_tree_shows_platforms_layers_and_referrers(strata, images):
    text = strata.cli('image', 'tree', 'files/both:1', check=True).stdout
    assert text.splitlines()[0].startswith(f'index {images["index"]}')
    assert f'  image {images["arm"]}' in text and 'linux/arm64' in text and '    layer sha256:' in text
    assert 'referrer' in text and 'application/vnd.test.signature' in text
    tree = json.loads(strata.cli('image', 'tree', '--json', 'files/both:1', check=True).stdout)
    assert [i['digest'] for i in tree['images']] == [images['arm'], images['amd']] and len(tree['referrers']) == 1


def test_inspect_prints_the_configuration(strata, images):
    out = json.loads(strata.cli('image', 'inspect', 'files/both:1', check=True).stdout)
    assert out['Digest'] == images['amd'] and out['Architecture'] == 'amd64' and len(out['Layers']) == 1
    out = json.loads(strata.cli('image', 'inspect', 'one:1', '-p', 'files', check=True).stdout)
    assert out['Digest'] == images['one'] and out['Config']['os'] == 'linux'


def test_an_exported_tar_is_read_as_both_archives(strata, images, tmp_path):
    tar = tmp_path / 'out.tar'
    strata.cli('image', 'export', 'files/one:1', tar, check=True)
    assert json.loads(skopeo('inspect', '--raw', f'oci-archive:{tar}')) == json.loads(
        Registry(strata)('GET', '/v2/files/one/manifests/1', headers=ACCEPT).text)
    assert json.loads(skopeo('inspect', '--config', f'docker-archive:{tar}'))['architecture'] == 'amd64'
    skopeo('copy', f'docker-archive:{tar}:files/one:1', f'dir:{tmp_path}/dir')
    again = strata.cli('image', 'export', 'files/one:1', '-', check=True, input=b'').stdout
    assert again == tar.read_bytes(), 'the same image gives the same file'


def test_what_was_exported_is_imported_again(strata, images, tmp_path):
    tar = tmp_path / 'out.tar'
    strata.cli('image', 'export', 'files/one:1', 'files/both:1', tar, check=True)
    strata.project('there')
    out = json.loads(strata.cli('image', 'import', '--json', tar, '-p', 'there', check=True).stdout)
    assert [i['digest'] for i in out] == [images['one'], images['index']]
    assert digest(strata, 'there/one', '1') == images['one'] and digest(strata, 'there/both', '1') == images['index']
    packed = tmp_path / 'out.tar.gz'
    packed.write_bytes(gzip.compress(tar.read_bytes()))
    strata.cli('image', 'import', packed, 'there/all', check=True)
    assert Registry(strata)('GET', '/v2/there/all/tags/list').json()['tags'] == ['1']
    subprocess.run(['zstd', '-q', tar, '-o', tmp_path / 'out.tar.zst'], check=True)
    strata.cli('image', 'import', tmp_path / 'out.tar.zst', '-p', 'there', check=True)


def test_a_layout_is_pulled_resumed_and_imported(strata, images, tmp_path):
    layout = tmp_path / 'layout'
    strata.cli('image', 'pull', 'files/one:1', layout, check=True)
    assert json.loads(skopeo('inspect', f'oci:{layout}:1'))['Digest'] == images['one']
    big = max((layout / 'blobs/sha256').iterdir(), key=lambda p: p.stat().st_size)
    data = big.read_bytes()
    for left in (data[:1000], data[:-1], data + b'more', b'x' * len(data)):
        big.unlink()
        part = big.with_name(big.name + '.part')
        part.write_bytes(left)
        r = strata.cli('image', 'pull', 'files/one:1', layout)
        if left[:10] == b'x' * 10:
            assert r.returncode != 0 and 'digest' in r.stderr and not part.exists()
            strata.cli('image', 'pull', 'files/one:1', layout, check=True)
        else:
            assert r.returncode == 0, r.stderr
        assert big.read_bytes() == data and not part.exists()
    strata.cli('image', 'import', layout, 'files/again:2', check=True)
    assert digest(strata, 'files/again', '2') == images['one']


def test_what_skopeo_saved_is_imported(strata, images, tmp_path):
    """Its docker-archive is docker save's format: layers uncompressed, links where one is there twice."""
    strata.cli('image', 'pull', 'files/one:1', tmp_path / 'l', check=True)
    skopeo('copy', f'oci:{tmp_path}/l:1', f'docker-archive:{tmp_path}/d.tar:docker.io/library/tool:7')
    strata.cli('image', 'import', tmp_path / 'd.tar', '-p', 'files', check=True)
    assert json.loads(strata.cli('image', 'inspect', 'files/tool:7', check=True).stdout)['Architecture'] == 'amd64'
    skopeo('copy', f'oci:{tmp_path}/l:1', f'oci-archive:{tmp_path}/o.tar:anything')
    strata.cli('image', 'import', tmp_path / 'o.tar', 'files/tool:8', check=True)
    assert digest(strata, 'files/tool', '8') == images['one']
    user, password = 'admin', strata.admin_password
    skopeo('copy', '--src-tls-verify=false', '--src-creds', f'{user}:{password}',
           f'docker://{strata.url.removeprefix("http://")}/files/tool:7', f'dir:{tmp_path}/back')


def archive(path, files, links=()):
    with tarfile.open(path, 'w') as t:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        for name, target, kind in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            t.addfile(info)
    return path


def saved(layers, files, links=()):
    config = json.dumps({'os': 'linux', 'architecture': 'amd64', 'rootfs': {'type': 'layers', 'diff_ids': []}}).encode()
    manifest = json.dumps([{'Config': 'c.json', 'RepoTags': ['old:1'], 'Layers': layers}]).encode()
    return [('c.json', config), *files, ('manifest.json', manifest)], links


def test_links_of_old_saves_name_layers_of_the_archive_only(strata, images, tmp_path):
    layer = os.urandom(500)
    files, links = saved(['a/layer.tar', 'b/layer.tar'], [('a/layer.tar', layer)],
                         [('b/layer.tar', '../a/layer.tar', tarfile.SYMTYPE)])
    strata.cli('image', 'import', archive(tmp_path / 'ok.tar', files, links), 'files/old:1', check=True)
    for target in ('/etc/passwd', '../../../etc/passwd', 'b/layer.tar', '../a/../../etc/passwd'):
        files, links = saved(['b/layer.tar'], [], [('b/layer.tar', target, tarfile.SYMTYPE)])
        r = strata.cli('image', 'import', archive(tmp_path / 'bad.tar', files, links), 'files/old:2')
        assert r.returncode != 0 and 'lacks a layer' in r.stderr, target


@pytest.mark.parametrize('files, message', [
    ([('hello', b'world')], 'no saved image'),
    ([('index.json', b'{"manifests": []}')], 'holds no image'),
    ([('index.json', b'not json')], 'no JSON'),
    ([('index.json', b'{"manifests": [{"digest": "sha256:' + b'0' * 64 + b'"}]}')], 'lacks the manifest'),
    ([('index.json', b'[' * 100000)], 'nest'),
    ([('manifest.json', b'[{"Config": 3, "Layers": [null]}]')], 'lacks'),
])
def test_what_is_no_saved_image_is_refused(strata, images, tmp_path, files, message):
    r = strata.cli('image', 'import', archive(tmp_path / 'bad.tar', files), 'files/bad:1')
    assert r.returncode != 0 and message in r.stderr, r.stderr
    assert digest(strata, 'files/bad', '1') is None


def test_a_cut_or_hostile_archive_is_refused(strata, images, tmp_path):
    strata.cli('image', 'export', 'files/one:1', tmp_path / 'x.tar', check=True)
    (tmp_path / 'cut.tar').write_bytes((tmp_path / 'x.tar').read_bytes()[:150000])
    r = strata.cli('image', 'import', tmp_path / 'cut.tar', 'files/cut:1')
    assert r.returncode != 0 and ('damaged' in r.stderr or 'truncated' in r.stderr.lower()), r.stderr
    body, files = b'{"manifests": []}', []
    for _ in range(6):  # an index of an index of ...
        files.append((sha(body), body))
        body = json.dumps({'schemaVersion': 2, 'manifests': [{'digest': sha(body), 'size': len(body)}]}).encode()
    r = strata.cli('image', 'import', archive(tmp_path / 'deep.tar', files + [('index.json', body)]), 'files/cut:1')
    assert r.returncode != 0 and 'nested deeper' in r.stderr, r.stderr
    r = strata.cli('image', 'import', tmp_path / 'nothing', 'files/cut:1')
    assert r.returncode != 0 and 'No such file' in r.stderr


def test_names_in_an_archive_do_not_steer_the_terminal(strata, tmp_path):
    """Escapes of one byte and of Unicode, and what turns the direction of writing, are shown and not obeyed."""
    evil = '\x1b]0;x\x07\x9b2J\u202ea\nforged'
    index = json.dumps({'schemaVersion': 2, 'manifests': [{'mediaType': OCI_MANIFEST, 'digest': 'sha256:' + evil, 'size': 1}]})
    path = archive(tmp_path / 'a.tar', [('index.json', index.encode())])
    texts = [strata.cli('image', 'import', path, 'files/evil:1').stderr]
    manifest = json.dumps([{'Config': 'c.json', 'RepoTags': [evil], 'Layers': []}])
    path = archive(tmp_path / 'b.tar', [('c.json', b'{}'), ('manifest.json', manifest.encode())])
    texts.append(strata.cli('image', 'import', path).stderr)
    for text in texts:
        assert len(text.splitlines()) == 1 and '0;x' in text, text
        assert not any(c in text for c in '\x1b\x07\x9b\u202e'), text


def test_a_digest_counts_beside_a_tag(strata, images):
    def inspect(name, ok=True):
        r = strata.cli('image', 'inspect', name)
        assert (r.returncode == 0) == ok, r.stderr
        return json.loads(r.stdout)['Digest'] if ok else r.stderr
    assert inspect(f'files/one:none@{images["one"]}') == inspect(f'files/one@{images["one"]}') == images['one']
    assert 'is no SHA-256 digest' in inspect('files/one@sha512:' + '0' * 128, ok=False)
