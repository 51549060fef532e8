"""strata-ml: clusters, components, rules, recommendations and forecasts against scikit-learn, statsmodels and brute force."""
import itertools
import json

import numpy as np
import pytest

from test_b50_algorithms import Reader, ml, ok, read_csv, refused, write_csv, write_data

datasets = pytest.importorskip('sklearn.datasets')


def data_of(name):
    loaded = {'digits': datasets.load_digits, 'iris': datasets.load_iris, 'wine': datasets.load_wine,
              'cancer': datasets.load_breast_cancer}[name]()
    return loaded.data, loaded.target


def chain(tmp_path, *lines, **options):
    return ok('chain', 'read_csv --param path=./d.csv --out table=t', *lines, cwd=tmp_path, **options)


def column(path, name):
    return np.array([float(r[name]) if r[name] else np.nan for r in read_csv(path)])


def same_for_threads(tmp_path, lines, files):
    """Equal files with one thread and three."""
    seen = []
    for n in ('1', '3'):
        chain(tmp_path, *lines, env={'STRATA_THREADS': n})
        seen.append([(tmp_path / f).read_bytes() for f in files])
    assert seen[0] == seen[1]


# --- k-means -------------------------------------------------------------------------------------

@pytest.mark.parametrize('name,k', [('iris', 3), ('digits', 10), ('wine', 4)])
def test_kmeans_ends_where_scikit_learn_would(tmp_path, name, k):
    KMeans = pytest.importorskip('sklearn.cluster').KMeans
    x, y = data_of(name)
    write_data(tmp_path / 'd.csv', x, y)
    done = chain(tmp_path, f'kmeans --in train=t --param feature_cols=@numeric,-label --param k={k} --param epsilon=0'
                 ' --out model=./m.smdl --out table=./g.csv',
                 'predict --in model=./m.smdl --in table=t --out table=./p.csv')
    labels = column(tmp_path / 'g.csv', 'cluster').astype(int)
    assert (labels == column(tmp_path / 'p.csv', 'prediction')).all()
    centres = np.array([x[labels == i].mean(0) for i in range(k)])
    theirs = KMeans(k, init=centres, n_init=1, tol=0).fit(x)
    assert (theirs.labels_ == labels).all()
    mine = json.loads([s for s in done.stdout.splitlines() if '"metric":{"inertia"' in s][-1])['metric']['inertia']
    assert mine == pytest.approx(theirs.inertia_, rel=1e-9)
    assert mine <= 1.01 * KMeans(k, n_init=10, random_state=1).fit(x).inertia_
    distance = np.linalg.norm(x - centres[labels], axis=1)
    assert column(tmp_path / 'p.csv', 'distance') == pytest.approx(distance, rel=1e-9, abs=1e-9)


def test_kmeans_takes_weights_directions_and_missing_values(tmp_path):
    KMeans = pytest.importorskip('sklearn.cluster').KMeans
    rng = np.random.RandomState(2)
    x = np.concatenate([rng.normal(size=(300, 2)) + c for c in ((5, 0), (0, 5), (9, 9))]) + 1e6
    w = rng.randint(0, 4, len(x))
    write_csv(tmp_path / 'd.csv', ['a', 'b', 'w'], [[repr(a), repr(b), k] for (a, b), k in zip(x, w)])
    chain(tmp_path, 'kmeans --in train=t --param k=3 --param weight_col=w --param epsilon=0 --out table=./g.csv')
    labels = column(tmp_path / 'g.csv', 'cluster').astype(int)
    centres = np.array([np.average(x[labels == i], axis=0, weights=w[labels == i]) for i in range(3)])
    theirs = KMeans(3, init=centres, n_init=1, tol=0).fit(x, sample_weight=w)
    assert (theirs.labels_ == labels).all() and theirs.cluster_centers_ == pytest.approx(centres, rel=1e-12)
    write_csv(tmp_path / 'd.csv', ['a', 'b'], [[1, 0.1], [5, 0.2], [0.1, 2], [0.3, 9], ['', 9]])
    chain(tmp_path, 'kmeans --in train=t --param distance=cosine --param missing=mean --out model=./m.smdl --out table=./g.csv',
          'predict --in model=./m.smdl --in table=t --out table=./p.csv')
    a, b, c, d, _ = column(tmp_path / 'g.csv', 'cluster')
    assert a == b != c == d
    assert all(0 <= v < 0.5 for v in column(tmp_path / 'p.csv', 'distance'))


