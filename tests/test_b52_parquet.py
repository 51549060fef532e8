"""Parquet files, judged by another implementation: arrow-rs as parquet-wasm of npm, a package of web/."""
import datetime
import json
import pathlib
import random
import struct

import pytest

from peers import Peer
from test_b50_algorithms import ROOT, ml, ok, refused

client = Peer('node', ROOT / 'tests/parquet_client.mjs')
TWINS = ROOT / 'tests/data'
DAY = datetime.date(1970, 1, 1)
TIME = datetime.datetime(1970, 1, 1)


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


def test_columns_are_known_before_a_run():
    words = ['--schema-only', 'read_parquet', '--param', f'path={TWINS}/penguins.parquet']
    seen = json.loads(ok(*words, '--param', 'cols=@text,year').stdout)
    assert seen['outputs']['table'] == {'type': 'table', 'open': False, 'columns': [
        {'name': 'species', 'type': 'text'}, {'name': 'island', 'type': 'text'}, {'name': 'sex', 'type': 'text'},
        {'name': 'year', 'type': 'int'}]}
    wrong = json.loads(ml(*words, '--param', 'cols=yea').stdout)
    assert [(m['param'], m['message']) for m in wrong['mistakes']] == [
        ('cols', "the table has no column 'yea': did you mean 'year'?")]


@pytest.mark.parametrize('table', sorted(p.stem for p in TWINS.glob('*.parquet')))
def test_twins_of_csv_files_are_equal(tmp_path, table):
    """The files of nanoparquet say "" where the CSV has nothing."""
    (tmp_path / 'x.parquet').write_bytes((TWINS / f'{table}.parquet').read_bytes())
    ok('read_csv', '--param', f'path={TWINS}/{table}.csv', '--out', f'table={tmp_path}/want.csv')
    assert as_csv(tmp_path / 'x.parquet')[0].replace('""', '') == (tmp_path / 'want.csv').read_text()


@pytest.mark.parametrize('compression', ['none', 'snappy', 'gzip', 'zstd'])
@pytest.mark.parametrize('rows', [1000000, 999])
def test_others_read_ours_and_so_do_we(tmp_path, compression, rows):
    (tmp_path / 'a.csv').write_text('\n'.join(WANT) + '\n')
    ok('chain', 'read_csv --param path=./a.csv --out table=t',
       f'write_parquet --in table=t --param path=./b.parquet --param compression={compression} '
       f'--param row_group_rows={rows}', cwd=tmp_path)
    assert as_csv(tmp_path / 'b.parquet')[0].splitlines() == WANT
    seen = client('read', tmp_path / 'b.parquet')
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


# --- what no writer at hand makes: put together here ---------------------------------------------------

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def compact(fields):
    """A struct of Thrift's compact protocol: {id: int | bytes | dict | list of these}."""
    def value(v):
        if isinstance(v, int):
            return 5, zigzag(v)
        if isinstance(v, bytes):
            return 8, varint(len(v)) + v
        if isinstance(v, dict):
            return 12, compact(v)
        kinds = [value(x) for x in v]
        return 9, bytes([min(len(v), 15) << 4 | kinds[0][0]]) + (varint(len(v)) if len(v) > 14 else b'') \
            + b''.join(body for _, body in kinds)
    out, last = b'', 0
    for i, v in sorted(fields.items()):
        kind, body = value(v)
        out += bytes([(i - last) << 4 | kind]) + body
        last = i
    return out + b'\0'


