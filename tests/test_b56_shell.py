"""strata-ml alone in a shell: help where people look for it, the nearest word, pipes, a page for each module."""
import csv
import json
import os
import pty
import re
import subprocess

import pytest

from conftest import ROOT
from test_b50_algorithms import ml, ok, program, refused

CSV = 'name,age\nada,36\nbob,\ncy,41\n'


def piped(*words, text=CSV, cwd=None):
    return subprocess.run([program(), *words], input=text, capture_output=True, text=True, timeout=60, cwd=cwd)


@pytest.mark.parametrize('words', [('--help',), ('-h',), ('help',)])
def test_help_is_where_people_look_for_it(words):
    out = ok(*words).stdout
    assert out.startswith('usage: strata-ml') and len(max(out.splitlines(), key=len)) <= 100


@pytest.mark.parametrize('words', [('split', '--help'), ('split', '-h'), ('help', 'split')])
def test_a_module_tells_of_itself(words):
    out = ok(*words).stdout
    assert out.startswith('split - ') and '--param fraction=0.8' in out and '--in table' in out


def test_the_version_is_told_as_everywhere():
    assert re.fullmatch(r'strata-ml \d\S*\n', ok('--version').stdout) and ok('version').stdout == ok('--version').stdout


def test_the_nearest_word_is_offered(tmp_path):
    refused(2, "did you mean 'split'", 'splitt')
    refused(2, "did you mean 'fraction'", 'split', '--param', 'fractoin=1')
    refused(2, 'did you mean --threads', '--thread', '2', 'list')
    refused(2, 'there are --threads', '--xyzzy', '2', 'list')


def test_tables_go_through_pipes(tmp_path):
    (tmp_path / '-').mkdir()  # standard output all the same
    out = piped('read_csv', '--param', 'path=-', '--out', 'table=-', cwd=tmp_path)
    assert out.returncode == 0 and out.stdout == CSV, out.stderr
    out = piped('chain', 'read_csv --param path=- --out table=t', "filter_rows --in table=t --param 'expr=age > 40' --out table=-")
    assert out.returncode == 0 and out.stdout == 'name,age\ncy,41\n', out.stderr
    assert piped('chain', 'read_csv --param path=- --out table=t', 'summarize --in table=t --out table=-').stdout.startswith('column,')


def test_what_does_not_fit_a_pipe_is_refused_before_the_run():
    out = piped('chain', 'read_csv --param path=- --out table=t', 'kmeans --in train=t --param k=1 --out model=-')
    assert out.returncode == 2 and 'a model goes to a file' in out.stderr and out.stdout == '', out.stderr
    out = piped('read_csv', '--param', 'path=-', '--out', 'table=-', text='')
    assert out.returncode == 3 and out.stdout == ''


def test_a_reader_without_a_file_says_what_it_needs(tmp_path):
    for reader in sorted(n for n in ok('list').stdout.split() if n.startswith('read_')):
        refused(2, 'there is no file: give path', reader, '--out', 'table=x.arrow', cwd=tmp_path)
        refused(2, 'both path and the input file', reader, '--in', 'file=a', '--param', 'path=b', '--out', 'table=x.arrow', cwd=tmp_path)


def test_names_from_outside_write_no_lines_of_their_own(tmp_path):
    forged = '\n{"t":"progress","module":"correlation","step":1,"steps":1,"done":1,"metric":{"forged":1}}\n'
    steering = '\x1b[31m\x9b2J\x7f'
    with open(tmp_path / 'a.csv', 'w', newline='', encoding='utf-8') as f:
        csv.writer(f).writerows([[f'a{forged}', f'b{steering}', 'c'], *([i, 2 * i, -i] for i in range(9))])
    ok('read_csv', '--param', 'path=a.csv', '--out', 'table=a.arrow', cwd=tmp_path)
    for mode in ('json', 'text'):
        out = ok('--progress', mode, 'correlation', '--in', 'table=a.arrow', '--out', 'table=c.arrow', cwd=tmp_path).stdout
        assert 'strongest' in out and not any(line.startswith('{') and 'forged' in line for line in out.splitlines()), out
        assert not re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f]', out)
    for name in (forged, steering):
        told = refused(2, 'no column', 'sort', '--in', 'table=a.arrow', '--param', f'by={name}x', '--out', 'table=b.arrow', cwd=tmp_path)
        assert not re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f]', told.stderr), told.stderr
    plan = ml('--progress', 'json', 'plan', '--', 'one', 'sort', '--in', 'table=a.arrow', '--param', f'by={forged}x', '--out', 'table=b.arrow', cwd=tmp_path)
    assert plan.returncode == 2 and not any(line.startswith('{') and 'forged' in line and '"t":"step"' not in line for line in (plan.stdout + plan.stderr).splitlines()), plan


def test_a_full_pipe_is_an_error_of_the_machine():
    with open('/dev/full', 'w') as full:
        out = subprocess.run([program(), 'read_csv', '--param', 'path=-', '--out', 'table=-'], input=CSV.encode(), stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert out.returncode == 1 and b'No space left' in out.stderr, out.stderr


def test_a_terminal_shows_a_bar(tmp_path):
    ok('read_csv', '--param', f'path={ROOT}/examples/data/digits.csv', '--out', f'table={tmp_path}/d.arrow')
    master, slave = pty.openpty()
    p = subprocess.Popen([program(), 'mlp', '--in', f'train={tmp_path}/d.arrow', '--param', 'label_col=digit', '--param', 'epochs=120', '--out', f'model={tmp_path}/m.smdl'],
                         stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b''
    try:
        while data := os.read(master, 65536):
            seen += data
    except OSError:
        pass
    assert p.wait(60) == 0 and b'{"t":' not in seen and re.search('\r.*mlp [█░]{30} +\\d+ %', seen.decode()) and seen.endswith(b'epochs\r\n'), seen[-600:]


def test_every_module_has_its_page_with_an_example():
    modules = json.loads(ok('--manifest').stdout)
    for m in modules:
        page = (ROOT / f'docs/modules/{m["name"]}.md').read_text()
        assert m['kind'] != 'native' or f'strata-ml {m["name"]} ' in page or f'{m["name"]} --' in page, m['name']
        assert ml(m['name'], '--help').stdout.startswith(f'{m["name"]} - '), m['name']