def test_kmeans_is_the_same_for_any_number_of_threads_and_refuses_what_cannot_be(tmp_path):
    write_data(tmp_path / 'd.csv', *data_of('digits'))
    same_for_threads(tmp_path, ['kmeans --in train=t --param feature_cols=@numeric,-label --param k=25 --out model=./m.smdl'
                                ' --out table=./g.csv'], ['m.smdl', 'g.csv'])
    said = chain(tmp_path, 'kmeans --in train=t --param feature_cols=p --param init=random --out model=m'.replace('=p', '=x20'))
    assert 'inertia' in said.stdout
    read = 'read_csv --param path=./e.csv --out table=t'
    for rows, sentence in (([[0, 1], [0, 1], [0, 1]], 'only 1 of 2 centres differ'), ([[1, 2]], '1 rows cannot make 2 clusters'),
                           ([], 'no rows'), ([[1, ''], [2, 3]], "column 'b', row 1"), ([[1e300, 1], [-1e300, 2], [1, 1]], 'too large'),
                           ([['x', 1], ['y', 2]], 'text')):
        write_csv(tmp_path / 'e.csv', ['a', 'b'], rows)
        refused(3, sentence, 'chain', read, 'kmeans --in train=t --param feature_cols=a,b --out model=m', cwd=tmp_path)
    write_csv(tmp_path / 'e.csv', ['a', 'b'], [[0, 0], [1, 2], [2, 1]])
    refused(3, 'row 1 is all zeroes', 'chain', read, 'kmeans --in train=t --param distance=cosine --out model=m', cwd=tmp_path)
    refused(2, "did you mean 'a'", 'chain', read, 'kmeans --in train=t --param feature_cols=aa --out model=m', cwd=tmp_path)


# --- principal components --------------------------------------------------------------------------

@pytest.mark.parametrize('name,scaled,whiten', [('digits', False, False), ('wine', True, False), ('cancer', True, True)])
def test_pca_finds_scikit_learns_components(tmp_path, name, scaled, whiten):
    PCA = pytest.importorskip('sklearn.decomposition').PCA
    x, y = data_of(name)
    write_data(tmp_path / 'd.csv', x, y)
    k = 6
    words = f' --param standardize={str(scaled).lower()} --param whiten={str(whiten).lower()}'
    chain(tmp_path, f'pca --in table=t --param cols=@numeric,-label --param k={k}{words} --out table=./p.csv --out report=./r.json'
          ' --out table=p', 'logistic_regression --in train=p --param label_col=label --out model=./m.smdl',
          'predict --in model=./m.smdl --in table=t --out table=./a.csv')
    report = json.loads((tmp_path / 'r.json').read_text())
    x = (x - x.mean(0)) / (x.std(0, ddof=1) if scaled else 1)
    theirs = PCA(k, svd_solver='full', whiten=whiten).fit(x)
    assert [c['variance'] for c in report['components']] == pytest.approx(theirs.explained_variance_, rel=1e-9)
    assert [c['ratio'] for c in report['components']] == pytest.approx(theirs.explained_variance_ratio_, rel=1e-9)
    mine = np.array([c['weights'] for c in report['components']])
    sign = np.sign((mine * theirs.components_).sum(1))
    assert np.abs(mine - theirs.components_ * sign[:, None]).max() < 1e-7
    scores = np.array([[float(r[f'pc{i + 1}']) for i in range(k)] for r in read_csv(tmp_path / 'p.csv')])
    assert np.abs(scores - theirs.transform(x) * sign).max() < 1e-7 * max(1, np.abs(scores).max())
    assert set(read_csv(tmp_path / 'p.csv')[0]) == {'label', *[f'pc{i + 1}' for i in range(k)]}
    assert (column(tmp_path / 'a.csv', 'prediction') == y).mean() > 0.85  # the model carries it


