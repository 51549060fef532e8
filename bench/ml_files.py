#!/usr/bin/python3
"""Files into columns: strata-ml against pandas, and reading Parquet against unpacking it.

    bench/ml_files.py [ROWS]     200,000 rows of 16 columns unless said; 3,000,000 are half a gigabyte of CSV

Each pair is run in turns (A B A B ...), one process each, one thread each. Ours is the whole process: start, reading, and writing one
column. pandas is counted from after the import, and finds no dates. Unpacking alone is what a compressed file takes more than one that
is not. Medians of the rounds.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
ML = next(str(p) for p in (BUILD / 'strata-ml', BUILD / 'src/algorithms/strata-ml') if p.exists())
ONE = {**os.environ, 'STRATA_THREADS': '1'}
ROUNDS = 5
ONE_COLUMN = 'select_columns --in table=t --param columns=x0 --out table=./x.arrow'
PANDAS = '''
import resource, time, pandas as pd
start = time.process_time()
t = pd.read_csv('wide.csv')
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
'''


def data(folder, rows):
    """Whole numbers, times, words, quoted texts and twelve columns of decimals, two in a hundred missing."""
    import numpy as np
    import pandas as pd
    rng = np.random.RandomState(3)
    t = pd.DataFrame({'id': np.arange(rows), 'when': pd.date_range('2024-01-01', periods=rows, freq='s').strftime('%Y-%m-%dT%H:%M:%S'),
                      'city': rng.choice(['Taipei', 'Kaohsiung', 'Tainan', 'Hualien'], rows),
                      'note': [f'a text, with a comma {i % 1000}' for i in range(rows)]})
    for k in range(12):
        values = rng.normal(size=rows).round(6)
        values[rng.rand(rows) < 0.02] = np.nan
        t[f'x{k}'] = values
    t.to_csv(folder / 'wide.csv', index=False)


def ours(folder, *steps):
    """CPU seconds and MiB at most of one process."""
    child = subprocess.Popen([ML, 'chain', *steps], cwd=folder, env=ONE, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, status
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def csv(folder, rows):
    mine, theirs = [], []
    for _ in range(ROUNDS):
        mine.append(ours(folder, 'read_csv --param path=./wide.csv --out table=t', ONE_COLUMN))
        out = subprocess.run([sys.executable, '-c', PANDAS], cwd=folder, check=True, capture_output=True, text=True).stdout
        theirs.append(tuple(map(float, out.split())))
    (a, a_peak), (b, b_peak) = (map(statistics.median, zip(*side)) for side in (mine, theirs))
    print(f'read_csv, {rows} rows x 16{"":14} CPU ratio {a / b:5.2f} (goal <= 0.35)   {a:6.2f} s : {b:6.2f} s   '
          f'peak ratio {a_peak / b_peak:4.2f} (goal <= 0.60)   {a_peak:.0f} MiB : {b_peak:.0f} MiB', flush=True)
    return a / b <= 0.35 and a_peak / b_peak <= 0.6


def parquet(folder, rows):
    codecs = ('none', 'snappy', 'gzip', 'zstd')
    for codec in codecs:
        ours(folder, 'read_csv --param path=./wide.csv --out table=t', f'write_parquet --in table=t --param path=./{codec}.parquet --param compression={codec}')
    took = {codec: [] for codec in codecs}
    for _ in range(ROUNDS):
        for codec in codecs:
            took[codec].append(ours(folder, f'read_parquet --param path=./{codec}.parquet --out table=t', ONE_COLUMN)[0])
    good = True
    for codec in codecs[1:]:
        all_of_it = statistics.median(took[codec])
        unpacking = statistics.median(a - b for a, b in zip(took[codec], took['none']))
        ratio = all_of_it / max(unpacking, 1e-9)
        print(f'read_parquet, {codec}, {rows} rows x 16{"":4} CPU ratio to unpacking alone {ratio:5.2f} (goal <= 3)   '
              f'{all_of_it:6.3f} s : {unpacking:6.3f} s', flush=True)
        good = good and ratio <= 3
    return good


def main():
    if sys.argv[1:2] == ['--data']:
        data(pathlib.Path(sys.argv[2]), int(sys.argv[3]))
        return 0
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory(prefix='strata-ml-files-') as name:
        folder = pathlib.Path(name)
        # Apart: a child's peak counts what its parent was when it was made.
        subprocess.run([sys.executable, __file__, '--data', folder, str(rows)], check=True)
        return 0 if all([csv(folder, rows), parquet(folder, rows)]) else 1


if __name__ == '__main__':
    sys.exit(main())
