"""The manual: every command that a page tells people to type is typed, in order, against a real server."""
import importlib.util
import os
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT, make_busybox_tar

spec = importlib.util.spec_from_file_location('manual_pages', ROOT / 'tools/manual_pages.py')
manual_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(manual_pages)

PAGES = [name for name, page in manual_pages.pages('').items() if any(info.startswith('sh') for info, _ in page.blocks)]
HOST = 'strata.example:8080'
HARBOR = 'https://harbor.example'  # the server itself: it speaks Harbor's API


@pytest.fixture(scope='module')
def desk(strata, scratch):
    """A user ada with what the pages take for granted: a project of hers, a volume, an image, files to send."""
    home = scratch / 'manual'
    home.mkdir()
    (home / 'password.txt').write_text('correct horse battery\n')
    shutil.copy(ROOT / 'examples/data/digits.csv', home / 'digits.csv')
    (home / 'holidays').mkdir()
    (home / 'holidays/beach.txt').write_text('sand\n')
    shutil.copy('/bin/busybox', home / 'tool')  # static, also in a build with sanitizers
    make_busybox_tar(home / 'busybox.tar')
    strata.user('ada')
    strata.user('lin')
    strata.api('POST', '/api/v1/projects', user='ada', json={'name': 'vision'})
    strata.api('POST', '/api/v1/projects/vision/volumes', user='ada', json={'name': 'train'})
    strata.cli('image', 'push', 'vision/busybox:1', '--tar', home / 'busybox.tar', '--cmd', '/bin/sh', user='ada', check=True)
    return home


def type_in(strata, desk, page, script):
    """bash with ada's environment; `curl` fails where the server refuses."""
    env = {'PATH': f'{BUILD}:{os.environ["PATH"]}', 'HOME': str(desk), 'LC_ALL': 'C.UTF-8', 'STRATA_SERVER': strata.url,
           'STRATA_TOKEN': strata.token('ada', 'correct horse battery'), 'ADMIN_TOKEN': strata.token(),
           'REGISTRY_AUTH_FILE': str(desk / 'auth.json'), 'STRATA_HARBOR_PASSWORD': strata.admin_password}
    script = script.replace('create vision\n', 'create vision --if-missing\n')  # each page may be tried alone
    script = script.replace(HOST, f'127.0.0.1:{strata.port}').replace(HARBOR, strata.url).replace('build/strata-ml', './tool')
    script = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\nset -x\n' + script
    r = subprocess.run(['bash', '-c', script], cwd=desk, env=env, capture_output=True, text=True, timeout=240)
    assert r.returncode == 0, f'{page}: {r.stdout[-3000:]}\n{r.stderr[-3000:]}'


def script_of(blocks):
    """Files are written as they are shown, what an administrator types runs as one, and what needs a tool that is not here is left out."""
    script = ''
    for info, text in blocks:
        kind, _, what = info.partition(' ')
        if kind == 'yaml':
            script += f"cat > {what} <<'END_OF_FILE'\n{text}END_OF_FILE\n"
        elif kind == 'sh' and what == 'admin':
            script += f'MINE=$STRATA_TOKEN STRATA_TOKEN=$ADMIN_TOKEN\n{text}STRATA_TOKEN=$MINE\n'
        elif kind == 'sh' and (what == '' or shutil.which(what)):
            script += text
    return script


PODMAN = ('--root {0}/cs --runroot {0}/csr --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --tmpdir {0}/pt')


def with_local_image(strata, desk):
    """trainer:1 in podman's own store, and as a file of docker save."""
    def command(*words):
        r = subprocess.run(words, cwd=desk, env={**os.environ, 'HOME': str(desk)}, capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, r.stderr
    command('podman', *PODMAN.format(desk).split(), 'import', 'busybox.tar', 'trainer:1')
    command('podman', *PODMAN.format(desk).split(), 'save', '-o', 'trainer.tar', 'trainer:1')


@pytest.mark.parametrize('name', PAGES)
def test_what_a_page_tells_to_type_works(strata, desk, name):
    blocks = manual_pages.pages('')[name].blocks
    if name == 'images.md' and shutil.which('podman') and shutil.which('skopeo'):
        with_local_image(strata, desk)
        blocks = [(info, f'podman() {{ command podman {PODMAN.format(desk)} "$@"; }}\n{text}' if info == 'sh podman' else text)
                  for info, text in blocks]
    type_in(strata, desk, name, script_of(blocks))


def test_the_pages_fit_the_program_and_each_other():
    r = subprocess.run([ROOT / 'tools/manual_pages.py'], capture_output=True, text=True, env={**os.environ, 'BUILD': str(BUILD)})
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.mark.parametrize('name,old,new,said', [
    ('jobs.md', '## The log\n', '', 'no heading there has that anchor'),
    ('jobs.md', '| `retries` |', '| `retrys` |', 'the key retries of a job is missing'),
    ('jobs.md', '| `retries` |', '| `retrys` |', 'reads no key retrys'),
    ('jobs.md', 'strata job usage', 'strata job useage', 'there is no command "strata job useage'),
    ('jobs.md', '--attempt 1', '--atempt 1', 'has no option --atempt'),
    ('data.md', '/tree/raw', '/trees/raw', 'there is no route GET'),
    ('data.md', '`DELETE /api/v1/projects/{p}/volumes/{v}`', '`PATCH /api/v1/projects/{p}/volumes/{v}`', 'there is no route PATCH'),
    ('overview.md', '(account.md#change-the-password)', '(acount.md)', 'leads nowhere'),
    ('zh-TW/account.md', '## ', '### ', 'its headings are not those of'),
    ('zh-CN/account.md', 'strata token list', 'strata token listen', 'its blocks of code are not those of'),
    ('zh-CN/account.md', None, None, 'is not there in every language (zh-CN)'),
])
def test_what_is_wrong_in_a_page_is_found(tmp_path, monkeypatch, capsys, name, old, new, said):
    shutil.copytree(ROOT / 'docs', tmp_path / 'docs')
    monkeypatch.setattr(manual_pages, 'MANUAL', tmp_path / 'docs/manual')
    monkeypatch.setattr(manual_pages, 'STRATA', BUILD / 'strata')
    path = tmp_path / 'docs/manual' / name
    if old is None:
        path.unlink()
    else:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
    assert manual_pages.main() == 1
    assert said in capsys.readouterr().out