def test_pca_by_variance_threads_wide_tables_and_refusals(tmp_path):
    PCA = pytest.importorskip('sklearn.decomposition').PCA
    x, y = data_of('digits')
    write_data(tmp_path / 'd.csv', x, y)
    same_for_threads(tmp_path, ['pca --in table=t --param cols=@numeric,-label --param k=0 --param variance=0.9 --out table=./p.arrow'
                                ' --out transform=./x.sxfm --out report=./r.json'], ['p.arrow', 'x.sxfm', 'r.json'])
    assert len(json.loads((tmp_path / 'r.json').read_text())['components']) == PCA(0.9, svd_solver='full').fit(x).n_components_
    wide = np.random.RandomState(1).normal(size=(5, 40))
    write_data(tmp_path / 'd.csv', wide, range(5))
    chain(tmp_path, 'pca --in table=t --param cols=@numeric,-label --param k=4 --out report=./r.json')
    assert [c['variance'] for c in json.loads((tmp_path / 'r.json').read_text())['components']] == \
        pytest.approx(PCA(4).fit(wide).explained_variance_, rel=1e-9)
    read = 'read_csv --param path=./e.csv --out table=t'
    for rows, sentence in (([[1, 2]], 'at least two'), ([[1, 2], [1, 2]], 'constant'), ([[1, ''], [2, 3]], "column 'b', row 1"),
                           ([[1e300, 2], [-1e300, 1]], 'too large'), ([['x', 1], ['y', 2]], 'text')):
        write_csv(tmp_path / 'e.csv', ['a', 'b'], rows)
        refused(3, sentence, 'chain', read, 'pca --in table=t --param cols=a,b --out table=p', cwd=tmp_path)
    write_csv(tmp_path / 'e.csv', ['a', 'b', 'c'], [[1, 2, 'x'], ['', 3, 'y'], [3, 5, 'z']])
    refused(3, 'at most 2 components', 'chain', read, 'pca --in table=t --param k=3 --param missing=mean --out table=p', cwd=tmp_path)
    ok('chain', read, 'pca --in table=t --param k=1 --param missing=mean --out table=./p.csv', cwd=tmp_path)
    assert set(read_csv(tmp_path / 'p.csv')[1]) == {'c', 'pc1'}


# --- DBSCAN ------------------------------------------------------------------------------------------

@pytest.mark.parametrize('name,epsilon,points,metric', [
    ('moons', 0.07, 5, 'euclid'), ('moons', 0.1, 10, 'manhattan'), ('iris', 0.4343, 4, 'euclid'), ('digits', 22.3, 5, 'euclid'),
    ('digits', 0.0712, 4, 'cosine'), ('wine', 31.7, 3, 'manhattan')])
def test_dbscan_gives_scikit_learns_labels(tmp_path, name, epsilon, points, metric):
    DBSCAN = pytest.importorskip('sklearn.cluster').DBSCAN
    x, y = datasets.make_moons(3000, noise=0.08, random_state=1) if name == 'moons' else data_of(name)
    write_data(tmp_path / 'd.csv', x, y)
    same_for_threads(tmp_path, [f'dbscan --in table=t --param feature_cols=@numeric,-label --param epsilon={epsilon} --param '
                                f'min_points={points} --param distance={metric} --out table=./c.csv'], ['c.csv'])
    theirs = DBSCAN(eps=epsilon, min_samples=points, metric=metric.replace('euclid', 'euclidean')).fit(x).labels_
    assert len(set(theirs)) > 2 and (column(tmp_path / 'c.csv', 'cluster') == theirs).all()


def test_dbscan_takes_equal_points_and_refuses_what_has_no_place(tmp_path):
    write_csv(tmp_path / 'd.csv', ['a', 'b'], [[1, 1]] * 500 + [[9, 9]])
    chain(tmp_path, 'dbscan --in table=t --param epsilon=0 --out table=./c.csv')
    assert list(column(tmp_path / 'c.csv', 'cluster')) == [0] * 500 + [-1]
    for rows, sentence, words in (([], 'no rows', ''), ([[1, ''], [2, 3]], "column 'b', row 1", ''), ([[0, 0], [1, 2]], 'no direction',
                                  '--param distance=cosine'), ([['x', 1], ['y', 2]], 'text', '')):
        write_csv(tmp_path / 'e.csv', ['a', 'b'], rows)
        refused(3, sentence, 'chain', 'read_csv --param path=./e.csv --out table=t',
                f'dbscan --in table=t --param feature_cols=a,b {words} --out table=c', cwd=tmp_path)


