"""Parquet files, judged by another implementation: arrow-rs as parquet-wasm of npm, a package of web/."""
import datetime
import json
import pathlib
import subprocess

import pytest

from test_b50_algorithms import ROOT, ok, refused

CLIENT = ROOT / 'tests/parquet_client.mjs'
TWINS = ROOT / 'tests/data'
DAY = datetime.date(1970, 1, 1)
TIME = datetime.datetime(1970, 1, 1)


def client(*words):
    done = subprocess.run(['node', CLIENT, *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(v):
    return f'{v:.15g}'


def iso(ms):
    return (TIME + datetime.timedelta(milliseconds=ms)).isoformat(timespec='milliseconds').removesuffix('.000') + 'Z'


# What tests/parquet_client.mjs writes, as CSV.
COLUMNS = {
    'i': lambda i: i * 7 - 1000,
    'l': lambda i: i * 1000003 - 5000000,
    'u': lambda i: i * 20,
    'wide': lambda i: i if i < 2990 else 9007199254740993,
    'f': lambda i: number(i * 0.25),
    'd': lambda i: number(i / 8),
    'b': lambda i: 'true' if i % 3 == 0 else 'false',
    'word': lambda i: f'word {i % 100}',
    'long': lambda i: f'https://example.org/{i // 10}/{i}',
    'day': lambda i: DAY + datetime.timedelta(i - 1000),
    'ms': lambda i: iso(1700000000000 + i * 1001),
    'us': lambda i: iso(1700000000000 + i * 1000),
    'dec9': lambda i: number((i * 101 - 150000) / 100),
    'dec18': lambda i: number((i * 1000001 - 1500000000) / 1000),
    'dec38': lambda i: number((i * 1000000007 - 1500000000000) / 10 ** 10),
}
WANT = [','.join([*COLUMNS, 'all'])] + [
    ','.join([*(str(of(i)) if i % 7 != 6 else '' for of in COLUMNS.values()), str(i)]) for i in range(3000)]


def as_csv(path, *params):
    out = path.with_suffix('.csv')
    done = ok('read_parquet', '--param', f'path={path}', *(w for p in params for w in ('--param', p)), '--out',
              f'table={out}')
    return out.read_text(), done.stdout


def every(names, encoding):
    return {name: encoding for name in names.split()}


@pytest.mark.parametrize('options', [
    *({'compression': c} for c in ('UNCOMPRESSED', 'SNAPPY', 'GZIP', 'ZSTD', 'LZ4_RAW')),
    {'version': 2},
    {'dictionary': False},
    {'dictionary': False, 'version': 2, 'compression': 'ZSTD',
     'encodings': {**every('i l u wide day ms us dec9 dec18', 'DELTA_BINARY_PACKED'), **every('b', 'RLE'),
                   **every('f d', 'BYTE_STREAM_SPLIT'), 'word': 'DELTA_LENGTH_BYTE_ARRAY', 'long': 'DELTA_BYTE_ARRAY',
                   'dec38': 'DELTA_BYTE_ARRAY'}},
    {'dictionary': False, 'encodings': {**every('i l dec9 dec38', 'BYTE_STREAM_SPLIT'), 'word': 'DELTA_BYTE_ARRAY',
                                        'long': 'DELTA_LENGTH_BYTE_ARRAY'}},
    {'groupRows': 7, 'pageBytes': 1},
    {'groupRows': 100000, 'pageBytes': 1000000},
], ids=lambda o: json.dumps(o)[:60])
def test_every_encoding_and_compression_of_others_is_read(tmp_path, options):
    client('write', tmp_path / 'x.parquet', json.dumps(options))
    assert as_csv(tmp_path / 'x.parquet')[0].splitlines() == WANT


def test_brotli_is_named(tmp_path):
    client('write', tmp_path / 'x.parquet', '{"compression": "BROTLI"}')
    refused(3, 'it is compressed with Brotli; write it anew', 'read_parquet', '--param', f'path={tmp_path}/x.parquet',
            '--out', f'table={tmp_path}/y.arrow')


def test_nested_columns_are_named_and_left_out(tmp_path):
    client('write', tmp_path / 'x.parquet', '{"nested": true}')
    text, said = as_csv(tmp_path / 'x.parquet')
    assert '2 columns are left out' in said and 'tags, place' in said
    lines = text.splitlines()
    assert lines[0] == WANT[0] + ',last' and lines[8] == WANT[8] + ',7'


def test_columns_are_chosen(tmp_path):
    client('write', tmp_path / 'x.parquet')
    assert as_csv(tmp_path / 'x.parquet', 'cols=all,b')[0].startswith('b,all\ntrue,0\n')
    assert as_csv(tmp_path / 'x.parquet', 'cols=@date')[0].startswith('day,ms,us\n')
    refused(2, "no column 'al'", 'read_parquet', '--param', f'path={tmp_path}/x.parquet', '--param', 'cols=al', '--out',
            f'table={tmp_path}/y.arrow')


@pytest.mark.parametrize('table', sorted(p.stem for p in TWINS.glob('*.parquet')))
def test_twins_of_csv_files_are_equal(tmp_path, table):
    """The files of nanoparquet say "" where the CSV has nothing."""
    (tmp_path / 'x.parquet').write_bytes((TWINS / f'{table}.parquet').read_bytes())
    ok('read_csv', '--param', f'path={TWINS}/{table}.csv', '--out', f'table={tmp_path}/want.csv')
    assert as_csv(tmp_path / 'x.parquet')[0].replace('""', '') == (tmp_path / 'want.csv').read_text()


@pytest.mark.parametrize('compression', ['none', 'gzip', 'zstd'])
@pytest.mark.parametrize('rows', [1000000, 999])
def test_others_read_ours_and_so_do_we(tmp_path, compression, rows):
    (tmp_path / 'a.csv').write_text('\n'.join(WANT) + '\n')
    ok('chain', 'read_csv --param path=./a.csv --out table=t',
       f'write_parquet --in table=t --param path=./b.parquet --param compression={compression} '
       f'--param row_group_rows={rows}', cwd=tmp_path)
    assert as_csv(tmp_path / 'b.parquet')[0].splitlines() == WANT
    seen = json.loads(client('read', tmp_path / 'b.parquet'))
    types = dict(seen['fields'])
    assert (types['i'], types['d'], types['b'], types['word'], types['day'], types['ms']) == (
        'Int64', 'Float64', 'Bool', 'Utf8', 'Date32<DAY>', 'Timestamp<MICROSECOND, UTC>')
    names = [name for name, _ in seen['fields']]
    for i in (0, 6, 2999):
        row = dict(zip(names, seen['rows'][i]))
        there = i % 7 != 6
        assert row['l'] == (str(COLUMNS['l'](i)) if there else None) and row['all'] == str(i)
        assert row['long'] == (COLUMNS['long'](i) if there else None)
        assert row['ms'] == (1700000000000 + i * 1001 if there else None)
        assert row['d'] == (i / 8 if there else None) and row['b'] == (i % 3 == 0 if there else None)


def test_the_same_bytes_for_any_number_of_threads(tmp_path):
    client('write', tmp_path / 'x.parquet')
    seen = set()
    for n in (1, 2, 5):
        out = pathlib.Path(tmp_path / f'{n}.arrow')
        ok('read_parquet', '--param', f'path={tmp_path}/x.parquet', '--out', f'table={out}', threads=n)
        seen.add(out.read_bytes())
    assert len(seen) == 1


def test_damaged_files_say_so(tmp_path):
    client('write', tmp_path / 'x.parquet', '{"compression": "UNCOMPRESSED"}')
    data = (tmp_path / 'x.parquet').read_bytes()
    words = ['read_parquet', '--param', f'path={tmp_path}/x.parquet', '--out', f'table={tmp_path}/y.arrow']
    for wrong, sentence in ((data[:-1], 'is it all there?'), (b'PAR1', 'is it all there?'), (b'a,b\n1,2\n', 'not a Parquet file'),
                            (data[:-8] + b'\xff\xff\xff\x7fPAR1', 'longer than it')):
        (tmp_path / 'x.parquet').write_bytes(wrong)
        refused(3, sentence, *words)