def parquet_file(path, element, values, rows, levels=None, levels_encoding=3, encoding=0, dictionary=None, damage=None,
                 group_rows=None):
    """One column, one row group, one page; `values` are the page's bytes behind the levels."""
    body = (levels or b'') + values
    pages = b''
    if dictionary:
        pages = compact({1: 2, 2: len(dictionary[1]), 3: len(dictionary[1]), 7: {1: dictionary[0], 2: 2}}) + dictionary[1]
    data_at = 4 + len(pages)
    pages += compact({1: 0, 2: len(body), 3: len(body), 5: {1: rows, 2: encoding, 3: levels_encoding, 4: 3}}) + body
    chunk = {1: element[1], 2: [encoding], 3: [b'c'], 4: 0, 5: rows, 6: len(pages), 7: len(pages), 9: data_at}
    if dictionary:
        chunk[11] = 4
    meta = compact({1: 1, 2: [{4: b'root', 5: 1}, {**element, 4: b'c'}], 3: rows,
                    4: [{1: [{2: 4, 3: {**chunk, **(damage or {})}}], 2: len(pages), 3: group_rows or rows}]})
    path.write_bytes(b'PAR1' + pages + meta + len(meta).to_bytes(4, 'little') + b'PAR1')


def column(path):
    text, _ = as_csv(path)
    return text.splitlines()[1:]


def test_times_of_96_bits(tmp_path):
    values = b''.join(ns.to_bytes(8, 'little') + day.to_bytes(4, 'little')
                      for ns, day in ((0, 2440588), (3600 * 10**9 + 1500000, 2460370), (86399999999999, 2440587)))
    parquet_file(tmp_path / 'x.parquet', {1: 3, 3: 0}, values, 3)
    assert column(tmp_path / 'x.parquet') == ['1970-01-01T00:00:00Z', '2024-02-29T01:00:00.001500Z',
                                              '1969-12-31T23:59:59.999999Z']


def test_levels_of_old_writers(tmp_path):
    values = b''.join(v.to_bytes(4, 'little') for v in (7, 8, 9))
    parquet_file(tmp_path / 'x.parquet', {1: 1, 3: 1}, values, 10, levels=bytes([0b10010000, 0b01000000]), levels_encoding=4)
    assert column(tmp_path / 'x.parquet') == ['7', '', '', '8', '', '', '', '', '', '9']


def level_runs(rng):
    """Runs of one level and packed ones, of lengths that end inside of bytes: their bytes, and the levels."""
    out, levels = b'', []
    for _ in range(200):
        if rng.random() < 0.5:
            n, level = rng.choice((1, 3, 7, 8, 21, 64, 100)), rng.choice((0, 1, 1))
            out += varint(n << 1) + bytes([level])
            levels += [level] * n
        else:
            packed = [rng.randrange(256) | rng.choice((0, 255)) for _ in range(rng.choice((1, 2, 9)))]
            out += varint(len(packed) << 1 | 1) + bytes(packed)
            levels += [byte >> k & 1 for byte in packed for k in range(8)]
    levels = levels[:-3]  # the last packed ones are cut short
    return len(out).to_bytes(4, 'little') + out, levels


@pytest.mark.parametrize('stored,pack', [(5, lambda v: struct.pack('<d', v)), (2, lambda v: struct.pack('<q', v)),
                                         (6, lambda v: b'\3\0\0\0%03d' % (v % 1000))])
def test_levels_in_runs_of_any_length(tmp_path, stored, pack):
    runs, levels = level_runs(random.Random(5))
    rows = [i if there else None for i, there in enumerate(levels)]
    values = b''.join(pack(v) for v in rows if v is not None)
    element = {1: stored, 3: 1, **({6: 0} if stored == 6 else {})}
    parquet_file(tmp_path / 'x.parquet', element, values, len(rows), levels=runs)
    text = '{:03d}' if stored == 6 else '{}'
    assert column(tmp_path / 'x.parquet') == ['' if v is None else text.format(v % 1000 if stored == 6 else v) for v in rows]
    parquet_file(tmp_path / 'x.parquet', element, values[:-1], len(rows), levels=runs)
    refused(3, 'has fewer values than it says', 'read_parquet', '--param', f'path={tmp_path}/x.parquet', '--out',
            f'table={tmp_path}/y.arrow')