# --- series ----------------------------------------------------------------------------------------

PASSENGERS = [112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118, 115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140,
              145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166, 171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194,
              196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201, 204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229,
              242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278, 284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306]
NILE = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140, 1100, 1210,
        1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702]


def series(tmp_path, values, words, **options):
    write_csv(tmp_path / 'd.csv', ['t', 'v'], [[i * 2, v] for i, v in enumerate(values)][::-1])
    done = chain(tmp_path, f'holt_winters --in train=t --param value_col=v --param time_col=t {words} --out model=./m.smdl'
                 ' --out table=./f.csv', 'forecast --in model=./m.smdl --param horizon=24 --out table=./n.csv', **options)
    return json.loads([s for s in done.stdout.splitlines() if '"metric":{"sse"' in s][-1])['metric']['sse']


@pytest.mark.parametrize('values,trend,season,damped', [
    (PASSENGERS, 'add', 'add', False), (PASSENGERS, 'add', 'mul', False), (PASSENGERS, 'add', 'mul', True), (PASSENGERS, 'mul', 'mul', False),
    (NILE, 'none', 'none', False), (NILE, 'add', 'none', True)])
def test_holt_winters_is_as_near_as_statsmodels(tmp_path, values, trend, season, damped):
    holt = pytest.importorskip('statsmodels.tsa.holtwinters')
    sse = series(tmp_path, values, f'--param trend={trend} --param season={season} --param damped={str(damped).lower()}')
    kind = {'add': 'add', 'mul': 'mul', 'none': None}
    theirs = holt.ExponentialSmoothing(np.array(values, float), trend=kind[trend], seasonal=kind[season], seasonal_periods=12,
                                       damped_trend=damped, initialization_method='estimated').fit()
    assert sse <= 1.001 * theirs.sse
    fitted, seen = column(tmp_path / 'f.csv', 'fitted'), column(tmp_path / 'f.csv', 'v')
    assert list(seen) == values and ((fitted - seen) ** 2).sum() == pytest.approx(sse, rel=1e-9)
    mine = column(tmp_path / 'n.csv', 'forecast')
    if sse > 0.999 * theirs.sse:  # the same minimum, not a better one
        assert mine == pytest.approx(theirs.forecast(24), rel=0.05)
    assert list(column(tmp_path / 'n.csv', 't')) == [2 * (len(values) + i) for i in range(24)]
    lower, upper = column(tmp_path / 'n.csv', 'lower'), column(tmp_path / 'n.csv', 'upper')
    assert (lower < mine).all() and (mine < upper).all() and upper[-1] - lower[-1] > upper[0] - lower[0]


