"""The console in a real browser: every flow of web/flows, against a real server."""
import json
import os
import pathlib
import subprocess

import pytest
import requests

from conftest import BUILD, ROOT

RUN = ROOT / 'web/flows/run.mjs'


def listed():
    r = subprocess.run(['node', RUN, '--list'], capture_output=True, text=True)
    return json.loads(r.stdout) if r.returncode == 0 else [['run.mjs --list', r.stderr or 'node is missing']]


@pytest.fixture(scope='session')
def console(strata):
    """The server that all tests share; its busybox image is there, and the built-in one."""
    assert strata.busybox
    strata.cli('image', 'push', 'library/strata-ml:latest', '--program', BUILD / 'strata-ml', check=True)
    return strata


@pytest.mark.parametrize('area,name', listed(), ids=lambda v: str(v))
def test_flow(console, area, name):
    shots = pathlib.Path(os.environ.get('STRATA_SHOTS', ROOT / BUILD.name / 'screenshots'))
    env = {**os.environ, 'STRATA_URL': console.url, 'STRATA_PASSWORD': console.admin_password,
           'STRATA_STATE': str(console.state), 'STRATA_PID': str(console.process.pid), 'STRATA_BINARY': console.binary, 'STRATA_SHOTS': str(shots)}
    r = subprocess.run(['node', RUN, area, name], env=env, capture_output=True, text=True, timeout=900)
    assert r.returncode == 0, f'{r.stdout[-3000:]}\n{r.stderr[-6000:]}'


def test_the_first_load_is_small(console):
    """What the first page needs, compressed: the issue's ceiling is 450 kB."""
    page = requests.get(console.url + '/ui/', timeout=30)
    assert page.headers['Content-Encoding'] == 'gzip' and page.headers['Cache-Control'] == 'no-cache'
    total = int(page.headers['Content-Length'])
    wanted = [part.split('"')[0] for part in page.text.split('"/ui/assets/')[1:]]
    assert wanted
    for name in wanted:
        r = requests.get(f'{console.url}/ui/assets/{name}', timeout=30)
        assert r.status_code == 200 and 'immutable' in r.headers['Cache-Control']
        total += int(r.headers['Content-Length'])
    assert total <= 450_000, total


def test_a_browser_without_gzip_and_a_stale_one_are_served(console):
    plain = requests.get(console.url + '/ui/', headers={'Accept-Encoding': 'identity'}, timeout=30)
    assert 'Content-Encoding' not in plain.headers and plain.text.startswith('<!doctype html>')
    again = requests.get(console.url + '/ui/', headers={'If-None-Match': plain.headers['ETag']}, timeout=30)
    assert again.status_code == 304
    assert requests.get(console.url + '/ui/assets/none.js', timeout=30).status_code == 404
    assert requests.get(console.url + '/ui/p/demo/jobs', timeout=30).text == plain.text
    home = requests.get(console.url + '/', allow_redirects=False, timeout=30)
    assert (home.status_code, home.headers['Location']) == (302, '/ui/')
