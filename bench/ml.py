#!/usr/bin/python3
"""CPU seconds of strata-ml against scikit-learn on the same data in the same run.

    bench/ml.py [--quick]        prints ratios; below 1 means less CPU than the peer

Each pair is run in turns (A B A B ...), one process each, one thread each. Ours is the whole
process: start, reading the table, training, prediction, evaluation. Theirs is counted from after
the imports: loading an npy file, training, prediction. Medians of the rounds; quality beside it.
"""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
ML = next(str(p) for p in (BUILD / 'strata-ml', BUILD / 'src/algorithms/strata-ml') if p.exists())
ONE = {**os.environ, 'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1', 'STRATA_THREADS': '1'}
ROUNDS = 5


def cpu(command, **kwargs):
    """CPU seconds of a child, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=ONE, check=True, capture_output=True, text=True, **kwargs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


def data(folder, rows, columns, classes):
    """Overlapping clouds with some curvature, as npy and as Strata table; a held-out tenth."""
    import numpy as np
    rng = np.random.RandomState(1)
    centres = rng.normal(size=(classes, columns))
    y = rng.randint(classes, size=rows)
    x = (centres[y] * 0.35 + rng.normal(size=(rows, columns))).astype(np.float32)
    x[:, 0] *= np.abs(x[:, 1])
    cut = rows - rows // 10
    for name, part in (('a', slice(0, cut)), ('b', slice(cut, rows))):
        np.save(folder / f'{name}_x.npy', x[part])
        np.save(folder / f'{name}_y.npy', y[part])
        with open(folder / f'{name}.csv', 'w') as f:
            f.write(','.join([f'x{j}' for j in range(columns)] + ['label']) + '\n')
            for row, k in zip(x[part], y[part]):
                f.write(','.join(['%.7g' % v for v in row] + [str(k)]) + '\n')
        subprocess.run([ML, 'read_csv', '--param', f'path={folder}/{name}.csv', '--out',
                        f'table={folder}/{name}.stbl'], check=True, stdout=subprocess.DEVNULL)


PEER = '''
import time, warnings, numpy as np
{prepare}
warnings.simplefilter('ignore')
start = time.process_time()
x, y = np.load('a_x.npy').astype(np.{kind}), np.load('a_y.npy')
m = {model}
m.fit(x, y)
score = m.score(np.load('b_x.npy').astype(np.{kind}), np.load('b_y.npy'))
print(time.process_time() - start, score, np.ravel(m.n_iter_)[0])
'''


def peer(folder, prepare, model, kind):
    code = PEER.format(prepare=prepare, model=model, kind=kind)
    _, out = cpu([sys.executable, '-c', code], cwd=folder)
    return tuple(map(float, out.split()[:2]))


def ours(folder, step):
    busy, out = cpu([ML, 'chain', f'{step} --in train=./a.stbl --param label_col=label --out model=m',
                     'predict --in model=m --in table=./b.stbl --out table=p --param keep_cols=label',
                     'evaluate_multiclass --in table=p --param label_col=label'], cwd=folder)
    metric = [json.loads(line) for line in out.splitlines() if '"metric"' in line]
    return busy, metric[0]['metric']['accuracy']


UNTOLD = '''
import time, warnings, numpy as np
{prepare}
warnings.simplefilter('ignore')
start = time.process_time()
x = np.load('a_x.npy').astype(np.float64)
m = {model}
m.fit(x)
print(time.process_time() - start, {quality})
'''


def untold_peer(folder, prepare, model, quality):
    code = UNTOLD.format(prepare=prepare, model=model, quality=quality)
    return tuple(map(float, cpu([sys.executable, '-c', code], cwd=folder)[1].split()))


def untold(folder, words, metric):
    busy, out = cpu([ML, *words.split()], cwd=folder)
    return busy, [json.loads(line)['metric'][metric] for line in out.splitlines() if '"metric"' in line][0]


def compare(name, mine, theirs, goal):
    a, b = [], []
    for _ in range(ROUNDS):
        a.append(mine())
        b.append(theirs())
    ca, cb = statistics.median(x[0] for x in a), statistics.median(x[0] for x in b)
    print(f'{name:44} CPU ratio {ca / cb:5.2f} (goal <= {goal:4.2f})   {ca:6.2f} s : {cb:6.2f} s   '
          f'quality {a[0][1]:.6g} : {b[0][1]:.6g}', flush=True)
    return ca / cb <= goal


def main():
    small = '--quick' in sys.argv
    good = []
    with tempfile.TemporaryDirectory(prefix='strata-ml-bench-') as name:
        folder = pathlib.Path(name)
        rows = 50_000 if small else 500_000
        for classes, goal in ((2, 0.6), (10, 0.6)):
            data(folder, rows // (1 if classes == 2 else 5), 28, classes)
            good.append(compare(
                f'logistic_regression, {rows // (1 if classes == 2 else 5)} x 28, {classes} classes',
                lambda: ours(folder, 'logistic_regression --param standardize=false '
                                     '--param l2=0.0001'),
                lambda: peer(folder, 'from sklearn.linear_model import LogisticRegression',
                             'LogisticRegression(C=1 / (1e-4 * len(x)), max_iter=200)',
                             'float64'), goal))
        good.append(compare(
            f'kmeans, {rows // 5} x 28, 20 clusters, 20 iterations',
            lambda: untold(folder, 'kmeans --in train=./a.stbl --param feature_cols=@numeric,-label --param k=20 --param n_init=1 '
                                   '--param max_iter=20 --param epsilon=0 --out model=./m.smdl', 'inertia'),
            lambda: untold_peer(folder, 'from sklearn.cluster import KMeans', 'KMeans(20, n_init=1, max_iter=20, tol=0)', 'm.inertia_'),
            0.8))
        good.append(compare(
            f'pca, {rows // 5} x 28, 10 components',
            lambda: untold(folder, 'pca --in table=./a.stbl --param cols=@numeric,-label --param k=10 --out transform=./x.sxfm', 'variance_kept'),
            lambda: untold_peer(folder, 'from sklearn.decomposition import PCA', 'PCA(10, svd_solver="full")',
                                'm.explained_variance_ratio_.sum()'), 0.1))
        data(folder, rows // 20, 196, 10)
        good.append(compare(
            f'mlp, {rows // 20} x 196 - 128 - 10, 10 epochs',
            lambda: ours(folder, 'mlp --param layers=128 --param epochs=10 --param batch=128'),
            lambda: peer(folder, 'from sklearn.neural_network import MLPClassifier',
                         'MLPClassifier((128,), batch_size=128, max_iter=10, n_iter_no_change=99)',
                         'float32'),
            0.7))
        start = [statistics.median(cpu([*words])[0] for _ in range(20)) for words in
                 ([ML, 'version'], [sys.executable, '-c', 'import sklearn.linear_model'])]
        print(f'{"start of a step":44} CPU ratio {start[0] / start[1]:5.3f}                 '
              f'{start[0] * 1000:6.1f} ms : {start[1] * 1000:6.1f} ms')
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main())