def test_intervals_of_simple_smoothing_are_exact_and_bad_series_are_refused(tmp_path):
    stats = pytest.importorskip('scipy.stats')
    sse = series(tmp_path, NILE, '--param trend=none')
    ok('--outputs', 'yes', 'chain', 'read_csv --param path=./d.csv --out table=t',
       'holt_winters --in train=t --param value_col=v --param time_col=t --param trend=none --out model=./m.smdl', cwd=tmp_path)
    figures = json.loads((tmp_path / 'm.preview.json').read_text())['figures']
    sigma = (sse / (len(NILE) - 2)) ** 0.5
    assert figures['sigma'] == pytest.approx(sigma, rel=1e-9)
    width = (column(tmp_path / 'n.csv', 'upper') - column(tmp_path / 'n.csv', 'forecast')) / stats.norm.ppf(0.975)
    assert width == pytest.approx([sigma * (1 + h * figures['alpha'] ** 2) ** 0.5 for h in range(24)], rel=1e-6)
    read = 'read_csv --param path=./e.csv --out table=t'
    for rows, sentence, words in (([[1, 2], [2, ''], [3, 1], [4, 1]], 'missing', ''), ([[1, 2], [1, 3], [2, 2], [3, 1]], 'twice', ''),
                                  ([[1, 2], [2, 3], [4, 2], [9, 1], [9, 2]], 'twice', ''),
                                  ([[1, 2]], 'at least 4', ''), ([], 'at least 4', ''), ([[i, i % 3] for i in range(24)], 'above 0', '--param season=mul'),
                                  ([[i, i] for i in range(9)], 'two whole periods', '--param season=add --param period=12')):
        write_csv(tmp_path / 'e.csv', ['t', 'v'], rows)
        refused(3, sentence, 'chain', read + ' --param types=v:real,t:real', f'holt_winters --in train=t --param value_col=v --param time_col=t {words} '
                '--out model=m', cwd=tmp_path)
    write_csv(tmp_path / 'e.csv', ['t', 'v'], [[i, 7] for i in range(30)])
    chain(tmp_path, 'holt_winters --in train=t --param value_col=v --out model=m', 'forecast --in model=m --out table=./n.csv')
    write_csv(tmp_path / 'd.csv', ['t', 'v'], [[i, 7] for i in range(30)])
    chain(tmp_path, 'holt_winters --in train=t --param value_col=v --param season=add --param period=12 --out model=m', 'forecast --in model=m --out table=./n.csv')
    assert column(tmp_path / 'n.csv', 'forecast') == pytest.approx([7] * 12)
    rng = np.random.RandomState(5)  # hours of a year: each step of the search would walk them 300 times
    season = rng.standard_normal(168) * 10
    values = [round(100 + i * 0.01 + season[i % 168] + rng.standard_normal(), 6) for i in range(8760)]
    write_csv(tmp_path / 'd.csv', ['t', 'v'], [[i, v] for i, v in enumerate(values)])
    chain(tmp_path, 'holt_winters --in train=t --param value_col=v --param season=add --param period=168 --out model=m --out table=./f.csv',
          'forecast --in model=m --param horizon=168 --out table=./n.csv')
    assert np.sqrt(np.mean((column(tmp_path / 'f.csv', 'fitted') - values)[336:] ** 2)) < 1.2
    assert column(tmp_path / 'n.csv', 'forecast') == pytest.approx([100 + i * 0.01 + season[i % 168] for i in range(8760, 8928)], abs=2)
    write_data(tmp_path / 'd.csv', *data_of('iris'))
    refused(2, 'does not forecast', 'chain', 'read_csv --param path=./d.csv --out table=t', 'kmeans --in train=t --out model=m',
            'forecast --in model=m --out table=p', cwd=tmp_path)
    refused(2, 'not for predict', 'chain', 'read_csv --param path=./e.csv --out table=t', 'holt_winters --in train=t --param value_col=v --out model=m',
            'predict --in model=m --in table=t --out table=p', cwd=tmp_path)
    ok('read_csv', '--param', 'path=./e.csv', '--out', 'table=./e.arrow', cwd=tmp_path)
    done = ml('--schema-only', 'predict', '--in', 'model=./m.smdl', '--in', 'table=./e.arrow', cwd=tmp_path)
    assert done.returncode == 2 and 'not for predict' in done.stdout


# --- rules -----------------------------------------------------------------------------------------

def brute_force(baskets, min_support, max_len):
    least, items = max(1, int(np.ceil(min_support * len(baskets) - 1e-9))), sorted(set().union(*baskets))
    found = {}
    for n in range(1, max_len + 1):
        for s in itertools.combinations(items, n):
            count = sum(b.issuperset(s) for b in baskets)
            if count >= least:
                found[frozenset(s)] = count
    return found


