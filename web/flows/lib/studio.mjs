// What the flows of pipelines share: their project, its data, and the hands on the canvas.
export const PROJECT = 'studio-flow';
export const base = `/api/v1/projects/${PROJECT}`;
export const at = (t, where) => `${t.url}/ui/p/${PROJECT}${where}`;

/** Three kinds of flowers that two lengths tell apart, and a number of the row that means nothing. */
const FLOWERS = ['row,length,width,kind', ...Array.from({ length: 120 }, (_, i) => {
  const kind = i % 3;
  return `${i},${(1 + 2 * kind + ((i * 7) % 10) / 10).toFixed(1)},${(0.2 + kind + ((i * 3) % 8) / 10).toFixed(1)},${['setosa', 'versicolor', 'virginica'][kind]}`;
})].join('\n');

/** Who is over fifty or from Tainan stays, most of the time. */
const PEOPLE = ['age,income,city,stays', ...Array.from({ length: 240 }, (_, i) => {
  const age = 20 + ((i * 37) % 60);
  const city = ['Taipei', 'Tainan', 'Hualien'][(i * 5) % 7 % 3];
  const stays = age > 50 || city === 'Tainan' ? i % 9 !== 0 : i % 8 === 0;
  return `${age},${300 + 9 * age + ((i * 53) % 211)},${city},${stays ? 'yes' : 'no'}`;
})].join('\n');

export async function prepare(api) {
  const ensure = (...what) => api(...what).catch(() => undefined);
  await ensure('POST', '/api/v1/projects', { name: PROJECT });
  await ensure('POST', `${base}/volumes`, { name: 'data' });
  await api('PUT', `${base}/volumes/data/files/flowers.csv`, FLOWERS);
  await api('PUT', `${base}/volumes/data/files/people.csv`, PEOPLE);
}

export const LEARN = {
  pipeline: 1,
  nodes: {
    read: { module: 'read_csv', at: [0, 60], params: { path: 'data:flowers.csv' } },
    split: { module: 'split', at: [240, 60], params: { seed: 7 }, inputs: { table: 'read.table' } },
    learn: { module: 'logistic_regression', at: [480, 0], params: { label_col: 'kind', feature_cols: 'length,width' }, inputs: { train: 'split.train' } },
    predict: { module: 'predict', at: [720, 60], inputs: { model: 'learn.model', table: 'split.test' } },
    judge: { module: 'evaluate_multiclass', at: [960, 60], params: { label_col: 'kind' }, inputs: { table: 'predict.table' } },
  },
};

export const step = (page, id) => page.locator(`.react-flow__node[data-id="${id}"]`);
export const port = (page, id, side, name) => step(page, id).locator(`.react-flow__handle.${side}[data-handleid="${name}"]`);
export const edges = (page) => page.locator('.react-flow__edge').count();
export const press = (page, name) => page.getByRole('button', { name: new RegExp(`(^| )${name}$`) }).click();

export async function open(t, name, page = t.page) {
  await page.goto(at(t, `/pipelines/${name}`));
  await page.locator('.studio, .studio-list').first().waitFor();
}

/** A module from the palette to a place of the canvas. */
export async function drag(page, module, x, y) {
  const before = await page.locator('.react-flow__node-step').count();
  await page.getByRole('textbox', { name: 'Find a module' }).fill(module);
  await page.locator('.palette-item').first().dragTo(page.locator('.react-flow__pane'), { targetPosition: { x, y } });
  await page.waitForFunction((n) => document.querySelectorAll('.react-flow__node-step').length === n, before + 1);
}

export async function connect(page, from, out, to, into) {
  await port(page, from, 'source', out).dragTo(port(page, to, 'target', into));
}

export const ended = (page, state) => page.locator('.run-bar').getByText(state, { exact: true }).waitFor();

/** A pipeline as if nobody had ever made it. */
export async function put(t, name, document) {
  await prepare(t.api);
  await t.api('DELETE', `${base}/pipelines/${name}`).catch(() => undefined);
  return t.api('PUT', `${base}/pipelines/${name}`, document);
}