def test_dictionaries_of_old_writers(tmp_path):
    words = b''.join(len(w).to_bytes(4, 'little') + w for w in (b'yes', b'no'))
    runs = bytes([1, 3 << 1, 1, 1 << 1 | 1, 0b00000010])  # one bit: three times 1, then eight packed
    parquet_file(tmp_path / 'x.parquet', {1: 6, 3: 0, 6: 0}, runs, 5, encoding=2, dictionary=(2, words))
    assert column(tmp_path / 'x.parquet') == ['no', 'no', 'no', 'yes', 'no']


@pytest.mark.parametrize('element,values,want', [
    ({1: 7, 2: 2, 3: 0, 10: {15: {}}}, b'\x00\x3c\x00\xc0', ['1', '-2']),  # FLOAT16
    ({1: 7, 2: 16, 3: 0, 10: {14: {}}}, bytes(range(32)), ['00010203-0405-0607-0809-0a0b0c0d0e0f',
                                                          '10111213-1415-1617-1819-1a1b1c1d1e1f']),  # UUID
    ({1: 6, 3: 0, 6: 5, 7: 2, 8: 9}, b'\1\0\0\0\x7f\2\0\0\0\xff\x00', ['1.27', '-2.56']),  # DECIMAL in bytes
    ({1: 1, 3: 0, 6: 12}, b'\xff\xff\0\0\1\0\0\0', ['65535', '1']),  # UINT_16
    ({1: 1, 3: 0, 6: 7}, (3661500).to_bytes(4, 'little') + b'\0\0\0\0', ['3661.5', '0']),  # TIME_MILLIS
    ({1: 2, 3: 0, 10: {8: {2: {3: {}}}}}, (1234567891).to_bytes(8, 'little') + (10**18 * 9).to_bytes(8, 'little'),
     ['1970-01-01T00:00:01.234567Z', '2255-03-14T16:00:00Z']),  # TIMESTAMP(NANOS)
    ({1: 2, 3: 0, 6: 9}, (253402300799999).to_bytes(8, 'little') + b'\0' * 8,
     ['9999-12-31T23:59:59.999Z', '1970-01-01T00:00:00Z']),  # past 2^53 microseconds: text
    ({1: 2, 3: 0, 6: 14}, b'\xff' * 8 + b'\1' + b'\0' * 7, ['18446744073709551615', '1']),  # UINT_64: text
])
def test_types_by_their_annotations(tmp_path, element, values, want):
    parquet_file(tmp_path / 'x.parquet', element, values, 2)
    assert column(tmp_path / 'x.parquet') == want


def test_numbers_that_lie_are_found_out(tmp_path):
    values = b'\0' * 12
    words = ['read_parquet', '--param', f'path={tmp_path}/x.parquet', '--out', f'table={tmp_path}/y.arrow']
    for sentence, options in (('has fewer values than its row group', {'group_rows': 4}),
                              ('has more values than its row group', {'group_rows': 2}),
                              ('lies outside of it', {'damage': {7: 1 << 40}}),
                              ('lies outside of it', {'damage': {9: 1 << 40}}),
                              ('is encoded in a way (7)', {'encoding': 7}),
                              ('has fewer values than it says', {'encoding': 8}),
                              ('is compressed with the LZ4 of Hadoop', {'damage': {4: 5}})):
        parquet_file(tmp_path / 'x.parquet', {1: 1, 3: 0}, values, 3, **options)
        refused(3, sentence, *words)
    parquet_file(tmp_path / 'x.parquet', {1: 1, 3: 0}, b'\1\6\1', 3, encoding=8)
    refused(3, 'a value is not in the dictionary', *words)
    parquet_file(tmp_path / 'x.parquet', {1: 6, 3: 0}, b'\2\0\0\0\xff\xfe' * 3, 3)
    refused(3, "column 'c': it holds bytes that are no text", *words)