@pytest.mark.parametrize('seed,support,how', [(1, 0.05, 'rows'), (2, 0.1, 'baskets'), (3, 0.3, 'rows')])
def test_fp_growth_finds_what_brute_force_finds(tmp_path, seed, support, how):
    rng = np.random.RandomState(seed)
    baskets = [{f'item {k}' for k in rng.randint(0, 9, rng.randint(0, 7))} | ({'a', 'b'} if rng.rand() < 0.4 else set()) for _ in range(80)]
    if how == 'rows':
        write_csv(tmp_path / 'd.csv', ['items', 'x'], [[' ; '.join([*b, *b]), 1] for b in baskets])
        words = '--param items_col=items --param separator=;'
    else:
        baskets = [b or {'c'} for b in baskets]
        rows = [[i, item] for i, b in enumerate(baskets) for item in b]
        rng.shuffle(rows)
        write_csv(tmp_path / 'd.csv', ['id', 'item'], rows)
        words = '--param items_col=item --param basket_col=id'
    same_for_threads(tmp_path, [f'fp_growth --in table=t {words} --param min_support={support} --param min_confidence=0.4 --param max_len=4'
                                ' --param min_lift=1 --out itemsets=./s.csv --out rules=./r.csv'], ['s.csv', 'r.csv'])
    want = brute_force(baskets, support, 4)
    rows = read_csv(tmp_path / 's.csv')
    assert {frozenset(r['items'].split(', ')): int(r['count']) for r in rows} == want and len(rows) == len(want)
    assert [int(r['count']) for r in rows] == sorted(want.values(), reverse=True)
    rules = {}
    for s, count in want.items():
        for n in range(1, len(s)):
            for a in map(frozenset, itertools.combinations(s, n)):
                confidence, lift = count / want[a], count / want[a] * len(baskets) / want[s - a]
                if confidence >= 0.4 and lift >= 1:
                    rules[a, s - a] = (count, count / len(baskets), confidence, lift)
    mine = {(frozenset(r['antecedent'].split(', ')), frozenset(r['consequent'].split(', '))):
            tuple(float(r[k]) for k in ('count', 'support', 'confidence', 'lift')) for r in read_csv(tmp_path / 'r.csv')}
    assert set(mine) == set(rules) and all(mine[k] == pytest.approx(v, rel=1e-12) for k, v in rules.items()) and rules


def test_fp_growth_of_few_or_bad_baskets(tmp_path):
    write_csv(tmp_path / 'd.csv', ['id', 'n'], [[1, 7], [1, 8], [2, 7], [3, '']])
    chain(tmp_path, 'fp_growth --in table=t --param items_col=n --param basket_col=id --param min_support=1 --out itemsets=./s.csv --out rules=./r.csv')
    assert read_csv(tmp_path / 's.csv') == [] and read_csv(tmp_path / 'r.csv') == []
    read = 'read_csv --param path=./e.csv --out table=t'
    for rows, sentence, words in (([], 'no rows', ''), ([['', 'a'], ['x', 'b']], 'the basket is missing', '--param basket_col=id')):
        write_csv(tmp_path / 'e.csv', ['id', 'n'], rows)
        refused(3, sentence, 'chain', read, f'fp_growth --in table=t --param items_col=n {words} --out rules=r', cwd=tmp_path)
    write_csv(tmp_path / 'e.csv', ['id', 'n'], [[1, '|'.join(f'{i}' for i in range(60))]])
    refused(3, 'raise min_support', 'chain', read, 'fp_growth --in table=t --param items_col=n --param separator=| --param max_len=16 --out rules=r',
            cwd=tmp_path)


# --- recommendations -------------------------------------------------------------------------------

def read_factors(path):
    r = Reader(path, b'M')
    assert (r.u32(), r.u32(), r.text()) == (32, 5, '') and (r.u32(), r.u32(), r.u32()) == (0, 0, 0)
    rank, names = r.u32(), []
    for _ in range(2):
        r.text(), r.u32(), r.u32()
        names.append([r.text() for _ in range(r.u32())])
    known = [r.take(f'{n}I') for n in (r.u32() for _ in names[0])]
    u, v = (np.array(r.take(f'{len(n) * rank}d')).reshape(-1, rank) for n in names)
    assert r.at == len(r.data)
    return names, known, u, v


@pytest.mark.parametrize('implicit', [False, True])
def test_als_solves_the_normal_equations_and_recommend_lists_the_best(tmp_path, implicit):
    rng = np.random.RandomState(4)
    full = rng.rand(60, 3) @ rng.rand(3, 40)
    seen = rng.rand(60, 40) < 0.4
    seen[np.arange(60), np.arange(60) % 40] = True
    rows = [[u + 100, f'film {i}', rng.randint(1, 5) if implicit else repr(full[u, i])] for u, i in np.argwhere(seen)]
    write_csv(tmp_path / 'd.csv', ['user', 'film', 'stars'], rows)
    lam, alpha = (0.1, 2) if implicit else (1e-6, 0)
    same_for_threads(tmp_path, [f'als --in train=t --param user_col=user --param item_col=film --param rate_col=stars --param rank=3 --param '
                                f'num_iter=200 --param lambda={lam} --param alpha={alpha} --param implicit={str(implicit).lower()} --out model=./m.smdl',
                                ], ['m.smdl'])
    (users, films), known, u, v = read_factors(tmp_path / 'm.smdl')
    assert users == [str(k + 100) for k in range(60)] and films == sorted(f'film {i}' for i in range(40))
    rated = {(str(a), b): float(c) for a, b, c in rows}
    for i, film in enumerate(films):
        s = [k for k in range(60) if (users[k], film) in rated]
        value = np.array([rated[users[k], film] for k in s])
        weight = alpha * value if implicit else np.ones(len(s))
        a = (u.T @ u if implicit else 0) + u[s].T @ (u[s] * weight[:, None]) + lam * len(s) * np.eye(3)
        assert v[i] == pytest.approx(np.linalg.solve(a, u[s].T @ (1 + weight if implicit else value)), rel=1e-8, abs=1e-10)
    if not implicit:
        order = [int(f.split()[1]) for f in films]
        assert np.abs(u @ v.T - full[:, order]).max() < 0.02  # the unseen ones too
    ok('recommend', '--in', 'model=m.smdl', '--param', 'n=4', '--out', 'table=r.csv', cwd=tmp_path)
    got = read_csv(tmp_path / 'r.csv')
    assert list(got[0]) == ['user', 'rank', 'film', 'score'] and len(got) == 240
    for k, user in enumerate(users):
        scores = u[k] @ v.T
        scores[list(known[k])] = -np.inf
        best = np.argsort(-scores, kind='stable')[:4]
        assert [r['film'] for r in got if r['user'] == user] == [films[b] for b in best]
        assert [float(r['score']) for r in got if r['user'] == user] == pytest.approx(scores[best], rel=1e-12)
    write_csv(tmp_path / 'd.csv', ['who'], [[101], [7], ['']])
    chain(tmp_path, 'recommend --in model=./m.smdl --in table=t --param user_col=who --param exclude_known=false --param n=99 --out table=./r.csv')
    assert len(read_csv(tmp_path / 'r.csv')) == 40 and read_csv(tmp_path / 'r.csv')[0]['user'] == '101'


def test_als_refuses_what_it_cannot_use(tmp_path):
    read = 'read_csv --param path=./e.csv --out table=t'
    for rows, sentence in (([], 'no rows'), ([['', 'a', 1], ['x', 'b', 2]], "column 'u', row 1"), ([['x', 'a', ''], ['x', 'b', 2]], 'the rating is missing'),
                           ([['x', 'a', 1e200], ['x', 'b', 2]], 'too large')):
        write_csv(tmp_path / 'e.csv', ['u', 'i', 'r'], rows)
        refused(3, sentence, 'chain', read + ' --param types=r:real', 'als --in train=t --param user_col=u --param item_col=i --param rate_col=r '
                '--out model=m', cwd=tmp_path)
    write_csv(tmp_path / 'e.csv', ['u', 'i'], [['x', 'a'], ['x', 'a'], ['y', 'b']])
    ok('chain', read, 'als --in train=t --param user_col=u --param item_col=i --param rank=9 --out model=m', 'recommend --in model=m --out table=./r.csv', cwd=tmp_path)
    assert [r['i'] for r in read_csv(tmp_path / 'r.csv')] == ['b', 'a']
    refused(2, "user_col: the table has no column 'us'", 'chain', read, 'als --in train=t --param user_col=us --param item_col=i --out model=m', cwd=tmp_path)
